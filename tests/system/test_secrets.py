"""Where passwords are left behind: the memory of all processes is searched."""

import base64
import os

import harness
import mailbox
from client import PLAIN, TLS, TestCase, plain_response

LOGINS = int(os.environ.get("P3T_LOGINS", 240))


def by_user(client, user, password):
    client.command(b"USER " + user.name_octets)
    return client.command(b"PASS " + password)


def by_plain(client, user, password):
    return client.command(b"AUTH PLAIN " + plain_response(user, password))


def by_login(client, user, password):
    for line in (b"AUTH LOGIN", base64.b64encode(user.name_octets)):
        client.send(line + b"\r\n")
        client.challenge()
    return client.command(base64.b64encode(password))


class Passwords(TestCase):
    limit = 600

    def found(self, daemon, secrets):
        """{program} whose memory has one of them."""
        return {harness.executable(pid) for pid, _ in daemon.processes()
                if any(secret in piece for piece in harness.memory(pid) for secret in secrets)}

    @harness.needs_root
    def test_SYS_10_no_password_is_left_in_memory(self):
        user = self.user(mailbox.simple(1))
        daemon = self.own_daemon(auth_failure_delay=1, auth_failures_per_user=0, auth_failures_per_source=0, max_auth_failures=100)
        wrong = b"nor-is-this-one-%s" % os.urandom(8).hex().encode()
        for i in range(LOGINS):
            client = self.connect((PLAIN, TLS)[i % 2], daemon)
            login = (by_user, by_plain, by_login)[i % 3]
            if i % 8 == 0:
                self.assertTrue(login(client, user, wrong).startswith(b"-ERR "))
            self.assertRegex(login(client, user, user.password_octets), rb"\A\+OK ")
            if i < LOGINS - 1:
                client.quit()
        secrets = [s for password in (wrong, user.password_octets)
                   for s in (password, base64.b64encode(password), base64.b64encode(b"\0" + user.name_octets + b"\0" + password))]
        self.assertEqual(self.found(daemon, secrets), set())
        # one that is there is found
        client = self.connect(PLAIN, daemon)
        client.command(b"USER " + user.name_octets)
        client.send(b"PASS " + user.password_octets)
        self.assertTrue(harness.wait_for(lambda: self.found(daemon, secrets) == {"pop3d-login"}))
