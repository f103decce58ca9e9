"""Reloads: nothing that runs is lost, what is wrong is refused with its reason, what is new serves."""

import contextlib
import grp
import os
import re
import shutil
import signal
import socket
import ssl
import threading
import time
import unittest

import client as clients
import harness
import mailbox
from client import TestCase
from control import DONE, FAILED, UNREACHABLE, Control
from harness import PLAIN, STLS, TLS

MESSAGES = mailbox.simple(3)
RELOADS = int(os.environ.get("P3T_RELOADS", "20"))  # of the test with downloads; the acceptance has 100
DOWNLOADS = int(os.environ.get("P3T_DOWNLOADS", "10"))


def any_certificate():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def der_of(path):
    with open(path) as f:
        return ssl.PEM_cert_to_DER_cert(f.read())


class Case(TestCase):
    settings = None
    limit = 120

    def start(self, **settings):
        self.daemon = self.own_daemon(**settings)
        self.ctl = Control(self.daemon)
        return self.daemon

    def pair(self, name):
        folder = os.path.join(harness.world().dir, "pairs")
        os.makedirs(folder, exist_ok=True)
        return harness.make_certificate(folder, name, key="ec")

    def served(self, port):
        """The certificate at a port, in DER."""
        c = self.connect(TLS, address=("127.0.0.1", port), context=any_certificate())
        der = c.sock.getpeercert(binary_form=True)
        c.quit()
        return der

    def generations(self):
        """(draining ones, all of them) that have workers."""
        old, known = set(), set()
        for line in self.ctl.lines("status"):
            found = re.match(r"worker \d+ .*\bgeneration=(\d+)( draining)?", line)
            if found:
                known.add(found.group(1))
                if found.group(2):
                    old.add(found.group(1))
        return old, known

    def assertOneGeneration(self, timeout=10):
        self.assertTrue(harness.wait_for(lambda: len(self.daemon.role("pop3d-login")) == 2, timeout), "old workers stay")
        self.assertEqual(len(self.generations()[1]), 1)

    def assertClosed(self, port, address="127.0.0.1"):
        with self.assertRaises(OSError):
            socket.create_connection((address, port), 2).close()


