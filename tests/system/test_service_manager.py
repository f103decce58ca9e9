"""Deployment: sockets from a service manager, sd_notify, the systemd files."""

import configparser
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

import harness
import mailbox
from client import TestCase
from control import FAILED, Control
from harness import PLAIN, TLS

MESSAGES = mailbox.simple(2)

# Becomes pop3d with the listening sockets at descriptors 3 and up, as systemd passes them.
LAUNCHER = """
import os, sys
fds = [int(n) for n in sys.argv[1].split(",")]
for i, fd in enumerate(fds):  # out of the way first, as they may stand at 3 already
    os.dup2(fd, 200 + i, False)
for i in range(len(fds)):
    os.dup2(200 + i, 3 + i)
for fd in fds:
    if fd >= 3 + len(fds):
        os.close(fd)
os.environ["LISTEN_PID"] = sys.argv[2] or str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(fds))
os.environ["LISTEN_FDNAMES"] = ":".join("pop3" for _ in fds)
os.execv(sys.argv[3], sys.argv[3:])
"""


class NotifySocket:
    """What systemd listens on."""

    def __init__(self):
        self.path = harness.world().path("notify-%d" % time.monotonic_ns())
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock.bind(self.path)
        self.seen = []  # (pid, text)

    def read(self, timeout):
        self.sock.settimeout(max(0.01, timeout))
        try:
            data, ancillary, _, _ = self.sock.recvmsg(4096, 100)
        except TimeoutError:
            return None
        pid = int.from_bytes(ancillary[0][2][:4], sys.byteorder) if ancillary else 0
        self.seen.append((pid, data.decode()))
        return data.decode()

    def wait(self, line, timeout=10, after=0):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for _, text in self.seen[after:]:
                if line in text.splitlines():
                    return True
            self.read(deadline - time.monotonic())
        return False


class Activation(TestCase):
    settings = None

    def listeners(self, daemon):
        """A listening socket for each server of a configuration."""
        out = []
        for keys in daemon.servers.values():
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((keys["addresses"][0], keys["port"]))
            s.listen(64)
            out.append(s)
            self.addCleanup(s.close)
        return out

    def activated(self, pid="", more=(), **settings):
        daemon = harness.Daemon(start=False, **settings)
        sockets = self.listeners(daemon) + list(more)
        launcher = harness.world().path("launcher.py")
        with open(launcher, "w") as f:
            f.write(LAUNCHER)
        daemon.wrap = [sys.executable, launcher, ",".join(str(s.fileno()) for s in sockets), pid]
        daemon.pass_fds = [s.fileno() for s in sockets]
        return daemon, sockets

    def serves(self, daemon):
        user = self.user(MESSAGES)
        for kind in (PLAIN, TLS):
            client = self.session(user, kind, daemon)
            self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
            client.quit()

    @harness.needs_root
    def test_SYS_06_sockets_of_the_service_manager(self):
        daemon, sockets = self.activated()
        daemon.start()
        self.serves(daemon)
        # it serves on these, it did not bind its own
        inodes = {os.fstat(s.fileno()).st_ino for s in sockets}
        targets = {"socket:[%d]" % inode for inode in inodes}
        self.assertLessEqual(targets, set(harness.links(daemon.pid).values()))
        # close-on-exec: no other role has them
        for pid, _ in daemon.processes()[1:]:
            self.assertEqual(targets & set(harness.links(pid).values()), set(), harness.command_line(pid))
        self.assertEqual(daemon.stop(), [])
        # never shut down: the manager's copy still listens
        client = socket.create_connection((daemon.address(PLAIN), daemon.port(PLAIN)), 2)
        sockets[0].settimeout(2)
        accepted, _ = sockets[0].accept()
        accepted.close()
        client.close()

    def test_SYS_06_the_manager_can_restart_it(self):
        daemon, sockets = self.activated()
        daemon.start()
        self.serves(daemon)
        self.assertEqual(daemon.stop(), [])
        again = harness.Daemon(start=False, servers=daemon.servers)
        again.wrap, again.pass_fds = daemon.wrap, daemon.pass_fds
        again.start()
        self.serves(again)
        self.assertEqual(again.stop(), [])
        self.assertTrue(sockets)

    def test_SYS_06_listen_pid_of_another(self):
        # the sockets are not ours: it must bind its own, and cannot, as these hold the ports
        daemon, _ = self.activated(pid="1")
        daemon.may_leave = True
        daemon.start(wait=False)
        self.assertTrue(harness.wait_for(lambda: daemon.process.poll() is not None, 10))
        self.assertNotEqual(daemon.process.returncode, 0)
        self.assertEqual(daemon.stop(), [])

    def test_SYS_06_a_socket_that_does_not_listen(self):
        stray = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(stray.close)
        daemon, _ = self.activated(more=[stray])
        daemon.start()
        self.serves(daemon)
        self.assertEqual(daemon.stop(), [])

    def test_SYS_06_reload_keeps_the_sockets(self):
        daemon, _ = self.activated()
        daemon.start()
        daemon.reload()
        self.serves(daemon)
        self.assertEqual(daemon.stop(), [])

    def test_SYS_06_the_sockets_can_change_their_servers(self):
        daemon, sockets = self.activated()
        daemon.start()
        clear, secure = daemon.servers["clear"], daemon.servers["secure"]
        for _ in range(2):
            clear["port"], secure["port"] = secure["port"], clear["port"]
            daemon.write_conf()
            Control(daemon).done("reload")
            self.serves(daemon)
            self.assertIn("service manager", Control(daemon).refused(FAILED, "down", "clear"))
        # one server for both, and none of its own besides
        daemon.servers["clear"]["port"] = [clear["port"], secure["port"]]
        del daemon.servers["secure"]
        daemon.write_conf()
        Control(daemon).done("reload")
        for s in sockets:
            self.connect(PLAIN, daemon, address=s.getsockname()).quit()
        del daemon.servers["clear"]["port"][1:]
        daemon.write_conf()
        Control(daemon).done("reload")
        self.assertTrue(harness.wait_for(lambda: "secure" not in Control(daemon).done("list")))
        self.connect(PLAIN, daemon, address=(daemon.address(PLAIN), clear["port"][0])).quit()
        self.assertEqual(daemon.stop(), [])

    @unittest.skipUnless(shutil.which("systemd-socket-activate"), "no systemd-socket-activate")
    def test_SYS_06_systemd_socket_activate(self):
        daemon = harness.Daemon(start=False)
        daemon.wrap = ["systemd-socket-activate", *["--listen=%s:%d" % (k["addresses"][0], k["port"]) for k in daemon.servers.values()]]
        daemon.start(wait=False)
        daemon.wait_ready()
        self.serves(daemon)
        self.assertEqual(daemon.stop(), [])


