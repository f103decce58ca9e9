"""CONFORMANCE group CON: connection, greeting, timers."""

import base64
import os
import re
import signal
import socket
import time

import control
import harness
import mailbox
import network
from client import EOF, Ok, TestCase, plain_response, tls_context
from harness import ALL_KINDS, PLAIN, STLS, TLS

IDLE = 3  # seconds, idle_timeout of the timer tests


class Greeting(TestCase):
    def test_CON_01_implicit_tls_greets_inside_tls(self):
        client = self.connect(TLS)
        self.assertIn(client.sock.version(), ("TLSv1.2", "TLSv1.3"))
        self.assertTrue(client.greeting.startswith(b"+OK "))
        client.quit()

    def test_CON_01_nothing_in_clear_on_the_tls_port(self):
        with socket.create_connection((self.daemon.address(TLS), self.daemon.port(TLS)), 5) as s:
            s.settimeout(0.5)
            with self.assertRaises(TimeoutError):
                s.recv(100)

    def test_CON_02_one_positive_line_and_then_silence(self):
        for kind in self.each_kind((PLAIN, TLS)):
            client = self.connect(kind)
            client.silent(0.4)
            client.quit()

    def test_CON_03_greeting_form(self):
        for kind in self.each_kind((PLAIN, TLS)):
            client = self.connect(kind)
            self.assertLessEqual(len(client.greeting) + 2, 512)
            self.assertNotIn(b"<", client.greeting)  # no APOP in this version
            self.assertRegex(client.greeting, rb"\A\+OK [\x20-\x7e]+\Z")
            client.quit()

    def test_CON_04_client_certificate_does_not_log_in(self):
        for kind in self.each_kind((STLS, TLS)):
            client = self.connect(kind, context=tls_context(certificate=harness.world().certificate()))
            client.err(b"STAT")
            client.err(b"NOOP")
            client.quit()

    def test_CON_10_half_close_after_whole_commands(self):
        for kind in self.each_kind():
            user = self.user(mailbox.simple(2))
            client = self.session(user, kind)
            client.send(b"DELE 1\r\nQUIT\r\n")
            client.shutdown_write()
            self.assertTrue(client.response().startswith(b"+OK "))
            self.assertTrue(client.response().startswith(b"+OK "))
            client.eof()
            self.assertEqual(user.maildir.stored(), mailbox.simple(2)[1:])

    def test_CON_10_half_close_before_login(self):
        for kind in self.each_kind():
            client = self.connect(kind)
            client.send(b"CAPA\r\nQUIT\r\n")
            client.shutdown_write()
            self.assertTrue(client.response().startswith(b"+OK "))
            client.body()
            self.assertTrue(client.response().startswith(b"+OK "))
            client.eof()

    def test_CON_10_half_close_with_the_login_in_the_pipe(self):
        for kind in self.each_kind():
            user = self.user(mailbox.simple(2))
            client = self.connect(kind)
            client.send(b"USER %s\r\nPASS %s\r\nDELE 2\r\nQUIT\r\n" % (user.name_octets, user.password_octets))
            client.shutdown_write()
            for _ in range(4):
                self.assertTrue(client.response().startswith(b"+OK "))
            client.eof()
            self.assertEqual(user.maildir.stored(), mailbox.simple(2)[:1])