class Downloads(Case):
    limit = 500

    def test_reloads_during_downloads(self):
        """P3T_RELOADS and P3T_DOWNLOADS set how many of each."""
        self.start(login_timeout=60)
        block = b"".join(b"%06d a line of a message that takes a while to fetch\n" % i for i in range(400000 // max(10, DOWNLOADS)))
        big = [mailbox.letter("big%d" % i, block) for i in range(2)]
        wire = [mailbox.wire(m) for m in big]
        users = [self.user(big) for _ in range(DOWNLOADS)]
        over, lost, fetched = threading.Event(), [], [0] * DOWNLOADS

        def fetch(i):
            kind = (TLS, PLAIN, STLS)[i % 3]
            try:
                while not over.is_set():
                    c = clients.Client(self.daemon, kind, rcvbuf=65536, timeout=60)
                    with contextlib.closing(c):
                        deadline = time.monotonic() + 10
                        while not c.try_login(users[i]).startswith(b"+OK"):  # the last session may still be ending
                            if time.monotonic() > deadline:
                                raise AssertionError("no login")
                            time.sleep(0.01)
                        for n, want in enumerate(wire):
                            if c.multi(b"RETR %d" % (n + 1)) != want:
                                raise AssertionError("another text")
                            fetched[i] += 1
                        c.quit()
            except Exception as e:  # noqa: BLE001 (told by the test)
                lost.append("%s: %r" % (kind, e))
        threads = [threading.Thread(target=fetch, args=(i,)) for i in range(DOWNLOADS)]
        for t in threads:
            t.start()
        most = 0
        try:
            for _ in range(RELOADS):
                self.assertEqual(self.ctl.run("reload", timeout=70), (DONE, "", ""))
                most = max(most, len(self.generations()[0]))
                time.sleep(0.1)
        finally:
            over.set()
            for t in threads:
                t.join(60)
        self.assertEqual(lost, [])
        self.assertLessEqual(most, 4)
        self.assertTrue(all(n > 0 for n in fetched), fetched)
        self.assertEqual(self.daemon.log().count("reloaded "), RELOADS)
        self.assertOneGeneration()
        self.assertTrue(harness.wait_for(lambda: self.ctl.pairs("status")["connections"] == "0"))

    def test_never_more_than_four_old_generations(self):
        self.start()
        user = [self.user(MESSAGES) for _ in range(5)]
        held = []
        for i in range(4):  # one relay for each generation
            held.append(self.session(user[i], TLS, self.daemon))
            self.ctl.done("reload")
        self.assertEqual(len(self.generations()[0]), 4)
        held.append(self.session(user[4], TLS, self.daemon))
        waiting = [self.ctl.start("reload") for _ in range(3)]  # they count as one
        self.daemon.send_signal(signal.SIGHUP)
        time.sleep(2)
        self.assertEqual([p.poll() for p in waiting], [None] * 3)
        self.assertEqual((len(self.generations()[0]), len(self.generations()[1])), (4, 5))
        before = self.daemon.log().count("reloaded ")
        self.connect(TLS, self.daemon).quit()  # and it serves
        held[1].quit()
        for p in waiting:
            self.assertEqual(p.communicate(timeout=10), (b"", b""))
            self.assertEqual(p.returncode, DONE)
        self.assertEqual(len(self.generations()[0]), 4)
        self.assertLessEqual(self.daemon.log().count("reloaded ") - before, 2)
        for c in held[:1] + held[2:]:
            c.ok(b"NOOP")
            c.quit()
        self.assertOneGeneration()

    def test_plain_sessions_hold_no_generation(self):
        self.start()
        users = [self.user(MESSAGES) for _ in range(7)]
        held = []
        for user in users:
            held.append(self.session(user, PLAIN, self.daemon))
            self.ctl.done("reload")
        self.assertOneGeneration()
        for c in held:
            self.assertEqual(c.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
            c.quit()

    def test_a_burst_of_reloads(self):
        self.start()
        session = self.session(self.user(MESSAGES), TLS, self.daemon)
        running = [self.ctl.start("reload") for _ in range(8)]
        for _ in range(50):
            self.daemon.send_signal(signal.SIGHUP)
        for p in running:
            self.assertEqual(p.communicate(timeout=30), (b"", b""))
            self.assertEqual(p.returncode, DONE)
        session.ok(b"NOOP")
        session.quit()
        self.ctl.done("reload")
        self.assertOneGeneration()

    def test_undecided_connections_finish_where_they_began(self):
        self.start()
        user = self.user(MESSAGES)
        plain, stls, tls = (self.connect(kind, self.daemon) for kind in (PLAIN, STLS, TLS))
        greeted = self.connect(PLAIN, self.daemon)
        greeted.ok(b"USER " + user.name_octets)
        for _ in range(3):
            self.ctl.done("reload")
        for c in (plain, stls, tls):
            c.login(user)
            self.assertEqual(c.multi(b"RETR 2"), mailbox.wire(MESSAGES[1]))
            c.quit()
            deadline = time.monotonic() + 5
            while self.daemon.session_of(user) and time.monotonic() < deadline:
                time.sleep(0.02)
        greeted.ok(b"PASS " + user.password_octets)
        greeted.quit()
        self.assertOneGeneration()


class Servers(Case):
    def test_servers_come_and_go(self):
        self.start()
        user = self.user(MESSAGES)
        session, early = self.session(user, TLS, self.daemon), self.connect(TLS, self.daemon)
        old = self.daemon.port(TLS)
        third = harness.free_port()
        gone = self.daemon.servers.pop("secure")
        self.daemon.servers["third"] = {"addresses": ["127.0.0.1"], "port": third, "socket": "plain"}
        self.daemon.write_conf()
        self.ctl.done("reload")
        self.connect(PLAIN, self.daemon, address=("127.0.0.1", third)).quit()  # it is up when the answer comes
        self.assertClosed(old)
        self.assertEqual(self.ctl.done("cget", "secure", "-state"), "exiting")
        session.ok(b"DELE 1")
        early.ok(b"QUIT")
        session.quit()
        self.assertTrue(harness.wait_for(lambda: self.ctl.run("cget", "secure", "-state").status == FAILED))
        self.assertEqual(user.maildir.stored(), MESSAGES[1:])
        self.daemon.servers["secure"] = gone
        self.daemon.write_conf()
        self.ctl.done("reload")
        self.connect(TLS, self.daemon).quit()

    def test_settings_of_a_server_change(self):
        self.start()
        user = self.user(MESSAGES)
        clear = self.daemon.servers["clear"]
        open_before = self.connect(PLAIN, self.daemon)
        self.assertIn(b"STLS", open_before.listing(b"CAPA"))
        clear.update(socket="plain", storage="maildir:%h/Elsewhere")
        self.daemon.write_conf()
        self.ctl.done("reload")
        now = self.ctl.pairs("configure", "clear")
        self.assertEqual((now["-socket"], now["-storage"], now["-state"]), ("plain", "maildir:%h/Elsewhere", "up"))
        self.assertNotIn(b"STLS", self.connect(PLAIN, self.daemon).listing(b"CAPA"))
        c = self.session(user, PLAIN, self.daemon)
        self.assertEqual(c.ok(b"STAT"), b"+OK 0 0")
        c.quit()
        clear["auth"] = ""
        self.daemon.write_conf()
        answer = self.ctl.run("reload")
        if answer.status == DONE:
            self.assertTrue(self.connect(PLAIN, self.daemon).try_login(user).startswith(b"-ERR [AUTH] "))

    def test_run_time_servers_stay(self):
        self.start()
        port = self.ctl.server("mine", auth=self.daemon.settings["auth"], storage="maildir:%h/Maildir")
        self.ctl.done("new", "down-one")
        self.ctl.done("down", "clear")
        before = self.ctl.done("configure", "mine")
        session = self.session(self.user(MESSAGES), PLAIN, self.daemon, address=("127.0.0.1", port))
        for _ in range(3):
            self.ctl.done("reload")
        self.assertEqual(self.ctl.done("configure", "mine"), before)
        self.assertEqual(self.ctl.done("cget", "down-one", "-state"), "down")
        self.assertEqual(self.ctl.done("cget", "clear", "-state"), "down")  # who took it down meant it
        self.assertClosed(self.daemon.port(PLAIN))
        self.ctl.done("up", "clear")
        self.connect(PLAIN, self.daemon).quit()
        self.connect(PLAIN, self.daemon, address=("127.0.0.1", port)).quit()
        session.quit()

    def addresses(self, *addresses):
        self.daemon.servers["clear"]["addresses"] = list(addresses)
        self.daemon.write_conf()
        self.assertEqual(self.ctl.run("reload"), (DONE, "", ""))

    def test_addresses_change(self):
        self.start()
        port = self.daemon.port(PLAIN)
        session = self.session(self.user(MESSAGES), PLAIN, self.daemon)
        for addresses in (["127.0.0.1", "127.0.0.2"], ["127.0.0.2"], ["127.0.0.3", "127.0.0.2", "127.0.0.1"], ["127.0.0.1"]):
            with self.subTest(addresses=addresses):
                self.addresses(*addresses)
                for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
                    if address in addresses:
                        self.connect(PLAIN, self.daemon, address=(address, port)).quit()
                    else:
                        self.assertClosed(port, address)
        session.quit()

    def test_from_one_address_to_all_and_back(self):
        self.start()
        port = self.daemon.port(PLAIN)
        for addresses in (["*"], ["127.0.0.1"], ["0.0.0.0"], ["127.0.0.2"]):
            with self.subTest(addresses=addresses):
                self.addresses(*addresses)
                self.connect(PLAIN, self.daemon, address=("127.0.0.2" if addresses == ["127.0.0.2"] else "127.0.0.1", port)).quit()

    def test_a_busy_port_stays_busy_after_that(self):
        self.start()
        port = self.daemon.port(PLAIN)
        self.addresses("*")
        self.ctl.done("new", "x")
        self.ctl.done("configure", "x", "-port", port)
        self.assertIn("Address already in use", self.ctl.refused(FAILED, "up", "x"))
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with self.assertRaises(OSError):
                s.bind(("127.0.0.9", port))
        self.connect(PLAIN, self.daemon, address=("127.0.0.1", port)).quit()


class StartSettings(Case):
    def test_what_holds_until_the_next_start_is_said(self):
        self.start()
        keep = dict(self.daemon.settings)
        self.daemon.write_conf(runtime_dir="/nonexistent/elsewhere", log="stderr" if keep.get("log") != "stderr" else "syslog")
        for count in (1, 2):  # for as long as the file says so
            self.ctl.done("reload")
            for name in ("runtime_dir", "log"):
                self.assertEqual(self.daemon.log().count(" %s: the change takes effect at the next start" % name), count)
        self.connect(TLS, self.daemon).quit()
        self.session(self.user(MESSAGES), PLAIN, self.daemon).quit()
        self.daemon.write_conf(runtime_dir=keep["runtime_dir"], log=keep.get("log"))
        self.ctl.done("reload")
        self.assertEqual(self.daemon.log().count("takes effect at the next start"), 4)

    @harness.needs_root
    def test_control_group_is_taken_up(self):
        self.start()
        member, other = self.user(), self.user()

        def listing(user):
            return self.ctl.run("list", user=user.uid, group=user.gid, extra_groups=[]).status
        self.assertEqual([listing(member), listing(other)], [UNREACHABLE] * 2)
        for group, wanted in ((member, [DONE, UNREACHABLE]), (other, [UNREACHABLE, DONE]), (None, [UNREACHABLE] * 2)):
            self.daemon.write_conf(control_group=grp.getgrgid(group.gid).gr_name if group else None)
            self.ctl.done("reload")
            self.assertEqual([listing(member), listing(other)], wanted)
        self.daemon.write_conf(control_group="p3t-no-such-group")
        self.assertIn("p3t-no-such-group", self.ctl.refused(FAILED, "reload"))
        self.daemon.write_conf(control_group=None)
        self.ctl.done("reload")


class Refused(Case):
    def refused(self, pattern):
        def state():
            return [dict(row, connections="") for row in self.ctl.json("list")]
        before = state()
        self.assertRegex(self.ctl.refused(FAILED, "reload"), pattern)
        self.assertEqual(state(), before)
        self.connect(TLS, self.daemon).quit()
        self.connect(PLAIN, self.daemon).quit()

    def test_broken_file_is_refused_with_the_reason(self):
        self.start()
        session = self.session(self.user(MESSAGES), TLS, self.daemon)
        with open(self.daemon.conf_path) as f:
            good = f.read()
        lines = good.count("\n")
        for text, line, reason in (("nonsense = 1", lines + 1, "nonsense"), ("idle_timeout = x", lines + 1, "idle_timeout"),
                                   ("\nserver x { port = 70000 }", lines + 2, "65535"),
                                   ('server a { port = %d socket = "plain" }' % self.daemon.port(TLS), lines + 1, "secure")):
            with self.subTest(text=text):
                with open(self.daemon.conf_path, "w") as f:
                    f.write(good + text + "\n")
                self.refused(r"%s:%d: .*%s" % (re.escape(self.daemon.conf_path), line, reason))
        os.unlink(self.daemon.conf_path)
        self.refused(re.escape(self.daemon.conf_path))
        with open(self.daemon.conf_path, "w") as f:
            f.write(good)
        self.ctl.done("reload")
        session.ok(b"NOOP")
        session.quit()
        self.assertOneGeneration()

    def test_busy_port(self):
        self.start()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            free = harness.free_port()
            self.daemon.servers["a-free"] = {"addresses": ["127.0.0.1"], "port": free, "socket": "plain"}
            self.daemon.servers["b-busy"] = {"addresses": ["127.0.0.1"], "port": s.getsockname()[1], "socket": "plain"}
            self.daemon.write_conf()
            self.refused("b-busy .*Address already in use")
            self.assertClosed(free)  # what was bound for it is let go
        self.ctl.done("reload")
        self.connect(PLAIN, self.daemon, address=("127.0.0.1", free)).quit()

    @harness.needs_root
    def test_missing_account(self):
        self.start()
        keep = self.daemon.settings["login_user"]
        self.daemon.write_conf(login_user="p3t-nobody-here")
        self.refused("p3t-nobody-here")
        self.daemon.write_conf(login_user=keep)
        self.ctl.done("reload")

    def test_bad_certificate_keeps_the_old_one(self):
        good, other = self.pair("good"), self.pair("other")
        nonsense = harness.world().path("nonsense.pem")
        with open(nonsense, "w") as f:
            f.write("nonsense\n")
        self.start(certificate=good[0], certificate_key=good[1])
        port = self.daemon.port(TLS)
        session = self.connect(TLS, self.daemon, context=any_certificate())
        for pair in ((good[0], other[1]), (other[0], good[1]), (nonsense, good[1]), (good[0], nonsense),
                     ("/nonexistent", good[1]), (good[0], "/nonexistent")):
            with self.subTest(pair=pair):
                self.daemon.write_conf(certificate=pair[0], certificate_key=pair[1])
                self.assertRegex(self.ctl.refused(FAILED, "reload"), r"(?i)certificate|key")
                self.assertEqual(self.served(port), der_of(good[0]))
        self.daemon.write_conf(certificate=other[0], certificate_key=other[1])
        self.ctl.done("reload")
        self.assertEqual(self.served(port), der_of(other[0]))
        session.quit()
        self.assertOneGeneration()


class Certificates(Case):
    def test_changed_paths(self):
        first, second = self.pair("first"), self.pair("second")
        self.start(certificate=first[0], certificate_key=first[1])
        session = self.connect(TLS, self.daemon, context=any_certificate())
        self.daemon.write_conf(certificate=second[0], certificate_key=second[1])
        self.ctl.done("reload")
        for _ in range(4):  # every worker
            self.assertEqual(self.served(self.daemon.port(TLS)), der_of(second[0]))
        c = self.connect(STLS, self.daemon, context=any_certificate())
        self.assertEqual(c.sock.getpeercert(binary_form=True), der_of(second[0]))
        c.quit()
        session.quit()

    def test_same_path_other_file(self):
        first, second = self.pair("one"), self.pair("two")
        paths = [harness.world().path("live" + end) for end in (".pem", ".key")]
        for source, path in zip(first, paths):
            shutil.copy(source, path)
        self.start(certificate=paths[0], certificate_key=paths[1])
        for source, path in zip(second, paths):
            shutil.copy(source, path)
        self.ctl.done("reload")
        self.assertEqual(self.served(self.daemon.port(TLS)), der_of(second[0]))

    def test_server_of_run_time_with_its_own(self):
        own, common = self.pair("own"), harness.world().certificate()
        self.start()
        for kind in ("tls", "plain+stls"):
            port = self.ctl.server(kind[:3], socket="%s:%s:%s" % (kind, *own))
            if kind == "tls":
                self.assertEqual(self.served(port), der_of(own[0]))  # at once
            else:
                c = self.connect(STLS, self.daemon, address=("127.0.0.1", port), context=any_certificate())
                self.assertEqual(c.sock.getpeercert(binary_form=True), der_of(own[0]))
                c.quit()
        self.assertEqual(self.served(self.daemon.port(TLS)), der_of(common[0]))
        self.ctl.done("reload")
        port = int(self.ctl.done("cget", "tls", "-port"))
        self.assertEqual(self.served(port), der_of(own[0]))
        self.ctl.done("down", "tls")
        self.ctl.done("up", "tls")
        self.assertEqual(self.served(int(self.ctl.done("cget", "tls", "-port"))), der_of(own[0]))

    def test_several_at_the_same_time(self):
        self.start()
        pairs = [self.pair("many%d" % i) for i in range(6)]
        for i, pair in enumerate(pairs):
            self.ctl.done("new", "s%d" % i)
            self.ctl.done("configure", "s%d" % i, "-port", 0, "-socket", "tls:%s:%s" % pair)
        running = [self.ctl.start("up", "s%d" % i) for i in range(3)] + [self.ctl.start("reload")]
        running += [self.ctl.start("up", "s%d" % i) for i in range(3, 6)]
        for i in (0, 1, 2, 4, 5, 6):
            self.assertEqual(running[i].communicate(timeout=30), (b"", b""))
            number = i if i < 3 else i - 1
            port = int(self.ctl.done("cget", "s%d" % number, "-port"))
            self.assertEqual(self.served(port), der_of(pairs[number][0]))
        self.assertEqual(running[3].communicate(timeout=30), (b"", b""))
        self.assertOneGeneration()

    def test_bad_pair_of_run_time_hurts_nobody(self):
        own, other = self.pair("a"), self.pair("b")
        self.start()
        self.ctl.done("new", "x")
        port = harness.free_port()
        self.ctl.done("configure", "x", "-port", port, "-socket", "tls:%s:%s" % (own[0], other[1]))
        self.ctl.done("reload")  # it is down: nobody asks for its pair
        self.assertRegex(self.ctl.refused(FAILED, "up", "x"), "(?i)certificate|key")
        self.assertEqual(self.ctl.done("cget", "x", "-state"), "down")
        self.assertClosed(port)
        self.connect(TLS, self.daemon).quit()
        self.ctl.done("reload")
        y = self.ctl.server("y", socket="tls:%s:%s" % own)
        self.assertEqual(self.served(y), der_of(own[0]))
        self.ctl.done("configure", "x", "-socket", "tls:%s:%s" % other)
        self.ctl.done("up", "x")
        self.assertEqual(self.served(port), der_of(other[0]))

    def test_reconfigured_while_up(self):
        """What is up goes on with what it has until the next `up`."""
        own, other = self.pair("c"), self.pair("d")
        self.start()
        port = self.ctl.server("x", socket="tls:%s:%s" % own)
        self.ctl.done("configure", "x", "-socket", "tls:%s:%s" % (own[0], other[1]))
        self.ctl.done("reload")
        self.assertEqual(self.served(port), der_of(own[0]))
        self.ctl.done("down", "x")
        self.ctl.refused(FAILED, "up", "x")
        self.ctl.done("configure", "x", "-socket", "tls:%s:%s" % other)
        self.ctl.done("up", "x")
        self.assertEqual(self.served(int(self.ctl.done("cget", "x", "-port"))), der_of(other[0]))


class Crashes(Case):
    def test_worker_killed_while_a_reload_is_under_way(self):
        self.start()
        for _ in range(6):
            before = set(self.daemon.role("pop3d-login"))
            running = self.ctl.start("reload")
            harness.wait_for(lambda: set(self.daemon.role("pop3d-login")) - before, 2, 0.001)
            for pid in set(self.daemon.role("pop3d-login")) - before:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            running.communicate(timeout=70)
            self.assertIn(running.returncode, (DONE, FAILED))
            # one that had taken over already may have had a client
            self.assertTrue(harness.wait_for(lambda: self.daemon._greets(self.daemon.servers["secure"]), 10, 0.1))
        self.ctl.done("reload")
        self.assertOneGeneration()

    def test_a_reload_that_was_asked_for_meanwhile_hears_its_own_answer(self):
        daemon = self.own_daemon()
        ctl = Control(daemon)
        key = daemon.settings["certificate_key"]
        other = harness.make_certificate(harness.world().dir, "reload-other", key="ec")[1]
        for _ in range(200):  # it ends with the first that is caught
            old, held = set(daemon.role("pop3d-login")), set()
            daemon.write_conf(certificate_key=other)
            first = ctl.start("reload")
            while first.poll() is None and not held:
                held = set(daemon.role("pop3d-login")) - old
                for pid in held:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGSTOP)
            daemon.write_conf(certificate_key=key)
            second = ctl.start("reload")
            harness.wait_for(lambda: open("/proc/%d/stat" % second.pid).read().split()[2] == "S", 5)
            ctl.json("status")
            meanwhile = first.poll() is None
            for pid in held:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self.assertIn(b"does not belong to", first.communicate(timeout=60)[1])
            self.assertEqual(second.communicate(timeout=60), (b"", b""))
            self.assertEqual(second.returncode, DONE)
            if meanwhile:
                return
        self.skipTest("no worker was caught before it answered")

    def test_up_does_not_hear_the_refusal_of_a_reload(self):
        self.start()
        key, own = self.daemon.settings["certificate_key"], self.pair("own")
        for _ in range(200):  # it ends with the first that is caught
            old, held = set(self.daemon.role("pop3d-login")), set()
            port = harness.free_port()
            self.ctl.done("new", "x")
            self.ctl.done("configure", "x", "-port", port, "-socket", "tls:%s:%s" % own)
            self.daemon.write_conf(certificate_key=self.pair("other")[1])
            reload = self.ctl.start("reload")
            while reload.poll() is None and not held:
                held = set(self.daemon.role("pop3d-login")) - old
                for pid in held:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGSTOP)
            up = self.ctl.start("up", "x")
            harness.wait_for(lambda: open("/proc/%d/stat" % up.pid).read().split()[2] == "S", 5)
            self.ctl.json("status")
            meanwhile = reload.poll() is None
            for pid in held:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self.assertIn(b"does not belong to", reload.communicate(timeout=60)[1])
            self.assertEqual(up.communicate(timeout=60), (b"", b""))
            self.assertEqual(up.returncode, DONE)
            self.assertEqual(self.served(port), der_of(own[0]))
            self.daemon.write_conf(certificate_key=key)
            if meanwhile:
                return
            self.ctl.done("destroy", "x")
        self.skipTest("no worker was caught before it answered")

    def test_helper_keeps_the_settings_that_it_has(self):
        """What only the helper can judge, a PAM service without a file, costs no helper."""
        self.start()
        helper, since, user = self.daemon.auth_helper(), len(self.daemon.log()), self.user(MESSAGES)
        auth = self.daemon.settings["auth"]
        self.daemon.write_conf(auth="pam:p3t-no-such-service")
        self.ctl.done("reload")
        self.daemon.log_wait("pop3d-auth keeps its former settings", since=since)
        self.assertEqual(self.daemon.auth_helper(), helper)
        self.session(user, daemon=self.daemon).quit()
        self.daemon.write_conf(auth=auth)
        self.ctl.done("reload")
        self.session(user, daemon=self.daemon).quit()
        self.assertEqual(self.daemon.auth_helper(), helper)

    def test_stop_while_a_reload_is_under_way(self):
        for signum in (signal.SIGTERM, signal.SIGINT):
            daemon = harness.Daemon()
            running = [Control(daemon).start("reload") for _ in range(3)]
            time.sleep(0.01)
            self.assertEqual(daemon.stop(signum), [])
            for p in running:
                p.communicate(timeout=10)


if __name__ == "__main__":
    unittest.main()
