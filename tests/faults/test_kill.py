"""kill -9 of each role in the middle of 50 running downloads.

Exactly the connections that depend on the killed process end, no mail is lost,
and the next login works.
"""

import contextlib
import os
import random
import signal
import threading
import time

import harness
import mailbox
from client import Eof, TestCase
from harness import ALL_KINDS, PLAIN, TLS

DOWNLOADS = 50
BIG = mailbox.letter("big", b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n" * (6 << 14))
SMALL = mailbox.letter("small", b"small\n")
WIRE = mailbox.wire(BIG)


def server_inode(client):
    """The inode of the server's end of a loopback connection."""
    local, remote = client.sock.getsockname(), client.sock.getpeername()
    with open("/proc/net/tcp") as f:
        for line in f.readlines()[1:]:
            fields = line.split()
            if int(fields[1].split(":")[1], 16) == remote[1] and int(fields[2].split(":")[1], 16) == local[1]:
                return int(fields[9])
    return None


def holds(pid, inode):
    for fd in os.listdir("/proc/%d/fd" % pid):
        with contextlib.suppress(OSError):
            if os.readlink("/proc/%d/fd/%s" % (pid, fd)) == "socket:[%d]" % inode:
                return True
    return False


class Download:
    """A session with a message marked and a download that has begun."""

    def __init__(self, test, user, kind, daemon):
        self.user, self.kind = user, kind
        user.maildir.fill([BIG, SMALL])
        self.client = test.session(user, kind, daemon, rcvbuf=65536, timeout=60)
        self.client.ok(b"DELE 2")
        self.client.send(b"RETR 1\r\n")
        self.client.response()
        self.whole = None

    def finish(self):
        """Read on; self.whole says whether the message came whole and QUIT worked."""
        try:
            body = self.client.body()
            assert body == WIRE, "a message that is whole and wrong"
            self.client.ok(b"QUIT")
            self.whole = True
        except (Eof, OSError):
            self.whole = False
        self.client.close()


class Kill(TestCase):
    settings = None
    limit = 150

    def downloads(self, daemon):
        if not hasattr(Kill, "users"):
            Kill.users = [harness.User() for _ in range(DOWNLOADS)]
        return [Download(self, user, ALL_KINDS[i % 3], daemon) for i, user in enumerate(Kill.users)]

    def finish(self, downloads):
        threads = [threading.Thread(target=d.finish) for d in downloads]
        for t in threads:
            t.start()
        for t in threads:
            t.join(100)
        self.assertNotIn(None, [d.whole for d in downloads])

    def check(self, daemon, downloads, affected):
        """Exactly `affected` ended early; all mail is as it must be; a login works."""
        self.finish(downloads)
        ended = [d for d in downloads if not d.whole]
        self.assertEqual(sorted(map(id, ended)), sorted(map(id, affected)),
                         "%d ended, %d should have: %s" % (len(ended), len(affected), [(d.kind, d.user.name) for d in ended]))
        for d in downloads:
            if d.whole:
                self.assertEqual(len(d.user.maildir.paths()), 1)
            else:
                self.assertEqual(d.user.maildir.stored(), [BIG, SMALL], "mail is gone without QUIT")
        for kind in ALL_KINDS:
            user = downloads[0].user
            user.maildir.fill([SMALL])
            client = self.session(user, kind, daemon)
            client.quit()

    def test_worker(self):
        daemon = self.own_daemon()
        downloads = self.downloads(daemon)
        victim = daemon.role("pop3d-login")[0]
        affected = [d for d in downloads if d.kind != PLAIN and holds(victim, server_inode(d.client))]
        self.assertTrue(0 < len(affected) < len(downloads))
        os.kill(victim, signal.SIGKILL)
        self.check(daemon, downloads, affected)
        self.assertTrue(harness.wait_for(lambda: len(daemon.role("pop3d-login")) == 2, 10))
        self.assertNotIn(victim, daemon.role("pop3d-login"))

    def test_auth_helper(self):
        daemon = self.own_daemon()
        downloads = self.downloads(daemon)
        waiting = self.connect(TLS, daemon)
        os.kill(daemon.auth_helper()[0], signal.SIGKILL)
        # a connection that waits for its login keeps what it has
        time.sleep(0.5)
        user = harness.User()
        user.maildir.fill([SMALL])
        response = waiting.try_login(user)
        if not response.startswith(b"+OK "):
            self.assertRegex(response, rb"\A-ERR \[SYS/TEMP\] ")
        waiting.close()
        self.check(daemon, downloads, [])

    def test_auth_helper_with_logins_under_way(self):
        for program in ("pop3d-auth", "pop3d-dispatch"):
            with self.subTest(program=program):
                self.killed_with_logins_under_way(program)

    def killed_with_logins_under_way(self, program):
        script = harness.world().path("slow-pam.sh")
        with open(script, "w") as f:
            f.write("#!/bin/sh\nsleep 1\nexit 0\n")
        os.chmod(script, 0o755)
        service = harness.pam_service("auth required pam_exec.so quiet %s\nauth required pam_unix.so\naccount required pam_unix.so\n" % script)
        daemon = self.own_daemon(auth="pam:" + service)
        user = harness.User()
        user.maildir.fill([SMALL])
        clients = [self.connect(kind, daemon) for kind in ALL_KINDS]
        for client in clients:
            client.ok(b"USER " + user.name_octets)
            client.send(b"PASS " + user.password_octets + b"\r\n")
        time.sleep(0.2)
        os.kill(next(pid for pid in daemon.role(program) if harness.parents().get(pid) == daemon.pid), signal.SIGKILL)
        for client in clients:
            self.assertRegex(client.response(), rb"\A-ERR \[SYS/TEMP\] ")
        for client in clients:  # the connection stands, and works with the new helper
            deadline = time.monotonic() + 10
            while not client.try_login(user).startswith(b"+OK "):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.3)
            client.quit()

    def test_auth_children(self):
        daemon = self.own_daemon()
        downloads = self.downloads(daemon)
        for pid in daemon.auth_children():
            os.kill(pid, signal.SIGKILL)
        self.check(daemon, downloads, [])
        self.assertTrue(harness.wait_for(lambda: daemon.auth_children(), 5))

    def test_auth_child_with_its_login(self):
        script = harness.world().path("slow-child.sh")
        with open(script, "w") as f:
            f.write("#!/bin/sh\nsleep 1\nexit 0\n")
        os.chmod(script, 0o755)
        service = harness.pam_service("auth required pam_exec.so quiet %s\nauth required pam_unix.so\naccount required pam_unix.so\n" % script)
        daemon = self.own_daemon(auth="pam:" + service)
        user = harness.User()
        user.maildir.fill([SMALL])
        client = self.connect(TLS, daemon)
        client.ok(b"USER " + user.name_octets)
        client.send(b"PASS " + user.password_octets + b"\r\n")
        time.sleep(0.3)
        killed = set(daemon.auth_children())
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        self.assertRegex(client.response(), rb"\A-ERR \[SYS/TEMP\] ")
        # one that is dying may still be given a login, which then has the same answer
        self.assertTrue(harness.wait_for(lambda: not killed & set(daemon.auth_children()), 5))
        client.login(user)
        client.quit()

    def test_session(self):
        daemon = self.own_daemon()
        downloads = self.downloads(daemon)
        affected = random.sample(downloads, 5)
        for d in affected:
            pids = daemon.session_of(d.user)
            self.assertEqual(len(pids), 1)
            os.kill(pids[0], signal.SIGKILL)
        self.check(daemon, downloads, affected)

    def test_session_crash(self):
        # SEGV makes a fresh spawner; nobody else notices
        daemon = self.own_daemon()
        daemon.may_crash = True
        downloads = self.downloads(daemon)
        spawner = set(daemon.spawner())
        affected = downloads[1:3]
        for d in affected:
            os.kill(daemon.session_of(d.user)[0], signal.SIGSEGV)
        self.check(daemon, downloads, affected)
        self.assertTrue(harness.wait_for(lambda: not spawner & set(daemon.role("pop3d-session")), 12), "the old spawner stays")

    def test_session_crash_is_its_users_affair(self):
        """No copy of the spawner that had a crash serves any more, and who crashes waits longer each time."""
        daemon = self.own_daemon(session_spares=3)
        daemon.may_crash = True
        user, other = harness.User(), harness.User()
        response = b""
        for _ in range(8):
            client = self.session(user, daemon=daemon)
            client.ok(b"NOOP")
            copies, at = set(daemon.role("pop3d-session")), len(daemon.log())
            os.kill(daemon.session_of(user)[0], signal.SIGSEGV)
            line = daemon.log_fields("session-crash", since=at, user=user.name)
            self.assertEqual((line["uid"], line["signal"], line["doing"]), (str(user.uid), "11", '"trans NOOP"'))
            response = self.connect(daemon=daemon).try_login(user)
            self.session(other, daemon=daemon).quit()
            self.assertTrue(harness.wait_for(lambda: not copies & set(daemon.role("pop3d-session")), 10))
            if not response.startswith(b"+OK"):
                break
        self.assertRegex(response, rb"\A-ERR \[SYS/TEMP\] ")

    def test_spawner(self):
        daemon = self.own_daemon()
        downloads = self.downloads(daemon)
        spawner = [pid for pid in daemon.spawner() if not any(pid in daemon.session_of(d.user) for d in downloads)]
        self.assertEqual(len(spawner), 1, [harness.command_line(p) for p in spawner])
        os.kill(spawner[0], signal.SIGKILL)
        self.check(daemon, downloads, [])

    def test_spares(self):
        daemon = self.own_daemon()
        downloads = self.downloads(daemon)
        spawner = daemon.spawner()[0]
        for pid in daemon.role("pop3d-session"):
            if pid != spawner and int(harness.status(pid)["Uid"].split()[0]) == 0:
                os.kill(pid, signal.SIGKILL)
        self.check(daemon, downloads, [])

    def test_master(self):
        daemon = self.own_daemon()
        daemon.may_leave = True
        downloads = self.downloads(daemon)
        known = daemon.processes()
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.process.wait()
        again = harness.Daemon(servers=daemon.servers)  # at once: ports and locks are free
        self.finish(downloads)
        self.assertTrue(harness.wait_for(lambda: not daemon.alive(known), 10), [harness.command_line(p) for p, _ in daemon.alive(known)])
        for d in downloads:
            self.assertFalse(d.whole)
            self.assertEqual(d.user.maildir.stored(), [BIG, SMALL])
        for d in downloads[:6]:
            client = self.session(d.user, d.kind, again)
            self.assertEqual(client.multi(b"RETR 2"), mailbox.wire(SMALL))
            client.quit()
        self.assertEqual(again.stop(), [])

    def test_every_role_again_and_again(self):
        # restart with back-off: it comes back each time, and never spins
        daemon = self.own_daemon()
        user = harness.User()
        user.maildir.fill([SMALL])
        rng = random.Random(3)
        for _ in range(12):
            victims = daemon.role("pop3d-login") + daemon.auth_helper() + daemon.role("pop3d-dispatch") + daemon.spawner()
            if victims:
                os.kill(rng.choice(victims), signal.SIGKILL)
            time.sleep(0.1)
        begun = time.monotonic()

        def attempt():
            try:
                for kind in ALL_KINDS:
                    client = self.connect(kind, daemon, timeout=5)
                    client.login(user)
                    client.quit()
                return True
            except (AssertionError, OSError):
                return False
        self.assertTrue(harness.wait_for(attempt, 60, 0.3))
        self.assertLess(time.monotonic() - begun, 60)

    def test_stopped_roles_are_replaced(self):
        # a role that hangs misses its heartbeat
        daemon = self.own_daemon(shutdown_timeout=2)
        user = harness.User()
        user.maildir.fill([SMALL])
        stopped = [daemon.role("pop3d-login")[0], daemon.auth_helper()[0], daemon.role("pop3d-dispatch")[0], daemon.spawner()[0]]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        replaced = harness.wait_for(lambda: all(harness.start_time(pid) is None for pid in stopped), 100, 0.2)
        self.assertTrue(replaced, [harness.command_line(p) for p in stopped if harness.start_time(p)])

        def attempt():
            try:
                client = self.connect(TLS, daemon, timeout=5)
                client.login(user)
                client.quit()
                return True
            except (AssertionError, OSError):
                return False
        self.assertTrue(harness.wait_for(attempt, 20, 0.3))


