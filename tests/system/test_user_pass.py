"""CONFORMANCE group USR: USER and PASS."""

import os
import re
import signal
import time
import unittest

import harness
import mailbox
import network
from client import AUTH_ERR, Err, Ok, TestCase, plain_response
from harness import ALL_KINDS, PLAIN, STLS, TLS

MESSAGES = mailbox.simple(2)
NO_CODE = Err(rb"[^\[].*")


class Users(TestCase):
    def test_USR_01_same_answer_for_every_name(self):
        user = self.user()
        for kind in self.each_kind():
            client = self.connect(kind)
            answers = {client.command(b"USER " + name) for name in (user.name_octets, b"nobody-here", b"root", b"a@b.example", b"x" * 200, b"%u%h", b"../..", b"-")}
            self.assertEqual(len(answers), 1)
            self.assertTrue(answers.pop().startswith(b"+OK "))
            client.quit()

    def test_USR_02_REG_08_blanks_in_passwords(self):
        for password in ("two words", " leading", "trailing ", "  both  ", "a  b   c", " ", "tab\tno"[:3] + "x"):
            user = harness.User(password)
            user.maildir.fill(MESSAGES)
            with self.subTest(password=password):
                self.transcript([(b"USER " + user.name_octets, Ok()), (b"PASS " + password.encode(), Ok()), ("STAT", Ok())], login=False)
                client = self.connect()
                for wrong in {password.strip() or "x", password.split(" ")[0] or "y", password + " ", " " + password, re.sub(" +", " ", password)} - {password}:
                    self.assertTrue(client.try_login(user, wrong.encode()).startswith(b"-ERR [AUTH] "), wrong)
                client.quit()

    def test_USR_02_three_different_passwords(self):
        user = harness.User("a b")
        client = self.connect()
        for wrong in (b"a", b"a b ", b" a b", b"a  b", b"ab"):
            self.assertTrue(client.try_login(user, wrong).startswith(b"-ERR [AUTH] "))
        client.quit()

    def test_USR_03_04_cleartext_refused_at_user(self):
        daemon = harness.shared_daemon(server_settings={"cleartext_login": "never"})
        user = self.user(MESSAGES)
        mark = len(daemon.log())
        answers = set()
        for name, password in ((user.name_octets, user.password_octets), (b"nobody-here", b"x")):
            client = self.connect(PLAIN, daemon)
            answers.add((client.err(b"USER " + name), client.err(b"PASS " + password), client.err(b"AUTH PLAIN " + plain_response(name, password)),
                         client.err(b"AUTH PLAIN"), client.err(b"AUTH LOGIN")))
            client.err(b"STAT")
            client.quit()
        self.assertEqual(len(answers), 1, answers)
        for answer in answers.pop():
            self.assertNotIn(b"[AUTH]", answer)
        self.assertNotRegex(daemon.log()[mark:], r"login(-failed)? conn=")

    def test_USR_03_after_tls_it_is_allowed(self):
        daemon = harness.shared_daemon(server_settings={"cleartext_login": "never"})
        user = self.user(MESSAGES)
        for kind in self.each_kind((STLS, TLS)):
            client = self.connect(kind, daemon)
            client.login(user)
            client.quit()

    @unittest.skipUnless(harness.outside_address(), "no address but loopback")
    def test_USR_03_default_refuses_except_on_loopback(self):
        address, port, secure = harness.outside_address(), harness.free_port(), harness.free_port()
        daemon = self.own_daemon(servers={
            "clear": {"addresses": [address, "127.0.0.1"], "port": port, "socket": "plain+stls"},
            "secure": {"addresses": [address, "127.0.0.1"], "port": secure, "socket": "tls"}})
        user = self.user(MESSAGES)
        client = self.connect(PLAIN, daemon, address=(address, port), source=address)
        capabilities = client.listing(b"CAPA")
        self.assertNotIn(b"USER", capabilities)
        self.assertIn(b"STLS", capabilities)
        client.err(b"USER " + user.name_octets)
        client.err(b"PASS " + user.password_octets)
        client.stls()
        client.login(user)
        client.quit()
        client = self.connect(TLS, daemon, address=(address, secure), source=address)
        client.login(user)
        client.quit()
        client = self.connect(PLAIN, daemon, address=("127.0.0.1", port))
        client.login(user)
        client.quit()

    @unittest.skipUnless(harness.outside_address(), "no address but loopback")
    def test_USR_03_always_allows(self):
        address, port = harness.outside_address(), harness.free_port()
        daemon = self.own_daemon(servers={"clear": {"addresses": [address], "port": port, "socket": "plain", "cleartext_login": "always"}})
        client = self.connect(PLAIN, daemon, source=address)
        client.login(self.user(MESSAGES))
        client.quit()

    def test_USR_05_empty_name_or_password(self):
        user = self.user()
        mark = len(self.daemon.log())
        self.transcript([("USER", NO_CODE), ("USER ", NO_CODE), ("USER  ", NO_CODE), (b"USER " + user.name_octets, Ok()), ("PASS", NO_CODE),
                         (b"USER " + user.name_octets, Ok()), ("PASS ", NO_CODE), ("STAT", Err())], login=False)
        self.assertNotIn("login-failed", self.daemon.log()[mark:])

    @harness.needs_root
    def test_USR_05_account_without_password(self):
        user = harness.User("some password")
        harness.usermod("passwd", "-d", user.name)
        for kind in self.each_kind():
            client = self.connect(kind)
            client.ok(b"USER " + user.name_octets)
            client.err(b"PASS ")
            self.assertTrue(client.try_login(user, b"x").startswith(b"-ERR [AUTH] "))
            client.err(b"AUTH PLAIN " + plain_response(user, b""))
            client.err(b"STAT")
            client.quit()

    def test_USR_06_results(self):
        user = self.user(MESSAGES)
        self.transcript([(b"USER " + user.name_octets, Ok()), ("PASS wrong", AUTH_ERR), (b"USER " + user.name_octets, Ok()), (b"PASS " + user.password_octets, Ok())],
                        login=False)

    def test_USR_06_missing_maildir_is_empty(self):
        for kind in self.each_kind():
            user = harness.User()  # who never had mail here, which one of the pool may have had
            client = self.session(user, kind)
            self.assertEqual(client.ok(b"STAT"), b"+OK 0 0")
            client.quit()

    def test_USR_06_missing_maildir_is_an_error_by_setting(self):
        daemon = harness.shared_daemon(missing_maildir="error")
        for kind in self.each_kind():
            user = self.user()
            user.maildir.remove()
            client = self.connect(kind, daemon)
            self.assertTrue(client.try_login(user).startswith(b"-ERR [SYS/PERM] "))
            client.eof()

    def test_USR_06_missing_home(self):
        user = harness.User()
        os.rmdir(user.home)
        client = self.connect()
        response = client.try_login(user)
        self.assertRegex(response, rb"\A-ERR \[SYS/TEMP\] ")
        client.close()

    def test_USR_07_odd_names_harm_nothing(self):
        daemon = harness.shared_daemon(storage="maildir:/nonexistent/%d/%n")
        names = [b"a/b", b"..", b".", b"../../etc/passwd", b"%h", b"%u%n", b"@", b"a@", b"@b", b"a@b@c", b"a@../b", b"*", b"~root", b"$(id)", b"`id`", b";", b"-n", b"'", b'"', b"\\", b"#",
                 b"x" * 240, b"root\\", b"user@[127.0.0.1]"]
        for kind in self.each_kind((PLAIN, TLS)):
            for d in (self.daemon, daemon):
                client = None
                for i, name in enumerate(names):
                    if i % 12 == 0:
                        client = self.connect(kind, d)
                    self.assertTrue(client.try_login(name, b"x").startswith(b"-ERR [AUTH] "), name)
                client.quit()

    def test_USR_07_storage_template(self):
        base = harness.world().path("spool")
        os.makedirs(base, exist_ok=True)
        user = self.user()
        maildir = mailbox.Maildir(os.path.join(base, user.name), user.uid, user.gid).fill(MESSAGES)
        daemon = self.own_daemon(storage="maildir:%s/%%u" % base)
        client = self.session(user, TLS, daemon)
        self.assertEqual(len(client.listing(b"LIST")), 2)
        client.ok(b"DELE 1")
        client.quit()
        self.assertEqual(maildir.stored(), MESSAGES[1:])

    def test_USR_08_name_is_logged_escaped_and_only_if_it_exists(self):
        user = self.user()
        mark = len(self.daemon.log())
        client = self.connect()
        client.try_login(b"Passw0rd-typed-here", b"x")
        client.try_login(user, b"wrong-password-1")
        client.quit()
        self.daemon.log_fields("login-failed", since=mark, user=user.name)
        self.daemon.log_fields("login-failed", since=mark, user="unknown")
        log = self.daemon.log()[mark:]
        self.assertNotIn("Passw0rd-typed-here", log)
        self.assertNotIn("wrong-password-1", log)

    def test_USR_08_no_password_in_the_processes(self):
        # neither in arguments nor environment of any role
        user = self.user(MESSAGES)
        clients = [self.session(user, TLS)]
        for pid, _ in self.daemon.processes():
            for name in ("cmdline", "environ"):
                self.assertNotIn(user.password_octets, harness.proc_octets(pid, name))
        clients[0].quit()

    def test_USR_09_unknown_user_costs_the_same(self):
        # without any delay of ours: the check itself
        user = self.user()
        times = {}
        for name in (user.name_octets, b"nobody-here"):
            for _ in range(8):
                client = self.connect(PLAIN)
                client.ok(b"USER " + name)
                begun = time.monotonic()
                client.err(b"PASS wrong")
                times.setdefault(name, []).append(time.monotonic() - begun)
                client.quit()
        known, unknown = (min(v) for v in times.values())
        self.assertLess(abs(known - unknown), 0.1)


