"""Role programs that are of another build or cannot start: nothing spins, a change is given up with its reason, what serves goes on."""

import contextlib
import os
import re
import shutil
import signal
import struct
import subprocess

import harness
import mailbox
from client import TestCase
from control import FAILED, Control
from harness import PLAIN

MESSAGES = mailbox.simple(1)
PROGRAMS = os.path.join(harness.PREFIX, "libexec", "pop3d")
NAMES = ("pop3d-auth", "pop3d-dispatch", "pop3d-key", "pop3d-login", "pop3d-session")
MARK = re.compile(rb"pop3d build [0-9a-f]{16}")
OTHER_BUILD = b"pop3d build 0000000000000000"
REASON = "program is of another build (reinstall or restart pop3d)"
REFUSED = "%s refused: " + REASON
SCRIPT = b"#!/bin/sh\nexit 3\n"
ENDS = "int main(void) { return 3; }"
HANGS = "#include <unistd.h>\nint main(void) { for (;;) pause(); }"  # and never says that it is ready
# the program behind it, or nothing where a file of that name stands
ENDS_IF = """#include <unistd.h>
int main(int argc, char **argv) { (void)argc; return access("%(path)s.ends", F_OK) == 0 ? 3 : execv("%(path)s.real", argv); }"""


def content(path):
    with open(path, "rb") as f:
        return f.read()


class Replaced(TestCase):
    """A copy of the role programs that this daemon alone sees in their place."""

    kinds = (PLAIN,)

    def start(self, before=None, start=True, **settings):
        self.programs = os.path.join(harness.world().dir, "programs-" + self.id().rsplit(".", 1)[1])
        shutil.copytree(PROGRAMS, self.programs)
        if before is not None:
            self.replace(*before)
        own = harness.private_mounts('mount --bind "$0" "$1" && shift', self.programs, PROGRAMS)
        self.daemon = self.own_daemon(wrap=own, start=start, **settings)
        self.ctl = Control(self.daemon)
        return self.daemon

    def put(self, name, octets):
        """As a package does: a new file under the old name."""
        path = os.path.join(self.programs, name)
        with open(path + ".new", "wb") as f:
            f.write(octets)
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)

    def replace(self, name, source):
        """By a program that passes for one of this build."""
        path = os.path.join(self.programs, name)
        mark = MARK.search(content(path)).group()
        if not harness.have("cc"):
            self.skipTest("no compiler")
        shutil.copy(path, path + ".real")
        subprocess.run(["cc", "-x", "c", "-o", path + ".made", "-"], input=(source % {"path": path} if "%(" in source else source).encode(), check=True)
        self.put(name, content(path + ".made") + mark)

    def ended(self, daemon):
        return daemon.log().count("exited with status 3")


class Build(Replaced):
    """Whatever a package puts in the place of the programs, the processes of one master are of its build."""

    def lose_all(self, daemon, user):
        """A session, a worker, both of the helper, the key process and the spawner are killed; then there is a login."""
        c = self.session(user, PLAIN, daemon)
        for name in ("pop3d-session", "pop3d-login", "pop3d-auth", "pop3d-dispatch", "pop3d-key"):
            for pid in daemon.role(name):
                with contextlib.suppress(ProcessLookupError):  # it ends with another that was killed
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError, AssertionError):
            c.quit()

        def served():
            with contextlib.suppress(OSError, AssertionError):
                self.session(user, PLAIN, daemon).quit()
                return True
            return False
        self.assertTrue(harness.wait_for(served, 60))
        for pid in daemon.role("pop3d-login") + daemon.role("pop3d-auth") + daemon.role("pop3d-dispatch") + daemon.role("pop3d-key"):
            with open("/proc/%d/comm" % pid) as f:
                self.assertEqual(f.read().strip(), harness.executable(pid))

    def all_put(self, contents):
        for name in NAMES:
            self.put(name, contents[name])

    def test_an_upgrade_under_a_running_daemon(self):
        daemon = self.start()
        user = self.user(MESSAGES)
        right = {name: content(os.path.join(PROGRAMS, name)) for name in NAMES}
        for others in ({name: SCRIPT for name in NAMES}, {name: MARK.sub(OTHER_BUILD, right[name]) for name in NAMES}):
            self.all_put(others)
            self.lose_all(daemon, user)
            self.assertRegex(self.ctl.refused(FAILED, "reload"), re.escape(REFUSED).replace("%s", "pop3d-[a-z]*"))
            self.lose_all(daemon, user)
        self.all_put(right)
        self.ctl.done("reload")
        self.lose_all(daemon, user)

    def test_one_program_of_another_build(self):
        """The one that no reload starts, too."""
        daemon = self.start()
        for name in NAMES:
            right = content(os.path.join(PROGRAMS, name))
            self.put(name, MARK.sub(OTHER_BUILD, right))
            self.assertEqual(self.ctl.refused(FAILED, "reload"), REFUSED % name)
            self.put(name, right)
        self.ctl.done("reload")
        self.assertNotIn("lost", daemon.log())

    def foreign(self, name):
        """Of another build, and its file does not tell: its messages do."""
        octets = content(os.path.join(PROGRAMS, name))
        build = struct.pack("=Q", int(MARK.search(octets).group().split()[-1], 16))
        self.assertEqual(octets.count(build), 1)
        return octets.replace(build, bytes(8))

    def test_a_process_of_another_build(self):
        """At a reload the old generation stays."""
        daemon = self.start()
        user = self.user(MESSAGES)
        c = self.session(user, PLAIN, daemon)
        self.put("pop3d-login", self.foreign("pop3d-login"))
        self.assertIn(REASON, self.ctl.refused(FAILED, "reload"))
        self.assertIn('pop3d-login refused: "%s"' % REASON, daemon.log())
        c.quit()
        self.session(user, PLAIN, daemon).quit()

    def test_a_start_with_a_process_of_another_build(self):
        for name in ("pop3d-auth", "pop3d-login", "pop3d-session"):
            daemon = self.start(start=False)
            self.put(name, self.foreign(name))
            daemon.may_leave = True
            daemon.start(wait=False)
            self.assertEqual(daemon.process.wait(30), 1)
            self.assertIn('%s refused: "%s"' % (name, REASON), daemon.log())
            shutil.rmtree(self.programs)

    def test_a_start_with_another_build(self):
        daemon = self.start(start=False)
        self.put("pop3d-key", MARK.sub(OTHER_BUILD, content(os.path.join(PROGRAMS, "pop3d-key"))))
        daemon.may_leave = True
        daemon.start(wait=False)
        self.assertEqual(daemon.process.wait(30), 1)
        self.assertIn(REFUSED % "pop3d-key", daemon.log())