class Timers(TestCase):
    settings = {"idle_timeout": IDLE, "login_timeout": 2, "password_timeout": 2, "handshake_timeout": 1}

    def test_CON_05_any_command_restarts_the_timer(self):
        user = self.user(mailbox.simple(1))
        clients = [self.session(user)]
        begun = time.monotonic()
        while time.monotonic() - begun < IDLE * 2:
            time.sleep(IDLE * 0.6)
            clients[0].err(b"NONS")
            time.sleep(IDLE * 0.6)
            clients[0].ok(b"NOOP")
        clients[0].quit()

    def test_CON_05_login_timer_before_login(self):
        begun = time.monotonic()
        clients = [self.connect(kind) for kind in ALL_KINDS]
        for client in clients:
            client.clean_eof()
        self.assertLess(1, time.monotonic() - begun)
        self.assertLess(time.monotonic() - begun, 10)

    def test_CON_05_login_timer_restarts_with_each_command(self):
        client = self.connect(PLAIN)
        for _ in range(3):
            time.sleep(1.2)
            client.multi(b"CAPA")
        client.quit()

    def test_CON_05_who_types_a_password_is_not_cut_off(self):
        """Mail programs ask for it after CAPA, USER or AUTH; one that has said nothing is closed meanwhile."""
        daemon = self.own_daemon(login_timeout=1, password_timeout=600)
        for kind in self.each_kind():
            user, typing = self.user(mailbox.simple(1)), [self.connect(kind, daemon) for _ in range(3)]
            typing[0].multi(b"CAPA")
            typing[1].ok(b"USER " + user.name_octets)
            typing[2].send(b"AUTH PLAIN\r\n")
            typing[2].challenge()
            self.connect(PLAIN, daemon).clean_eof()
            typing[0].login(user)
            typing[0].quit()
            typing[1].ok(b"PASS " + user.password_octets)
            typing[1].quit()
            typing[2].ok(plain_response(user))
            typing[2].quit()

    def test_CON_06_expiry_closes_without_a_word_and_without_update(self):
        sessions = []
        for kind in ALL_KINDS:
            user = self.user(mailbox.simple(2))
            client = self.session(user, kind)
            client.ok(b"DELE 1")
            sessions.append((user, client, time.monotonic()))
        for user, client, since in sessions:
            client.eof()
            took = time.monotonic() - since
            self.assertLess(IDLE * 0.8, took)
            self.assertLess(took, IDLE + 4)
            self.assertEqual(user.maildir.stored(), mailbox.simple(2))
            again = self.session(user)
            self.assertEqual(len(again.listing(b"LIST")), 2)
            again.quit()

    def test_CON_06_stopped_session_is_killed(self):
        """Its owner may stop it: master sees that it outlives idle_timeout."""
        daemon, stopped = self.own_daemon(idle_timeout=15), []
        for kind in (PLAIN, TLS):
            user = self.user(mailbox.simple(2))
            client = self.session(user, kind, daemon)
            pid = daemon.session_of(user)[0]
            client.ok(b"DELE 1")
            self.assertTrue(harness.wait_for(lambda: harness.status(pid)["State"].startswith("S")))  # it waits for its client
            os.kill(pid, signal.SIGSTOP)
            stopped.append((user, client, pid))
        for user, client, pid in stopped:
            daemon.log_wait(r"session pid=%d is killed: it outlives idle_timeout" % pid, timeout=90)
            client.eof()
            self.assertEqual(daemon.log_fields("session-end", user=user.name)["reason"], "killed")
            self.assertEqual(user.maildir.stored(), mailbox.simple(2))

    def test_CON_06_REG_17_expiry_with_half_a_quit(self):
        user = self.user(mailbox.simple(2))
        client = self.session(user)
        client.ok(b"DELE 1")
        client.send(b"QUIT")
        client.eof()
        self.assertEqual(len(user.maildir.stored()), 2)

    def test_CON_07_slow_download_does_not_expire(self):
        idle = 8  # a busy host may stop the client for some of it
        daemon = self.own_daemon(idle_timeout=idle)
        message = mailbox.letter("slow", (b"0123456789abcdef" * 4 + b"\n") * (20 << 14))
        want, got = mailbox.wire(message) + b".\r\n", {}
        for kind in (PLAIN, TLS):
            client = self.session(self.user([message]), kind, daemon, rcvbuf=65536)
            client.ok(b"RETR 1")
            got[client] = bytearray(client.buffer)
            client.buffer = b""
        begun = time.monotonic()
        while min(map(len, got.values())) < len(want):
            client = min(got, key=lambda c: len(got[c]))
            piece = client.sock.recv(65536)
            self.assertTrue(piece, "closed in the middle of a download")
            got[client] += piece
            ahead = len(got[client]) / len(want) * idle * 1.6 - (time.monotonic() - begun)
            if ahead > 0:
                time.sleep(ahead)
        self.assertGreater(time.monotonic() - begun, idle * 1.4)
        for client, octets in got.items():
            self.assertTrue(octets == want)
            client.ok(b"NOOP")
            client.quit()

    def test_CON_07_send_without_progress_ends_the_session(self):
        message = b"x" * 70 + b"\n"
        message *= (40 << 20) // len(message)
        sessions = []
        for kind in (PLAIN, TLS):
            user = self.user([b"short\n", message])
            client = self.session(user, kind, rcvbuf=65536)
            client.ok(b"DELE 1")
            client.send(b"RETR 2\r\n")
            sessions.append((user, client))
        time.sleep(IDLE)
        for user, client in sessions:
            again = harness.wait_for(lambda: self.attempt(user), IDLE + 6, 0.3)
            self.assertTrue(again, "the lock is still held")
            self.assertEqual(len(again.listing(b"LIST")), 2)
            again.quit()
            self.assertNotEqual(client.rest()[-5:], b"\r\n.\r\n")

    def attempt(self, user):
        client = self.connect()
        return client if client.try_login(user).startswith(b"+OK") else client.close()

    def test_CON_08_handshake_has_a_limit_of_its_own(self):
        with socket.create_connection((self.daemon.address(TLS), self.daemon.port(TLS)), 5) as s:
            begun = time.monotonic()
            s.settimeout(8)
            self.assertNotIn(b"+OK", s.recv(1000))
            self.assertLess(time.monotonic() - begun, 5)

    def test_CON_08_handshake_limit_after_stls(self):
        client = self.connect(PLAIN)
        client.ok(b"STLS")
        begun = time.monotonic()
        self.assertNotIn(b"-ERR", client.rest())
        self.assertLess(time.monotonic() - begun, 5)


