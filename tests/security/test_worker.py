"""A hostile worker: what the helper lets it do for the clients that it has."""

import hashlib
import os
import time

import control
import harness
import hostile
import mailbox
from client import PLAIN, TestCase

BAD, TEMP = 1, 2  # enum login_result


class HostileWorker(TestCase):
    settings = None

    def daemon_with(self, balanced=False, **settings):
        servers = {"clear": {"addresses": ["127.0.0.1"], "port": harness.free_port(), "socket": "plain"}}
        if balanced:
            servers["clear"].update(proxy_from=["127.0.0.1"], proxy_loopback=True, cleartext_login="always")
        return self.own_daemon(servers=servers, wrap=hostile.in_place_of("pop3d-login", "hostile_worker"), sandbox="off", login_workers=1, **settings)

    def hostile(self, daemon):
        return self.connect(PLAIN, daemon)

    def wait_taken(self, daemon, logins=1):
        """Until the worker has heard that a session has the client: what comes before, it may read."""
        self.assertTrue(harness.wait_for(lambda: daemon.log().count(" login conn=") == logins))

    def quit(self, daemon, client, logins=1):
        self.wait_taken(daemon, logins)
        client.quit()

    def refused(self, client):
        word, result, last = client.line().split()
        self.assertEqual(word, b"refused")
        return int(result), int(last)

    def test_guesses_sent_at_once_end_the_worker(self):
        """One login may wait for the refusal before it, and no more."""
        daemon, user = self.daemon_with(auth_failure_delay=60000), self.user(mailbox.simple(1))
        client = self.hostile(daemon)
        asks = [b"ask %s wrong-%d\r\n" % (user.name_octets, i) for i in range(19)]
        client.send(b"".join(asks) + b"ask %s %s\r\n" % (user.name_octets, user.password_octets))
        client.eof()
        daemon.log_wait(r"worker \d+ broke a rule: third login on a connection")
        self.assertNotIn("session-end", daemon.log())

    def test_guesses_behind_a_refusal_end_the_worker(self):
        """While one waits for its refusal, one more may."""
        daemon, user = self.daemon_with(auth_failure_delay=60000), self.user(mailbox.simple(1))
        client = self.hostile(daemon)
        client.send(b"ask %s wrong\r\n" % user.name_octets)
        daemon.log_wait("login-failed .* reason=")
        client.send(b"ask %s wrong-2\r\nask %s %s\r\n" % (user.name_octets, user.name_octets, user.password_octets))
        client.eof()
        daemon.log_wait(r"worker \d+ broke a rule: third login on a connection")
        self.assertNotIn("session-end", daemon.log())

    def test_an_early_login_waits_for_the_refusal_before_it(self):
        daemon, user = self.daemon_with(auth_failure_delay=1500), self.user(mailbox.simple(1))
        client = self.hostile(daemon)
        begun = time.monotonic()
        client.send(b"ask %s wrong\r\n" % user.name_octets)
        daemon.log_wait("login-failed .* reason=")
        client.send(b"ask %s %s\r\n" % (user.name_octets, user.password_octets))
        self.assertEqual(self.refused(client), (BAD, 0))
        self.assertGreaterEqual(time.monotonic() - begun, 1.4)
        self.assertTrue(client.line().startswith(b"+OK "))  # the session's
        self.quit(daemon, client)

    def test_the_last_refusal_says_so_and_no_login_follows(self):
        daemon, user = self.daemon_with(max_auth_failures=3), self.user(mailbox.simple(1))
        client = self.hostile(daemon)
        for last in (0, 0, 1):
            client.send(b"ask %s wrong-%d\r\n" % (user.name_octets, time.monotonic_ns()))
            self.assertEqual(self.refused(client), (BAD, last))
        client.send(b"ask %s %s\r\n" % (user.name_octets, user.password_octets))
        client.eof()
        daemon.log_wait(r"worker \d+ broke a rule: login after the last refusal")

    def one_is_granted_and_one_refused(self, word):
        """Of two logins on a connection, and nobody is ended."""
        daemon, user = self.daemon_with(), self.user(mailbox.simple(1))
        client = self.hostile(daemon)
        client.send(b"%s %s %s\r\n" % (word, user.name_octets, user.password_octets))
        lines = [client.line(), client.line()]  # the session's and the worker's
        self.assertIn(b"refused %d 0" % TEMP, lines)
        self.assertTrue(any(line.startswith(b"+OK ") for line in lines), lines)
        self.assertNotIn("broke a rule", daemon.log())
        self.wait_taken(daemon)
        client.send(b"QUIT\r\n")
        daemon.log_fields("session-end")

    def test_a_login_while_a_grant_stands_is_refused_and_ends_nobody(self):
        """A void grant may reach the worker before the helper."""
        self.one_is_granted_and_one_refused(b"again")

    def test_a_login_beside_one_that_succeeds_is_refused_and_ends_nobody(self):
        """To the dispatcher it looks like one after master's refusal of the first."""
        self.one_is_granted_and_one_refused(b"twice")

    def test_a_connection_that_is_kept_ends_the_worker(self):
        daemon = self.daemon_with()
        ctl = control.Control(daemon)
        client = self.hostile(daemon)
        client.send(b"keep . .\r\n")
        self.assertEqual(client.line(), b"kept 0 0")
        killer = ctl.start("conn", "kill", "clear", ctl.lines("conn", "list", "clear")[0])
        daemon.log_wait(r"worker=\d+ does not end a connection", timeout=90)
        killer.communicate()
        client.eof()
        self.assertTrue(harness.wait_for(lambda: not ctl.lines("conn", "list", "clear")))
        self.hostile(daemon).close()

    def test_a_client_is_announced_once_and_before_its_login(self):
        daemon, user = self.daemon_with(balanced=True), self.user(mailbox.simple(1))
        client = self.hostile(daemon)
        login = b"ask %s %s\r\n" % (user.name_octets, user.password_octets)
        client.send(login)  # nobody can log in before: the helper does not know the row
        client.silent(1)
        client.send(b"proxied 192.0.2.7 2\r\n")
        self.assertEqual(client.line(), b"renewed 2 0")
        client.send(b"proxied 192.0.2.8 2\r\n" + login)
        self.assertTrue(client.line().startswith(b"+OK "))  # the session's
        self.quit(daemon, client)
        self.assertEqual(daemon.log_fields("login")["peer"].split(":")[0], "192.0.2.7")

    def test_a_client_that_comes_itself_cannot_be_announced(self):
        daemon, user = self.daemon_with(), self.user(mailbox.simple(1))
        client = self.hostile(daemon)
        client.send(b"proxied 192.0.2.7 2\r\nask %s %s\r\n" % (user.name_octets, user.password_octets))
        self.assertTrue(client.line().startswith(b"+OK "))
        self.quit(daemon, client)
        self.assertEqual(daemon.log_fields("login")["peer"].split(":")[0], "127.0.0.1")

    def test_an_address_of_no_family_ends_the_worker(self):
        daemon = self.daemon_with(balanced=True)
        client = self.hostile(daemon)
        client.send(b"proxied 192.0.2.7 99\r\n")
        client.eof()
        daemon.log_wait(r"worker=\d+ lost \(broke a rule\)")

    def test_a_digest_is_of_the_timestamp_of_its_row(self):
        """Whoever has seen a digest, or chosen what it is of, has one login at most."""
        user, path, secret = self.user(mailbox.simple(1)), harness.world().path("hostile-users"), b"plain secret"
        with open(path, "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write("joe:{plain}%s:%d:%d:%s\n" % (secret.decode(), user.uid, user.gid, user.home))
        daemon = self.daemon_with(auth="file:" + path, apop=True)

        def ask(client, stamp):
            client.send(b"apop joe %s\r\n" % hashlib.md5(stamp + secret).hexdigest().encode())

        first, second = self.hostile(daemon), self.hostile(daemon)
        seen, stamp = (client.greeting.split()[2] for client in (first, second))
        ask(first, seen)
        self.assertTrue(first.line().startswith(b"+OK "))  # the session's
        self.quit(daemon, first)
        for replayed in (seen, b"<1@chosen>", b""):
            ask(second, replayed)
            self.assertEqual(self.refused(second), (BAD, 0))
        ask(second, stamp)
        self.assertTrue(second.line().startswith(b"+OK "))
        self.quit(daemon, second, 2)
