"""Role programs that cannot start: nothing spins, a change is given up with its reason, what serves goes on."""

import os
import shutil
import signal
import subprocess

import harness
import mailbox
from client import TestCase
from control import FAILED, Control
from harness import PLAIN

MESSAGES = mailbox.simple(1)
PROGRAMS = os.path.join(harness.PREFIX, "libexec", "pop3d")
ENDS = "#!/bin/sh\nexit 3\n"
HANGS = "#!/bin/sh\nexec sleep 600\n"  # and never says that it is ready


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

    def replace(self, name, text):
        path = os.path.join(self.programs, name)
        os.unlink(path)
        if text is not None:
            with open(path, "w") as f:
                f.write(text)
            os.chmod(path, 0o755)

    def ended(self, daemon):
        return daemon.log().count("exited with status")


class Reload(Replaced):
    def refused(self, text, reason):
        daemon = self.start()
        user = self.user(MESSAGES)
        c = self.session(user, PLAIN, daemon)
        self.replace("pop3d-login", text)
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
        daemon = self.refused(None, "ended 5 times before it was ready")
        self.assertLessEqual(self.ended(daemon), 8)

    def test_a_worker_that_hangs(self):
        """The change has a limit, and the process goes with it."""
        daemon = self.refused(HANGS, "not ready after")
        self.assertTrue(harness.wait_for(lambda: not daemon.role("sleep")))


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

    def test_no_spawner(self):
        self.fails("pop3d-session")


class Background(Replaced):
    def test_master_killed_before_it_serves(self):
        """Its parent says so; here the start does not end by itself."""
        daemon = self.start(before=("pop3d-login", HANGS), start=False, login_workers=1)
        parent = subprocess.Popen([*daemon.wrap, harness.program(), "-c", daemon.conf_path], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        master = harness.wait_for(lambda: [pid for pid in harness.descendants(parent.pid) if daemon.conf_path in harness.command_line(pid)])[0]
        below = harness.wait_for(lambda: [pid for pid in harness.descendants(master) if harness.executable(pid) == "sleep"])
        os.kill(master, signal.SIGKILL)
        self.assertIn("pop3d: killed by signal 9", parent.communicate(timeout=20)[1])
        self.assertEqual(parent.returncode, 1)
        for pid in below:
            os.kill(pid, signal.SIGKILL)


class BackOff(Replaced):
    def test_workers_that_die_together(self):
        """Their delay is one and grows: in the time of six rounds there are not dozens."""
        daemon = self.start(login_workers=2)
        self.replace("pop3d-login", ENDS)
        for pid in daemon.role("pop3d-login"):
            os.kill(pid, signal.SIGKILL)
        # at once, then 0.1, 0.2, 0.4, 0.8 s later
        self.assertTrue(harness.wait_for(lambda: self.ended(daemon) >= 8, 30))
        began = len(daemon.log())
        self.assertTrue(harness.wait_for(lambda: "exited with status 3" in daemon.log()[began:], 30))
        self.assertLessEqual(daemon.log()[began:].count("exited with status 3"), 2)
