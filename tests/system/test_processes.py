"""CONFORMANCE group SYS: processes, privileges, what they leave behind."""

import contextlib
import grp
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import control
import harness
import mailbox
from client import TestCase, tls_context
from harness import ALL_KINDS, PLAIN, TLS
from test_quit import Traced

MESSAGES = mailbox.simple(4)
CONFINED = harness.SANDBOX in ("on", "require", "log")
CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
SPAWNER_CAPABILITIES = (1 << 6) | (1 << 7) | (1 << 8)  # SETGID, SETUID, SETPCAP


def limits(pid):
    with open("/proc/%d/limits" % pid) as f:
        return {m.group(1): m.group(2) for m in re.finditer(r"^(Max \S.*?)\s{2,}(\S+)", f.read(), re.M)}


def ids(pid, name):
    return [int(n) for n in harness.status(pid)[name].split()]


def cpu(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Privileges(TestCase):
    def check_caps(self, pid, want, sets=CAPABILITY_SETS):
        state = harness.status(pid)
        for name in sets:
            self.assertEqual(int(state[name], 16) & ~want, 0, "%s of %s" % (name, harness.command_line(pid)))

    def test_SYS_01_03_programs_and_their_ids(self):
        login_user = harness.world().system_users()[0]
        entry = pwd.getpwnam(login_user)
        self.assertEqual(ids(self.daemon.pid, "Uid"), [0] * 4)
        workers = self.daemon.role("pop3d-login")
        self.assertGreaterEqual(len(workers), 2)
        for pid in workers:
            self.assertEqual(ids(pid, "Uid"), [entry.pw_uid] * 4)
            self.assertEqual(ids(pid, "Gid"), [entry.pw_gid] * 4)
            self.assertEqual(harness.status(pid)["Groups"].split(), [])
            self.check_caps(pid, 0)
        self.assertEqual(len(self.daemon.auth_helper()), 1)
        for pid in self.daemon.auth_helper():
            self.assertEqual(ids(pid, "Uid"), [0] * 4)
        self.assertGreaterEqual(len(self.daemon.auth_children()), 1)
        self.assertGreaterEqual(len(self.daemon.role("pop3d-session")), 2)
        for pid in self.daemon.role("pop3d-session"):  # spawner and spares: nobody is logged in
            if ids(pid, "Uid")[0] == 0:
                self.check_caps(pid, SPAWNER_CAPABILITIES)
                self.assertEqual(int(harness.status(pid)["CapEff"], 16), SPAWNER_CAPABILITIES)

    @harness.needs_root
    def test_SYS_03_worker_and_dispatcher_have_an_empty_root(self):
        for pid in self.daemon.role("pop3d-login") + self.daemon.role("pop3d-dispatch"):
            root = os.readlink("/proc/%d/root" % pid)
            self.assertNotEqual(root, "/")
            self.assertEqual(os.listdir("/proc/%d/root/" % pid), [])
            self.assertIn(os.readlink("/proc/%d/cwd" % pid), (root, root + "/"))
            entry = os.stat("/proc/%d/root/" % pid)
            self.assertEqual(entry.st_uid, 0)
            self.assertEqual(entry.st_mode & 0o022, 0)

    @harness.needs_root
    @unittest.skipUnless(CONFINED, "sandbox is off")
    def test_SYS_04_filters_and_no_new_privs(self):
        user = self.user(MESSAGES)
        client = self.session(user, TLS)
        for name in ("pop3d-login", "pop3d-dispatch", "pop3d-session"):
            for pid in self.daemon.role(name):
                state = harness.status(pid)
                self.assertEqual((state["NoNewPrivs"], state["Seccomp"]), ("1", "2"), harness.command_line(pid))
        for pid in [self.daemon.pid] + self.daemon.role("pop3d-auth"):
            state = harness.status(pid)
            self.assertEqual((state["NoNewPrivs"], state["Seccomp"]), ("0", "0"), harness.command_line(pid))
        client.quit()

    def test_SYS_01_session_is_its_user_and_nothing_else(self):
        user = harness.User()
        user.maildir.fill(MESSAGES)
        harness.usermod("groupadd", "-f", user.name + "x")
        harness.world().registry.add("user", user.name + "x")
        harness.usermod("usermod", "-a", "-G", user.name + "x", user.name)
        extra = grp.getgrnam(user.name + "x").gr_gid
        for kind in self.each_kind():
            client = self.session(user, kind)
            pids = self.daemon.session_of(user)
            self.assertEqual(len(pids), 1)
            pid = pids[0]
            self.assertEqual(ids(pid, "Uid"), [user.uid] * 4)
            self.assertEqual(ids(pid, "Gid"), [user.gid] * 4)
            self.assertEqual(set(map(int, harness.status(pid)["Groups"].split())) - {user.gid}, {extra})
            self.check_caps(pid, 0)
            if CONFINED:
                self.assertEqual(harness.status(pid)["NoNewPrivs"], "1")
            self.assertEqual(harness.status(pid)["Threads"], "1")
            client.quit()

    def test_a_session_goes_first_when_memory_runs_out(self):
        def score(pid):
            with open("/proc/%d/oom_score_adj" % pid) as f:
                return int(f.read())
        user = self.user(MESSAGES)
        client = self.session(user, TLS)
        self.assertEqual(score(self.daemon.session_of(user)[0]), 500)
        self.assertLess(score(self.daemon.pid), 500)
        client.quit()

    def test_SYS_01_session_has_no_descriptor_but_its_own(self):
        one, two = self.user(MESSAGES), self.user(MESSAGES)
        for kind in self.each_kind():
            clients = [self.session(one, kind), self.session(two, kind)]
            seen = []
            for user in (one, two):
                found = harness.links(self.daemon.session_of(user)[0])
                own = set()
                for fd, target in found.items():
                    if target == "/dev/null" or target == self.daemon.log_path:
                        continue
                    own.add(target)
                    self.assertTrue(target.startswith(("socket:", "/memfd:", "anon_inode:", user.maildir.path)), "%d %s" % (fd, target))
                self.assertLessEqual(len([t for t in own if t.startswith("socket:")]), 2, found)
                seen.append(own)
            self.assertEqual(seen[0] & seen[1], set())
            for client in clients:
                client.quit()

    def test_SYS_worker_descriptors(self):
        for pid in self.daemon.role("pop3d-login"):
            for fd, target in harness.links(pid).items():
                self.assertTrue(target.startswith(("socket:", "anon_inode:", "/dev/null", "pipe:")) or target == self.daemon.log_path, "%d %s" % (fd, target))

    def test_SYS_08_not_dumpable_and_no_core(self):
        user = self.user(MESSAGES)
        client = self.session(user)
        confined = [pid for pid, _ in self.daemon.processes() if ids(pid, "Uid")[0] != 0]
        self.assertLess(set(self.daemon.session_of(user) + self.daemon.role("pop3d-login") + self.daemon.role("pop3d-key")), set(confined))
        for pid in confined:
            self.assertEqual(os.stat("/proc/%d/environ" % pid).st_uid, 0, harness.command_line(pid))
        for pid, _ in self.daemon.processes():
            if harness.executable(pid) != "pop3d":
                self.assertEqual(limits(pid)["Max core file size"], "0", harness.command_line(pid))
        self.assertEqual(limits(self.daemon.session_of(user)[0])["Max processes"], "0")
        client.quit()

    @unittest.skipUnless(shutil.which("strace"), "no strace")
    def test_SYS_master_looks_at_no_mailbox(self):
        """It would stand still with a file system that does: only sessions look at those of users."""
        user, daemon = self.user(MESSAGES), self.own_daemon()
        ctl, trace = control.Control(daemon), harness.world().path("master-files.strace")
        with Traced(daemon.pid, trace, "%file", ["-s", "4096"]):
            for _ in range(2):
                client = self.session(user, TLS, daemon)
                client.multi(b"RETR 1")
                ctl.lines("conn", "state", "secure", ctl.lines("conn", "list", "secure")[0])
                client.ok(b"DELE 1")
                client.quit()
            self.assertTrue(ctl.lines("history", "secure", user.name))
            daemon.reload()
        with open(trace) as f:
            text = f.read()
        self.assertIn(daemon.conf_path, text)  # what it does look at is there
        self.assertNotIn(user.home, text)

    def test_SYS_process_groups_and_signals(self):
        # each role in a group of its own, INT and TERM ignored
        groups = set()
        table = harness.parents()
        for pid in [p for p, _ in self.daemon.processes() if table.get(p) == self.daemon.pid]:
            groups.add(os.getpgid(pid))
            self.assertNotEqual(os.getpgid(pid), os.getpgid(self.daemon.pid))
            ignored = int(harness.status(pid)["SigIgn"], 16)
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
                self.assertTrue(ignored >> (signum - 1) & 1, "%s: %s" % (harness.command_line(pid), signum))

    def test_titles(self):
        user = self.user(MESSAGES)
        daemon = self.own_daemon(ps_titles="full")
        client = self.session(user, TLS, daemon)
        title = harness.command_line(daemon.session_of(user)[0])
        self.assertIn(user.name, title)
        self.assertIn("127.0.0.1", title)
        client.quit()

    def test_titles_tell_the_role_alone_by_default(self):
        user = self.user(MESSAGES)
        daemon = self.own_daemon(ps_titles=None)
        client = self.session(user, TLS, daemon)
        for pid, _ in daemon.processes():
            title = harness.command_line(pid)
            self.assertNotIn(user.name, title)
            self.assertNotIn("127.0.0.1", title)
        client.quit()


class Resources(TestCase):
    limit = 120

    def snapshot(self):
        """{program and pid: descriptors} of those that stay; one that ends meanwhile has no program any more."""
        time.sleep(0.3)
        programs = {pid: harness.executable(pid) for pid, _ in self.daemon.processes() if pid not in self.daemon.auth_children()}
        return {program + str(pid): len(harness.links(pid)) for pid, program in programs.items() if program not in ("", "pop3d-session")}

    def test_many_sessions_leave_nothing(self):
        user = self.user(MESSAGES)
        for kind in ALL_KINDS * 5:
            self.session(user, kind).quit()
        before, processes = self.snapshot(), len(self.daemon.processes())
        for kind in ALL_KINDS * 60:
            self.session(user, kind).quit()
        for kind in ALL_KINDS * 20:
            client = self.connect(kind)
            client.try_login(user, b"wrong")
            client.close()
            self.connect(kind).reset()
        harness.wait_for(lambda: self.snapshot() == before, 5, 0.2)
        self.assertEqual(self.snapshot(), before)
        self.assertLessEqual(abs(len(self.daemon.processes()) - processes), 1)

    def test_64_at_once(self):
        users = [self.user(MESSAGES) for _ in range(16)]
        errors = []

        def work(user, kind):
            try:
                for _ in range(4):
                    client = self.session(user, kind)
                    for n in range(1, 5):
                        assert client.multi(b"RETR %d" % n) == mailbox.wire(MESSAGES[n - 1])
                    client.quit()
            except BaseException as e:
                errors.append(repr(e))
        idle = [self.connect(ALL_KINDS[i % 3]) for i in range(48)]
        threads = [threading.Thread(target=work, args=(u, ALL_KINDS[i % 3])) for i, u in enumerate(users)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])
        for client in idle:
            client.quit()

    def test_many_silent_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        count = 800
        if hard < count * 4:
            self.skipTest("too few descriptors allowed")
        daemon = self.own_daemon(max_connections=2000, max_connections_per_address=2000, max_connections_per_network=2000, login_timeout=110)
        user = self.user(MESSAGES)
        context = tls_context()
        silent = [self.connect(TLS if i % 2 else PLAIN, daemon, context=context) for i in range(count)]
        for kind in ALL_KINDS:
            begun = time.monotonic()
            client = self.connect(kind, daemon)
            client.login(user)
            client.quit()
            self.assertLess(time.monotonic() - begun, 1)
        for client in silent:
            client.ok(b"QUIT")
            client.close()

    def test_more_logins_than_spares(self):
        users = [self.user(MESSAGES) for _ in range(24)]
        clients = [self.connect(ALL_KINDS[i % 3]) for i in range(24)]
        for client, user in zip(clients, users):
            client.send(b"USER %s\r\nPASS %s\r\nSTAT\r\n" % (user.name_octets, user.password_octets))
        for client in clients:
            for _ in range(3):
                self.assertTrue(client.response().startswith(b"+OK "))
        for client in clients:
            client.quit()

    def test_SYS_08_idle_costs_no_cpu(self):
        user = self.user(MESSAGES)
        clients = [self.connect(kind) for kind in ALL_KINDS] + [self.session(user, TLS)]
        half = self.connect()
        half.send(b"USER x\r\nPASS")
        half.response()
        half.shutdown_write()
        time.sleep(0.2)
        before = {pid: cpu(pid) for pid, _ in self.daemon.processes()}
        time.sleep(1.5)
        for pid, spent in before.items():
            if harness.start_time(pid):
                self.assertLess(cpu(pid) - spent, 0.1, harness.command_line(pid))
        for client in clients:
            client.quit()

    def test_SYS_08_half_closed_during_a_login_does_not_spin(self):
        daemon = self.own_daemon(auth_failure_delay=2000)
        clients = []
        for kind in ALL_KINDS:
            client = self.connect(kind, daemon)
            client.send(b"USER nobody-here\r\nPASS wrong\r\nQUIT\r\n")
            client.shutdown_write()
            clients.append(client)
        time.sleep(0.2)
        before = {pid: cpu(pid) for pid, _ in daemon.processes()}
        time.sleep(1.3)
        for pid, spent in before.items():
            self.assertLess(cpu(pid) - spent, 0.1, harness.command_line(pid))
        for client in clients:
            self.assertTrue(client.response().startswith(b"+OK "))
            self.assertTrue(client.response().startswith(b"-ERR [AUTH] "))
            self.assertTrue(client.response().startswith(b"+OK "))
            client.eof()

    def test_SYS_08_descriptors_used_up(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
        daemon = self.own_daemon(preexec=few, max_connections=1000, max_connections_per_address=1000)
        user = self.user(MESSAGES)
        sockets = []
        for _ in range(200):
            s = socket.socket()
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                s.connect((daemon.address(PLAIN), daemon.port(PLAIN)))
            sockets.append(s)
        time.sleep(0.5)
        before = cpu(daemon.pid)
        time.sleep(1)
        self.assertLess(cpu(daemon.pid) - before, 0.3, "master spins")
        for s in sockets:
            s.close()

        def attempt():
            try:
                client = self.connect(PLAIN, daemon, timeout=3)
                client.login(user)
                client.quit()
                return True
            except (AssertionError, OSError):
                return False
        self.assertTrue(harness.wait_for(attempt, 15, 0.3))

    def test_worker_connections_1_is_a_process_a_connection(self):
        daemon = self.own_daemon(worker_connections=1, login_workers=3)
        user = self.user(MESSAGES)
        for kind in ALL_KINDS * 5:
            client = self.session(user, kind, daemon)
            self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
            client.quit()
        clients = [self.connect(kind, daemon) for kind in ALL_KINDS]
        for client in clients:
            client.quit()
        harness.wait_for(lambda: len(daemon.role("pop3d-login")) >= 3, 5)
        self.assertGreaterEqual(len(daemon.role("pop3d-login")), 3)

    @unittest.skipUnless(harness.LANDLOCK_ABI == 0, "the cap is set for the whole run")
    def test_SYS_05_with_the_landlock_of_debian_12(self):
        for abi in (1, 2):
            daemon = self.own_daemon(landlock_abi_max=abi)
            user = self.user(MESSAGES)
            for kind in self.each_kind():
                user.maildir.fill(MESSAGES)
                client = self.session(user, kind, daemon)
                for n in range(1, 5):
                    self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(MESSAGES[n - 1]))
                client.ok(b"DELE 1")
                client.ok(b"DELE 2")
                client.quit()
                self.assertEqual(user.maildir.stored(), MESSAGES[2:])

    @unittest.skipUnless(harness.SANDBOX == "on", "another sandbox mode was asked for")
    @unittest.skipUnless(harness.SANDBOX == "on", "needs sandbox = on")
    def test_SYS_05_what_the_kernel_lacks_is_said(self):
        daemon = self.own_daemon(landlock_abi_max=1)  # too old for sessions that write
        daemon.log_wait("sandbox: the kernel lacks Landlock")
        self.assertIn("sandbox_lacks Landlock", control.Control(daemon).lines("status"))
        self.session(self.user(), daemon=daemon).quit()
        self.assertEqual(len(re.findall("sandbox: the kernel lacks", daemon.log())), 1)

    def test_SYS_04_nothing_is_refused_in_ordinary_work(self):
        daemon = self.own_daemon(sandbox="log")
        user = self.user(MESSAGES)
        for kind in ALL_KINDS:
            user.maildir.fill(MESSAGES)
            client = self.session(user, kind, daemon)
            client.multi(b"LIST")
            client.multi(b"UIDL")
            client.multi(b"RETR 1")
            client.multi(b"TOP 2 1")
            client.ok(b"DELE 3")
            client.quit()
        time.sleep(0.3)  # its log is looked over at the end, by Daemon.check_log