class Signals(TestCase):
    """SIGTERM and SIGINT of the daemon and of its process group, in the middle of downloads."""

    settings = None

    def run_signal(self, signum, group):
        daemon = harness.Daemon(shutdown_timeout=1)
        daemon.may_leave = True
        users = [self.user([BIG, SMALL]) for _ in range(9)]
        downloads = [Download(self, user, ALL_KINDS[i % 3], daemon) for i, user in enumerate(users)]
        idle = [self.connect(kind, daemon) for kind in ALL_KINDS]
        known = daemon.processes()
        begun = time.monotonic()
        if group:
            os.killpg(daemon.pid, signum)
        else:
            os.kill(daemon.pid, signum)
        daemon.process.wait(15)
        self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(daemon.process.returncode, 0)
        for d in downloads:
            d.client.close()
        for client in idle:
            client.close()
        self.assertTrue(harness.wait_for(lambda: not daemon.alive(known), 5))
        for d in downloads:
            self.assertEqual(d.user.maildir.stored(), [BIG, SMALL])
        self.assertEqual(daemon.stop(), [])

    def test_sigterm(self):
        self.run_signal(signal.SIGTERM, False)

    def test_sigint(self):
        self.run_signal(signal.SIGINT, False)

    def test_sigterm_of_the_group(self):
        self.run_signal(signal.SIGTERM, True)

    def test_sigint_of_the_group(self):
        self.run_signal(signal.SIGINT, True)

    def test_signals_to_every_process(self):
        # roles ignore what is meant for master
        daemon = harness.Daemon()
        user = self.user([SMALL, SMALL])
        client = self.session(user, TLS, daemon)
        client.ok(b"DELE 1")
        for pid, _ in daemon.processes()[1:]:
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
                with contextlib.suppress(OSError):
                    os.kill(pid, signum)
        time.sleep(0.3)
        client.ok(b"NOOP")
        client.quit()
        self.session(user, PLAIN, daemon).quit()
        self.assertEqual(len(user.maildir.paths()), 1)
        self.assertEqual(daemon.stop(), [])

    def test_resets_in_the_middle_of_downloads(self):
        daemon = self.own_daemon()
        users = [self.user([BIG, SMALL]) for _ in range(20)]
        downloads = [Download(self, user, ALL_KINDS[i % 3], daemon) for i, user in enumerate(users)]
        for d in downloads:
            d.client.reset()
        self.assertTrue(harness.wait_for(lambda: not any(daemon.session_of(u) for u in users), 10), "sessions stay")
        for user in users:
            self.assertEqual(len(user.maildir.paths()), 2)
            self.session(user, PLAIN, daemon).quit()
