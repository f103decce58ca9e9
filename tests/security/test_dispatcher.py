"""A hostile auth dispatcher: what the gate lets it try, and that it cannot say who has logged in."""

import re

import harness
import hostile
import mailbox
from client import Eof, PLAIN, TestCase

FAILURES = 3  # max_auth_failures


class HostileDispatcher(TestCase):
    settings = None

    def daemon_with(self, **settings):
        servers = {"clear": {"addresses": ["127.0.0.1"], "port": harness.free_port(), "socket": "plain"}}
        return self.own_daemon(servers=servers, wrap=hostile.in_place_of("pop3d-dispatch", "hostile_dispatcher"), sandbox="off", login_workers=1,
                               max_auth_failures=FAILURES, **settings)

    def ask(self, daemon, word, number, user, password=None):
        """The client's connection, and what the dispatcher has logged of the gate's answers: judged, granted, refused."""
        client, since = self.connect(PLAIN, daemon), len(daemon.log())
        client.ok(b"USER %s:%d:%s" % (word, number, user.name_octets))
        client.send(b"PASS %s\r\n" % (password or user.password_octets))
        line = daemon.log_wait(r"hostile: judged=\d+ granted=\d+ refused=\d+", timeout=60, since=since)
        return client, tuple(int(n) for n in re.findall(r"=(\d+)", str(line).split("hostile: ")[1]))

    def test_it_serves(self):
        """The control: what it asks as an honest one does is granted."""
        daemon, user = self.daemon_with(), self.user(mailbox.simple(1))
        client, told = self.ask(daemon, b"check", 1, user)
        self.assertEqual(told, (1, 1, 0))
        self.assertTrue(client.line().startswith(b"+OK "))
        client.quit()

    def test_guesses_of_one_connection(self):
        """A thousand: as many as max_auth_failures reach the back end, however they come."""
        daemon, user = self.daemon_with(), self.user(mailbox.simple(1))
        for word in (b"guess", b"burst"):
            with self.subTest(word=word):
                _, (judged, granted, refused) = self.ask(daemon, word, 1000, user)
                self.assertLessEqual(judged, FAILURES)
                self.assertGreater(judged, 0)
                self.assertEqual((granted, judged + refused), (0, 1000))

    def test_connections_that_master_did_not_tell(self):
        daemon, user = self.daemon_with(), self.user(mailbox.simple(1))
        _, told = self.ask(daemon, b"beside", 50, user)
        self.assertEqual(told, (0, 0, 50))
        self.assertNotIn("session-end", daemon.log())

    def test_the_password_of_one_is_no_grant_for_another(self):
        """It presents a password for an account, and the client gets that account and no other."""
        daemon, user, other = self.daemon_with(), self.user(mailbox.simple(1)), self.user(mailbox.simple(2))
        _, told = self.ask(daemon, b"check", 1, other, user.password_octets)
        self.assertEqual(told, (1, 0, 0))

    def forged(self, word, number, user):
        daemon = self.daemon_with()
        client = self.connect(PLAIN, daemon)
        client.ok(b"USER %s:%d:%s" % (word, number, user.name_octets))
        client.send(b"PASS x\r\n")
        daemon.log_wait("auth helper lost")
        with self.assertRaises((Eof, ConnectionResetError, AssertionError)):
            self.assertTrue(client.line().startswith(b"+OK"))
        self.assertNotRegex(daemon.log(), r"\blogin conn=")
        # the next one has another pair of processes
        client, told = self.ask(daemon, b"check", 1, user)
        self.assertEqual(told, (1, 1, 0))
        self.assertTrue(client.line().startswith(b"+OK "))
        client.quit()

    def test_a_forged_grant_ends_it(self):
        user = self.user(mailbox.simple(1))
        self.forged(b"grant", user.uid, user)

    def test_the_gates_own_words_end_it(self):
        self.forged(b"fail", 1, self.user(mailbox.simple(1)))