@unittest.skipUnless(shutil.which("strace"), "no strace")
class Writes(TestCase):
    """Each short reply leaves in one write, and a message's end never alone."""

    def writes(self, user, commands):
        client = self.session(user)
        pid = self.daemon.session_of(user)[0]
        trace = harness.world().path("writes-%d.strace" % pid)
        with Traced(pid, trace, "write,writev,sendto,sendmsg,setsockopt", ["-xx", "-v", "-s", "100000"]):
            for line, multi in commands:
                client.ok(line)
                if multi:
                    client.body()
            time.sleep(0.1)
        client.quit()
        with open(trace) as f:
            text = f.read()
        out = []
        for line in text.splitlines():
            if re.search(r"\b(write|writev|sendto|sendmsg)\(", line) and "= -1" not in line:
                octets = b"".join(bytes.fromhex(m.replace("\\x", "")) for m in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', line))
                out.append(octets)
        return [o for o in out if b"\r\n" in o or o.startswith(b".")]

    @harness.needs_root
    def test_writes_short_replies_leave_in_one(self):
        user = self.user(MESSAGES)
        out = self.writes(user, [(b"STAT", False), (b"NOOP", False), (b"LIST", True), (b"UIDL", True), (b"RETR 1", True), (b"TOP 1 0", True)])
        self.assertEqual(len(out), 6, out)
        for octets in out[2:]:
            self.assertTrue(octets.startswith(b"+OK ") and octets.endswith(b"\r\n.\r\n"))

    @harness.needs_root
    def test_writes_terminator_never_alone(self):
        user = self.user([b"x" * (n - 12) + b"\n" for n in (4096, 8192, 16384, 32768, 65536, 131072)] + [mailbox.letter("w", b"y" * 70 + b"\n") * 3000])
        out = self.writes(user, [(b"RETR %d" % n, True) for n in range(1, 8)])
        for octets in out:
            self.assertGreater(len(octets), 5, octets)
        self.assertEqual(sum(o.endswith(b"\r\n.\r\n") for o in out), 7)

    @harness.needs_root
    def test_writes_tcp_nodelay(self):
        # accepted sockets inherit it from the listener, where it is set before anybody can come
        trace = harness.world().path("nodelay.strace")
        daemon = self.own_daemon(wrap=["strace", "-D", "-o", trace, "-e", "trace=setsockopt,listen"])
        self.connect(daemon=daemon).quit()
        with open(trace) as f:
            calls = f.read().splitlines()
        listeners = {re.match(r"listen\((\d+),", line).group(1) for line in calls if line.startswith("listen(")}
        tuned = {m.group(1) for m in (re.match(r"setsockopt\((\d+), SOL_TCP, TCP_NODELAY, \[1\]", line) for line in calls) if m}
        self.assertEqual(len(listeners), 4)  # two servers, the control socket, and that for metrics
        self.assertEqual(len(listeners & tuned), 2)


class SmallThings(TestCase):
    def test_no_stray_files(self):
        user = self.user(MESSAGES)
        client = self.session(user, TLS)
        client.ok(b"DELE 1")
        client.quit()
        names = set(os.listdir(user.maildir.path)) - {"new", "cur", "tmp"}
        self.assertLessEqual({n for n in names if not n.startswith("pop3d-")}, set(), names)
        self.assertEqual(os.listdir(os.path.join(user.maildir.path, "tmp")), [])
        self.assertEqual(os.listdir(user.home), ["Maildir"])
        for name in names:
            entry = os.stat(os.path.join(user.maildir.path, name))
            self.assertEqual((entry.st_uid, entry.st_gid), (user.uid, user.gid))
            self.assertEqual(entry.st_mode & 0o077, 0)