class Notify(TestCase):
    settings = None

    def test_SYS_07_ready_reloading_stopping(self):
        notify = NotifySocket()
        daemon = harness.Daemon(start=False, environment={"NOTIFY_SOCKET": notify.path})
        daemon.start(wait=False)
        self.assertTrue(notify.wait("READY=1"))
        # READY means that it accepts now
        for kind in (PLAIN, TLS):
            self.connect(kind, daemon).quit()
        mark = len(notify.seen)
        daemon.send_signal(signal.SIGHUP)
        self.assertTrue(notify.wait("RELOADING=1", after=mark))
        self.assertTrue(notify.wait("READY=1", after=mark))
        self.connect(TLS, daemon).quit()
        mark = len(notify.seen)
        self.assertEqual(daemon.stop(), [])
        self.assertTrue(notify.wait("STOPPING=1", 2, after=mark), notify.seen)
        self.assertEqual({pid for pid, _ in notify.seen}, {daemon.pid}, "a message from another process than master")
        self.assertTrue(any("STATUS=" in text for _, text in notify.seen), notify.seen)

    def test_a_manager_that_does_not_read(self):
        # it is not waited for, and finds the last word when it reads again
        notify = NotifySocket()
        daemon = harness.Daemon(start=False, environment={"NOTIFY_SOCKET": notify.path})
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as filler, contextlib.suppress(BlockingIOError):
            while True:
                filler.sendto(b"STATUS=filler", notify.path)
        daemon.start()
        daemon.reload()
        self.connect(TLS, daemon).quit()
        self.assertTrue(notify.wait("RELOADING=1"))
        self.assertTrue(notify.wait("READY=1", after=len(notify.seen)))
        texts = [text for _, text in notify.seen if "filler" not in text]
        self.assertEqual([text.split("\n")[0] for text in texts], ["READY=1", "RELOADING=1", "READY=1"])
        self.assertEqual(daemon.stop(), [])

    def test_SYS_07_ready_again_after_a_refused_reload(self):
        notify = NotifySocket()
        daemon = harness.Daemon(start=False, environment={"NOTIFY_SOCKET": notify.path})
        daemon.start(wait=False)
        self.assertTrue(notify.wait("READY=1"))
        with open(daemon.conf_path, "a") as f:
            f.write("nonsense = 1\n")
        mark = len(notify.seen)
        daemon.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        if notify.wait("RELOADING=1", 1, after=mark):
            self.assertTrue(notify.wait("READY=1", after=mark))
        self.connect(TLS, daemon).quit()
        self.assertEqual(daemon.stop(), [])

    def test_the_reload_of_the_unit_fails_with_the_reason(self):
        unit = os.path.join(harness.PREFIX, "lib/systemd/system/pop3d.service")
        if not os.path.exists(unit):
            self.skipTest("installed without units")
        daemon = self.own_daemon()
        with open(unit) as f:
            words = next(line.partition("=")[2].split() for line in f if line.startswith("ExecReload="))
        values = {"$MAINPID": str(daemon.pid), "/run/pop3d/control": Control(daemon).path}
        command = [values.get(word, word) for word in words]
        self.assertEqual(subprocess.run(command, timeout=60).returncode, 0)
        with open(daemon.conf_path, "a") as f:
            f.write("nonsense = 1\n")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("nonsense", done.stderr.decode())
        self.connect(TLS, daemon).quit()

    def test_SYS_07_watchdog(self):
        notify = NotifySocket()
        daemon = harness.Daemon(start=False, environment={"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "600000"})
        daemon.start(wait=False)
        self.assertTrue(notify.wait("READY=1"))
        begun, count = time.monotonic(), 0
        while time.monotonic() - begun < 2.5:
            count += notify.read(0.3) == "WATCHDOG=1"
        self.assertGreaterEqual(count, 5)
        self.assertLess(count, 20)
        # from the loop that serves: a master that stands still sends none
        daemon.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        while notify.read(0.01):
            pass
        self.assertIsNone(notify.read(0.9))
        daemon.send_signal(signal.SIGCONT)
        self.assertTrue(notify.wait("WATCHDOG=1", 3, after=len(notify.seen)))
        self.connect(TLS, daemon).quit()
        self.assertEqual(daemon.stop(), [])

    def test_SYS_07_watchdog_of_another_process(self):
        notify = NotifySocket()
        daemon = harness.Daemon(start=False, environment={"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "400000", "WATCHDOG_PID": "1"})
        daemon.start(wait=False)
        self.assertTrue(notify.wait("READY=1"))
        begun = time.monotonic()
        while time.monotonic() - begun < 1:
            self.assertNotEqual(notify.read(0.2), "WATCHDOG=1")
        self.assertEqual(daemon.stop(), [])

    def test_SYS_07_not_ready_before_the_certificate_is_good(self):
        notify = NotifySocket()
        daemon = harness.Daemon(start=False, environment={"NOTIFY_SOCKET": notify.path}, certificate="/nonexistent.pem")
        daemon.may_leave = True
        daemon.start(wait=False)
        self.assertTrue(harness.wait_for(lambda: daemon.process.poll() is not None, 10))
        self.assertFalse(notify.wait("READY=1", 0.5))
        self.assertEqual(daemon.stop(), [])

    def test_SYS_06_07_variables_do_not_reach_the_roles(self):
        notify = NotifySocket()
        daemon = harness.Daemon(start=False, environment={"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "60000000", "P3T_SECRET": "x", "LD_LIBRARY_PATH": "/nonexistent"})
        daemon.start()
        for pid, _ in daemon.processes()[1:]:
            environment = harness.proc_octets(pid, "environ")
            for word in (b"NOTIFY_SOCKET", b"WATCHDOG", b"P3T_SECRET", b"LD_LIBRARY_PATH", b"LISTEN_"):
                self.assertNotIn(word, environment, harness.command_line(pid))
        self.assertEqual(daemon.stop(), [])


class Files(unittest.TestCase):
    def setUp(self):
        self.etc = os.path.join(harness.HERE, "../../etc")
        if not os.path.isdir(self.etc):
            self.skipTest("no source tree")

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_units_verify(self):
        folder = harness.world().path("units")
        os.mkdir(folder)
        with open(os.path.join(self.etc, "systemd/pop3d.service.in")) as f:
            text = f.read().replace("@sbindir@", os.path.join(harness.PREFIX, "sbin")).replace("@sysconfdir@", "/etc").replace("@runstatedir@", "/run")
        self.assertNotRegex(text, r"@\w+@")
        with open(os.path.join(folder, "pop3d.service"), "w") as f:
            f.write(text)
        shutil.copy(os.path.join(self.etc, "systemd/pop3d.socket"), folder)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", os.path.join(folder, "pop3d.service"), os.path.join(folder, "pop3d.socket")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        complaints = [line for line in done.stdout.decode().splitlines() if "pop3d" in line]
        self.assertEqual(complaints, [])

    def test_the_journal_limits_nothing(self):
        """Its limit is of the whole unit, so that a flood would take the place of login-failed; pop3d has limits of its own."""
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str
        unit.read(os.path.join(self.etc, "systemd/pop3d.service.in"))
        self.assertEqual(unit.get("Service", "LogRateLimitIntervalSec", fallback="the journal's"), "0")

    def test_pam_file(self):
        with open(os.path.join(self.etc, "pam.d/pop3d")) as f:
            text = f.read()
        for kind in ("auth", "account"):
            self.assertRegex(text, r"(?m)^(@include /etc/pam.d/common-%s|%s\s)" % (kind, kind))

    def test_pam_file_serves_real_accounts(self):
        with open(os.path.join(self.etc, "pam.d/pop3d")) as f:
            name = harness.pam_service(f.read())
        daemon = harness.Daemon(auth="pam:" + name)
        try:
            import client
            user = harness.world().take_user()
            user.maildir.fill(MESSAGES)
            c = client.Client(daemon, TLS)
            c.login(user)
            c.quit()
            c = client.Client(daemon, TLS)
            self.assertTrue(c.try_login(user, b"wrong").startswith(b"-ERR [AUTH]"))
            c.quit()
        finally:
            self.assertEqual(daemon.stop(), [])