class FailureCounts(TestCase):
    def test_CON_11_failures_per_user(self):
        daemon = self.own_daemon(auth_failures_per_user=3, auth_failure_window=3)
        user, other = self.user(MESSAGES), self.user(MESSAGES)
        client = self.connect(TLS, daemon)
        for i in range(3):
            self.assertTrue(client.try_login(user, b"wrong-%d" % i).startswith(b"-ERR [AUTH] "))
        # beyond the limit even the right one is refused, in the same words
        self.assertTrue(client.try_login(user).startswith(b"-ERR [AUTH] "))
        client.login(other)
        client.quit()
        time.sleep(3.5)
        client = self.connect(TLS, daemon)
        client.login(user)
        client.quit()

    def test_CON_11_another_spelling_is_no_other_count(self):
        daemon, user = self.own_daemon(auth_failures_per_user=3), self.user(MESSAGES)
        client = self.connect(TLS, daemon)
        for i, name in enumerate((user.name_octets.upper(), user.name_octets.capitalize(), user.name_octets)):
            client.try_login(name, b"wrong-%d" % i)
        self.assertTrue(client.try_login(user).startswith(b"-ERR [AUTH] "))
        client.quit()

    @network.needed
    def test_CON_11_failures_per_source(self):
        net, user = network.Network.of(self), self.user(MESSAGES)
        daemon = net.daemon(self, auth_failures_per_source=4, auth_failure_window=60, trusted_networks=["10.84.7.0/24"])

        def fail(source):
            client = net.connect(self, daemon, source)
            for i in range(4):
                client.try_login(b"nobody-%d" % i, b"wrong")
            return client
        client = fail("10.84.0.77")
        self.assertTrue(client.try_login(user).startswith(b"-ERR [AUTH] "))
        client.quit()
        for client in (net.connect(self, daemon, "10.84.0.78"), fail("10.84.7.1")):
            client.login(user)
            client.quit()

    def test_CON_11_loopback_is_one_source(self):
        daemon = self.own_daemon(auth_failures_per_source=4, auth_failure_window=60)
        for i in range(4):
            client = self.connect(PLAIN, daemon, source="127.0.%d.77" % i)
            client.try_login(b"nobody-%d" % i, b"wrong")
            client.quit()
        client = self.connect(PLAIN, daemon, source="127.9.0.78")
        self.assertTrue(client.try_login(self.user(MESSAGES)).startswith(b"-ERR [AUTH] "))
        client.quit()

    def test_CON_11_counts_outlive_the_helper(self):
        daemon = self.own_daemon(auth_failures_per_user=3, auth_failure_window=600, log_level="debug")
        user = self.user(MESSAGES)
        client = self.connect(TLS, daemon)
        for i in range(3):
            client.try_login(user, b"wrong-%d" % i)
        client.quit()
        daemon.log_wait("counts of failed logins kept")
        mark = len(daemon.log())
        os.kill(daemon.auth_helper()[0], signal.SIGKILL)
        daemon.log_wait("auth helper lost", since=mark)
        client = self.connect(TLS, daemon)
        self.assertTrue(client.try_login(user).startswith(b"-ERR [AUTH] "))
        client.quit()
        daemon.log_fields("login-failed", since=mark, user=user.name, reason="too-many-failures")

    def test_CON_11_an_account_for_which_many_fail_is_slowed_and_never_shut(self):
        """The log tells for how long; a name that is no account's is slowed alike."""
        daemon = self.own_daemon(auth_account_delay=500, log_level="debug")
        user, other = self.user(MESSAGES), self.user(MESSAGES)

        def waits(name):
            mark = len(daemon.log())
            for i in range(14):
                client = self.connect(PLAIN, daemon)
                self.assertTrue(client.try_login(name, b"wrong-%d" % i).startswith(b"-ERR [AUTH] "))
                client.quit()
            return re.findall(r"checked (\d+) ms after it came", daemon.log()[mark:])
        self.assertEqual(waits(user.name_octets), ["250", "500", "500"])
        self.assertEqual(waits(b"nobody-here"), ["250", "500", "500"])
        mark = len(daemon.log())
        self.session(other, PLAIN, daemon).quit()
        self.assertNotIn("checked ", daemon.log()[mark:])
        self.session(user, PLAIN, daemon).quit()
        self.assertIn("checked 500 ms", daemon.log()[mark:])

    def test_CON_11_who_waits_to_be_checked_may_go_away(self):
        daemon = self.own_daemon(auth_account_delay=60000, log_level="debug")
        user = self.user(MESSAGES)
        clients = [self.connect(PLAIN, daemon) for _ in range(30)]
        for i, client in enumerate(clients):
            client.send(b"USER %s\r\nPASS wrong-%d\r\n" % (user.name_octets, i))
        daemon.log_wait(r"checked \d+ ms after it came")
        for client in clients:
            client.close()
        self.assertTrue(harness.wait_for(lambda: daemon.log().count(" disconnect ") >= len(clients)))
        self.session(self.user(MESSAGES), PLAIN, daemon).quit()

    def test_CON_11_what_needs_no_password_check_counts_and_ends_too(self):
        daemon = self.own_daemon(auth_failures_per_source=3, auth_failure_window=60)
        user = self.user(MESSAGES)
        client = self.connect(PLAIN, daemon, source="127.0.0.77")
        for i in range(5):
            client.command(b"AUTH PLAIN " + plain_response(user, authzid=b"somebody-else-%d" % i))
        client.quit()

        def reasons():
            return re.findall(r" login-failed .* reason=(.*)$", daemon.log(), re.M)
        self.assertTrue(harness.wait_for(lambda: len(reasons()) == 5), reasons())
        self.assertEqual(["too-many-failures" in r for r in reasons()], [False] * 3 + [True] * 2)

    def test_USR_processes_left_from_failures(self):
        before = len(self.daemon.processes())
        for kind in ALL_KINDS:
            client = self.connect(kind)
            for _ in range(5):
                client.try_login(b"nobody-here", b"x")
            client.quit()
        harness.wait_for(lambda: len(self.daemon.processes()) <= before, 3)
        self.assertLessEqual(len(self.daemon.processes()), before + 1)