class Cut(TestCase):
    """CON-09: only a complete QUIT line deletes."""

    def check_kept(self, user):
        again = self.session(user)
        self.assertEqual(len(again.listing(b"LIST")), 2)
        again.quit()
        self.assertEqual(user.maildir.stored(), mailbox.simple(2))

    def marked(self, kind, **options):
        user = self.user(mailbox.simple(2))
        client = self.session(user, kind, **options)
        client.ok(b"DELE 1")
        return user, client

    def test_CON_09_eof(self):
        for kind in self.each_kind():
            user, client = self.marked(kind)
            client.close()
            self.check_kept(user)

    def test_CON_09_half_close(self):
        for kind in self.each_kind():
            user, client = self.marked(kind)
            client.shutdown_write()
            client.eof()
            self.check_kept(user)

    def test_CON_09_reset(self):
        for kind in self.each_kind():
            user, client = self.marked(kind)
            client.reset()
            self.check_kept(user)

    def test_CON_09_close_notify_is_no_quit(self):
        for kind in self.each_kind((STLS, TLS)):
            user, client = self.marked(kind)
            client.sock.unwrap()
            self.check_kept(user)

    def test_CON_09_REG_17_quit_cut_off(self):
        for kind in self.each_kind():
            for piece in (b"Q", b"QUI", b"QUIT", b"QUIT\r", b"QUIT "):
                with self.subTest(piece=piece):
                    user, client = self.marked(kind)
                    client.send(piece)
                    client.shutdown_write()
                    client.eof()
                    self.check_kept(user)

    def test_CON_09_quit_cut_off_and_reset(self):
        for kind in self.each_kind():
            user, client = self.marked(kind)
            client.send(b"QUIT\r")
            time.sleep(0.05)
            client.reset()
            self.check_kept(user)

    def test_CON_09_killed_session(self):
        for kind in self.each_kind():
            user, client = self.marked(kind)
            pids = self.daemon.session_of(user)
            self.assertEqual(len(pids), 1)
            harness.os.kill(pids[0], signal.SIGKILL)
            self.assertEqual(client.rest(), b"")
            self.check_kept(user)

    def test_CON_09_sigterm_of_the_daemon(self):
        daemon = harness.Daemon(shutdown_timeout=1)
        marked = []
        for kind in ALL_KINDS:
            user = self.user(mailbox.simple(2))
            client = self.session(user, kind, daemon)
            client.ok(b"DELE 1")
            marked.append((user, client))
        self.assertEqual(daemon.stop(), [])
        for user, client in marked:
            client.rest()
            self.assertEqual(user.maildir.stored(), mailbox.simple(2))