class Reload(Replaced):
    def refused(self, source, reason):
        daemon = self.start()
        user = self.user(MESSAGES)
        c = self.session(user, PLAIN, daemon)
        self.workers = len(daemon.role("pop3d-login"))
        if source is None:
            os.unlink(os.path.join(self.programs, "pop3d-login"))
        else:
            self.replace("pop3d-login", source)
        self.assertIn(reason, self.ctl.refused(FAILED, "reload"))
        c.ok(b"NOOP")  # who was there is served on
        c.quit()
        self.session(user, PLAIN, daemon).quit()  # and who comes
        self.assertIn("reload refused", daemon.log())
        return daemon

    def test_a_worker_that_ends_at_once(self):
        daemon = self.refused(ENDS, "ended 5 times before it was ready")
        self.assertLessEqual(self.ended(daemon), 8)

    def test_a_worker_that_is_missing(self):
        self.refused(None, "pop3d-login: No such file or directory")

    def test_a_worker_that_hangs(self):
        """The change has a limit, and the process goes with it."""
        daemon = self.refused(HANGS, "not ready after")
        self.assertTrue(harness.wait_for(lambda: len(daemon.role("pop3d-login")) == self.workers))


class Start(Replaced):
    """A bounded start: the reason, and status 1."""

    def fails(self, name):
        daemon = self.start(before=(name, ENDS), start=False)
        daemon.may_leave = True
        daemon.start(wait=False)
        self.assertEqual(daemon.process.wait(30), 1)
        self.assertIn("%s ended 5 times before it was ready" % name, daemon.log())

    def test_no_worker(self):
        self.fails("pop3d-login")

    def test_no_auth_helper(self):
        self.fails("pop3d-auth")

    def test_no_dispatcher(self):
        self.fails("pop3d-dispatch")

    def test_no_spawner(self):
        self.fails("pop3d-session")


class Background(Replaced):
    def test_master_killed_before_it_serves(self):
        """Its parent says so; here the start does not end by itself."""
        daemon = self.start(before=("pop3d-login", HANGS), start=False, login_workers=1)
        parent = subprocess.Popen([*daemon.wrap, harness.program(), "-c", daemon.conf_path], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        master = harness.wait_for(lambda: [pid for pid in harness.descendants(parent.pid) if daemon.conf_path in harness.command_line(pid)])[0]
        below = harness.wait_for(lambda: [pid for pid in harness.descendants(master) if harness.executable(pid) == "pop3d-login"])
        os.kill(master, signal.SIGKILL)
        self.assertIn("pop3d: killed by signal 9", parent.communicate(timeout=20)[1])
        self.assertEqual(parent.returncode, 1)
        for pid in below:
            os.kill(pid, signal.SIGKILL)


class BackOff(Replaced):
    def test_workers_that_die_together(self):
        """Their delay is one and grows: in the time of six rounds there are not dozens."""
        daemon = self.start(before=("pop3d-login", ENDS_IF), login_workers=2)
        with open(os.path.join(self.programs, "pop3d-login.ends"), "w"):
            pass
        for pid in daemon.role("pop3d-login.real"):
            os.kill(pid, signal.SIGKILL)
        # at once, then 0.1, 0.2, 0.4, 0.8 s later
        self.assertTrue(harness.wait_for(lambda: self.ended(daemon) >= 8, 30))
        began = len(daemon.log())
        self.assertTrue(harness.wait_for(lambda: "exited with status 3" in daemon.log()[began:], 30))
        self.assertLessEqual(daemon.log()[began:].count("exited with status 3"), 2)
