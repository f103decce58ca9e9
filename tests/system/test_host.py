"""What a host or container may lack: /proc, capabilities; the minimal set is enough."""

import os
import shutil
import signal

import harness
import mailbox
from client import TestCase
from control import Control
from harness import PLAIN, TLS

MESSAGES = mailbox.simple(3)

# What is mounted over /proc, in a mount namespace of the daemon's own.
PROCS = ("-t tmpfs none", "-t proc -o hidepid=2 none", "-t proc -o subset=pid none")

NEEDED = ("setuid", "setgid", "setpcap", "sys_chroot", "kill")


def with_proc(mount):
    return harness.private_mounts("mount %s /proc" % mount, "sh")


def without(*capabilities):
    return ["setpriv", "--bounding-set=" + ",".join("-" + c for c in capabilities)]


class Host(TestCase):
    settings = None

    def serves(self, daemon):
        """Logins on both ports, a deletion, a session ended from outside, and the next login."""
        user = self.user(MESSAGES)
        client = self.session(user, TLS, daemon)
        self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
        client.ok(b"DELE 1")
        client.quit()
        client = self.session(user, PLAIN, daemon)
        self.assertEqual(len(client.listing(b"UIDL")), 2)
        control = Control(daemon)
        control.done("conn", "kill", "clear", control.done("conn", "list", "clear"))
        client.eof()
        self.session(user, PLAIN, daemon).quit()

    def fails(self, daemon):
        """It ends by itself with status 1; its log."""
        daemon.start(wait=False)
        daemon.may_leave = True
        self.assertEqual(daemon.process.wait(20), 1, daemon.log())
        return daemon.log()

    def stopped(self, **settings):
        return self.own_daemon(start=False, **settings)

    def test_without_proc(self):
        for mount in PROCS:
            self.serves(self.own_daemon(wrap=with_proc(mount)))

    def test_without_proc_sandbox_log(self):
        self.serves(self.own_daemon(wrap=with_proc(PROCS[0]), sandbox="log"))

    def test_checkpassword_needs_proc(self):
        log = self.fails(self.stopped(auth="checkpassword:/bin/true", wrap=with_proc(PROCS[0])))
        self.assertIn("server clear: auth checkpassword:/bin/true: needs /proc, which is not mounted here", log)

    @harness.needs_root
    def test_missing_capabilities_are_named(self):
        for capability in NEEDED:
            log = self.fails(self.stopped(wrap=without(capability)))
            self.assertIn("CAP_" + capability.upper() + " (", log)
            self.assertNotIn("serving", log)
        log = self.fails(self.stopped(wrap=without(*NEEDED)))
        for capability in NEEDED:
            self.assertIn("CAP_" + capability.upper() + " (", log)

    def test_low_port_names_its_capability(self):
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as f:
            if int(f.read()) < 1000:
                self.skipTest("any user may bind low ports here")
        daemon = self.stopped(wrap=without("net_bind_service"))
        daemon.servers["clear"]["port"] = 601
        daemon.write_conf()
        self.assertRegex(self.fails(daemon), r"cannot listen on 127\.0\.0\.1:601: Permission denied.*CAP_NET_BIND_SERVICE")

    def test_the_needed_capabilities_are_enough(self):
        self.serves(self.own_daemon(wrap=["setpriv", "--bounding-set=-all," + ",".join("+" + c for c in NEEDED)]))

    @harness.needs_root
    def test_children_are_of_the_helpers_build(self):
        """Whatever program is at its path by the time a child is started."""
        daemon = self.own_daemon()
        (helper,) = daemon.auth_helper()
        program, inode = os.readlink("/proc/%d/exe" % helper), os.stat("/proc/%d/exe" % helper).st_ino
        try:
            shutil.copy2(program, program + ".other")
            os.rename(program, program + ".kept")
            os.rename(program + ".other", program)
            for pid in harness.descendants(helper):
                os.kill(pid, signal.SIGKILL)
            self.session(self.user(MESSAGES), PLAIN, daemon).quit()
            for pid in harness.descendants(helper):
                self.assertEqual(os.stat("/proc/%d/exe" % pid).st_ino, inode)
        finally:
            os.rename(program + ".kept", program)