class Limits(TestCase):
    def probes_gone(self, daemon):
        """The harness's own connections, that saw it ready, have ended."""
        ctl = control.Control(daemon)
        self.assertTrue(harness.wait_for(lambda: not any(ctl.lines("conn", "list", name) for name in daemon.servers)))

    def test_CON_11_per_address_limit(self):
        daemon = self.own_daemon(max_connections_per_address=3)
        self.probes_gone(daemon)
        clients = [self.connect(daemon=daemon) for _ in range(3)]
        refused = self.connect(daemon=daemon, greet=False)
        rest = refused.rest()
        self.assertTrue(rest == b"" or rest.startswith(b"-ERR [SYS/TEMP] "), rest)
        self.assertLessEqual(rest.count(b"\n"), 1)
        other = self.connect(daemon=daemon, greet=False, source="127.0.0.9")  # loopback is one source
        self.assertNotIn(b"+OK", other.rest())
        clients.pop().quit()
        self.greets_again(daemon)
        user = self.user(mailbox.simple(1))
        clients[0].login(user)
        clients[0].quit()

    def greets_again(self, daemon):
        def attempt():
            client = self.connect(daemon=daemon, greet=False)
            try:
                return client.response().startswith(b"+OK") and (client.quit() or True)
            except (AssertionError, OSError):
                return False
        self.assertTrue(harness.wait_for(attempt, 3, 0.1), "no place was freed")

    @network.needed
    def test_CON_11_networks_and_sites(self):
        """Nested limits, seen by the log's reasons; for trusted networks there are none."""
        net = network.Network.of(self)
        daemon = net.daemon(self, max_connections_per_address=2, max_connections_per_network=3, max_connections_per_site=4,
                            trusted_networks=["10.84.7.0/24", "fd84:0:7::/48"])
        refused = []

        def connect(*sources):
            for source in sources:
                if ":" in source and not network.HAVE_IPV6:
                    continue
                client = net.connect(self, daemon, source, greet=False)
                if b"+OK" not in client.sock.recv(512):
                    refused.append(source)
        connect("10.84.1.1", "10.84.1.1", "10.84.1.1", "10.84.1.2", "10.84.1.3", "10.84.2.1")
        self.assertEqual(refused, ["10.84.1.1", "10.84.1.3"])
        daemon.log_wait(r"refused server=clear peer=10\.84\.1\.1:\d+ reason=max_connections_per_address")
        daemon.log_wait(r"refused server=clear peer=10\.84\.1\.3:\d+ reason=max_connections_per_network")
        connect("fd84:0:1:100::1", "fd84:0:1:100::2", "fd84:0:1:101::1", "fd84:0:1:102::1", "fd84:0:1:200::1", "fd84:0:1:300::1", "fd84:0:2::1")
        if network.HAVE_IPV6:
            self.assertEqual(refused[2:], ["fd84:0:1:102::1", "fd84:0:1:300::1"])
            daemon.log_wait(r"refused .*reason=max_connections_per_site")
        count = len(refused)
        connect(*["10.84.7.1"] * 5, *["fd84:0:7::1"] * 5)
        self.assertEqual(refused[count:], [])

    @network.needed
    def test_CON_13_networks_that_are_served(self):
        net = network.Network.of(self)
        daemon = net.daemon(self, allow=["10.83.0.0/16", "10.84.1.0/24", "fd83::/64", "fd84:0:1::/48"], deny=["10.84.1.7", "fd84:0:1:7::/64"])
        served = ["10.84.1.1"] + ["fd84:0:1::1"] * network.HAVE_IPV6
        for source in served:
            for kind in (PLAIN, TLS):
                net.connect(self, daemon, source, kind).quit()
        for source, why in (("10.84.1.7", "deny"), ("10.84.2.1", "allow"), ("fd84:0:1:7::1", "deny"), ("fd84:0:2::1", "allow")):
            if ":" in source and not network.HAVE_IPV6:
                continue
            answer = net.connect(self, daemon, source, greet=False).rest()
            self.assertRegex(answer, rb"\A-ERR \[SYS/PERM\] [^\r\n]*network[^\r\n]*\r\n\Z")
            daemon.log_wait(r"refused server=clear peer=\[?%s\]?:\d+ reason=%s count=1" % (re.escape(source), why))
            with self.assertRaises(OSError):
                net.connect(self, daemon, source, TLS)
            daemon.log_wait(r"refused server=secure peer=\[?%s\]?:\d+ reason=%s count=1" % (re.escape(source), why))

    def test_CON_11_total_limit(self):
        daemon = self.own_daemon(max_connections=4)
        self.probes_gone(daemon)
        clients = [self.connect(daemon=daemon, source="127.0.0.%d" % (i + 10)) for i in range(4)]
        refused = self.connect(daemon=daemon, greet=False, source="127.0.0.99", timeout=2)
        try:
            rest = refused.rest()
            self.assertTrue(rest == b"" or rest.startswith(b"-ERR [SYS/TEMP] "), rest)
        except TimeoutError:
            pass  # it waits in the listen queue: as good
        refused.close()
        clients.pop().quit()
        self.greets_again(daemon)

    def test_CON_11_limit_counts_sessions_too(self):
        daemon = self.own_daemon(max_connections_per_address=2)
        self.probes_gone(daemon)
        user = self.user(mailbox.simple(1))
        one = self.session(user, daemon=daemon)
        two = self.connect(TLS, daemon=daemon)
        three = self.connect(daemon=daemon, greet=False)
        self.assertNotIn(b"+OK", three.rest())
        two.quit()
        one.quit()
        self.greets_again(daemon)

    def test_CON_11_a_flood_is_few_lines_of_the_log(self):
        daemon = self.own_daemon(max_connections_per_address=2)
        self.probes_gone(daemon)
        source = "127.0.0.77"
        held = [self.connect(daemon=daemon, source=source) for _ in range(2)]
        for _ in range(200):
            self.connect(daemon=daemon, source=source, greet=False).rest()
        def counts():
            return [int(n) for n in re.findall(r"refused server=\S+ peer=127\.0\.0\.77:\d+ reason=\S+ count=(\d+)", daemon.log())]
        self.assertTrue(harness.wait_for(lambda: sum(counts()) == 200, 60, 0.2), counts())
        self.assertEqual(counts()[0], 1)
        self.assertLess(len(counts()), 20)
        for client in held:
            client.quit()

    def users_of_one_uid(self, **settings):
        """A daemon with the accounts "joe" and "jim", who share uid and password, and the owner of both."""
        owner, path = self.user(mailbox.simple(1)), harness.world().path("users-of-one-uid-%s" % self.id().split(".")[-1])
        with open(path, "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.writelines("%s:{plain}%s:%d:%d:%s\n" % (name, owner.password, owner.uid, owner.gid, owner.home) for name in ("joe", "jim"))
        return self.own_daemon(auth="file:" + path, **settings), owner

    def test_LCK_08_sessions_of_one_user(self):
        daemon, owner = self.users_of_one_uid(storage="", max_sessions_per_user=2)
        for ended, kind, other in ((5, PLAIN, TLS), (10, TLS, PLAIN)):
            held = [self.connect(kind, daemon) for _ in range(4)]
            one, two, three, jim = held
            for client in one, two:
                client.try_login(b"joe", owner.password_octets)
            for _ in range(2):  # the connection stays
                self.assertRegex(three.try_login(b"joe", owner.password_octets), rb"^-ERR \[IN-USE\] .*lock.*too many sessions")
            self.assertTrue(three.try_login(b"joe", b"wrong").startswith(b"-ERR [AUTH] "))
            self.assertTrue(jim.try_login(b"jim", owner.password_octets).startswith(b"+OK "))
            elsewhere = self.connect(other, daemon)
            self.assertTrue(elsewhere.try_login(b"joe", owner.password_octets).startswith(b"+OK "))  # another server
            one.quit()
            self.assertTrue(harness.wait_for(lambda: three.try_login(b"joe", owner.password_octets).startswith(b"+OK ")))
            for client in two, three, jim, elsewhere:
                client.quit()
            self.assertTrue(harness.wait_for(lambda: daemon.log().count("session-end") == ended))
        daemon.log_fields("login-failed", user="joe", result="in-use", reason="max_sessions_per_user")

    def test_LCK_08_with_a_mailbox_and_off(self):
        daemon, owner = self.users_of_one_uid(max_sessions_per_user=2)
        first, second, third = (self.connect(PLAIN, daemon) for _ in range(3))
        first.try_login(b"joe", owner.password_octets)
        self.assertNotIn(b"too many", second.try_login(b"joe", owner.password_octets))  # locked
        self.assertIn(b"too many", third.try_login(b"joe", owner.password_octets))
        daemon.write_conf(max_sessions_per_user="off", storage="")
        daemon.reload()
        for _ in range(4):
            self.assertTrue(self.connect(PLAIN, daemon).try_login(b"joe", owner.password_octets).startswith(b"+OK "))

    def test_CON_11_failed_logins_close_the_connection(self):
        daemon = self.own_daemon(max_auth_failures=3)
        for kind in self.each_kind():
            user = self.user()
            client = self.connect(kind, daemon)
            for i in range(3):
                self.assertTrue(client.try_login(user, b"wrong-%d" % i).startswith(b"-ERR [AUTH] "))
            client.eof()

    def test_CON_11_a_flood_before_login_closes_itself(self):
        """Whoever has given a name comes last, then whoever has sent a command."""
        daemon, user = self.own_daemon(max_connections_before_login=8), self.user(mailbox.simple(1))
        typing, slow = self.connect(PLAIN, daemon), self.connect(PLAIN, daemon)
        typing.ok(b"USER " + user.name_octets)
        slow.multi(b"CAPA")
        flood = [self.connect(PLAIN, daemon) for _ in range(40)]
        crowded = "disconnect .* reason=crowded "
        self.assertTrue(harness.wait_for(lambda: len(re.findall(crowded, daemon.log())) == 34), daemon.log()[-2000:])
        slow.multi(b"CAPA")
        typing.ok(b"PASS " + user.password_octets)
        typing.quit()
        slow.quit()
        for client in flood:
            client.close()

    def test_CON_11_the_same_password_again_counts_once(self):
        """As Thunderbird tries it: by PLAIN, LOGIN and USER."""
        daemon, user = self.own_daemon(max_auth_failures=2, auth_failures_per_user=3), self.user()
        for kind in self.each_kind():
            client = self.connect(kind, daemon)
            for _ in range(2):
                client.err(b"AUTH PLAIN " + plain_response(user, b"wrong"))
                self.assertTrue(client.try_login(user, b"wrong").startswith(b"-ERR [AUTH] "))
            client.ok(b"AUTH PLAIN " + plain_response(user))
            client.quit()
            self.assertEqual(len(re.findall("login-failed .*user=%s" % user.name, daemon.log())), 1)
            user = self.user()

    def test_CON_11_default_bears_a_wrong_password_by_each_mechanism(self):
        """As Thunderbird tries it, which then asks for another."""
        daemon, user = self.own_daemon(max_auth_failures=None), self.user()
        for kind in self.each_kind():
            client = self.connect(kind, daemon)
            client.err(b"AUTH PLAIN " + plain_response(user, b"wrong"))
            for sent in (b"AUTH LOGIN", base64.b64encode(user.name_octets)):
                client.send(sent + b"\r\n")
                client.challenge()
            client.err(base64.b64encode(b"wrong"))
            self.assertTrue(client.try_login(user, b"wrong").startswith(b"-ERR [AUTH] "))
            client.ok(b"AUTH PLAIN " + plain_response(user))
            client.quit()

    def test_CON_11_failed_sasl_counts_too(self):
        daemon = self.own_daemon(max_auth_failures=3)
        client = self.connect(TLS, daemon)
        for i in range(3):
            client.err(b"AUTH PLAIN " + plain_response(b"nobody", b"wrong-%d" % i))
        client.eof()

    def test_CON_11_TLS_03_stls_does_not_reset_the_count(self):
        daemon = self.own_daemon(max_auth_failures=3)
        user = self.user()
        client = self.connect(PLAIN, daemon)
        for i in range(2):
            client.try_login(user, b"wrong-%d" % i)
        client.stls()
        self.assertTrue(client.try_login(user, b"wrong").startswith(b"-ERR [AUTH] "))
        client.eof()

    def test_CON_11_delay_blocks_nobody_else(self):
        daemon = self.own_daemon(auth_failure_delay=1500)
        user = self.user(mailbox.simple(1))
        losers = [self.connect(kind, daemon) for kind in ALL_KINDS * 3]
        begun = time.monotonic()
        for client in losers:
            client.ok(b"USER nobody-here")
        for client in losers:
            client.send(b"PASS wrong\r\n")
        for _ in range(3):
            self.session(user, TLS, daemon).quit()
        self.assertLess(time.monotonic() - begun, 1.4)
        for client in losers:
            self.assertTrue(client.response().startswith(b"-ERR [AUTH] "))
        self.assertGreaterEqual(time.monotonic() - begun, 1.4)

    def test_CON_12_no_line_unasked_on_shutdown(self):
        daemon = harness.Daemon(shutdown_timeout=3)
        clients = []
        for kind in ALL_KINDS:
            user = self.user(mailbox.simple(1))
            clients.append(self.session(user, kind, daemon))
        daemon.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        for client in clients:
            try:
                client.silent(0.1)
            except AssertionError as e:
                self.assertIn("EOF", str(e))
                continue
            try:
                response = client.command(b"NOOP")
                self.assertRegex(response, rb"\A(\+OK |-ERR \[SYS/TEMP\] )")
            except (AssertionError, OSError):
                pass
        for client in clients:
            client.eof()
        self.ended(daemon)

    def test_CON_12_sessions_may_finish_on_shutdown(self):
        daemon = harness.Daemon(shutdown_timeout=8)
        user = self.user(mailbox.simple(2))
        client = self.session(user, TLS, daemon)
        client.ok(b"DELE 1")
        daemon.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        with self.assertRaises(OSError):
            socket.create_connection((daemon.address(PLAIN), daemon.port(PLAIN)), 2)
        client.quit()
        self.assertEqual(user.maildir.stored(), mailbox.simple(2)[1:])
        begun = time.monotonic()
        self.ended(daemon)
        self.assertLess(time.monotonic() - begun, 4, "it waits although nobody is left (REG-18)")

    def ended(self, daemon):
        """The daemon, told to stop, comes to its end."""
        self.assertEqual(daemon.process.wait(15), 0)
        daemon.may_leave = True
        self.assertEqual(daemon.stop(), [])


class Pipelines(TestCase):
    def test_CON_01_transcript(self):
        self.transcript([("NOOP", Ok()), ("QUIT", Ok(), EOF)], mailbox.simple(1))
