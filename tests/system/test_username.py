"""Names as clients send them: username_domain and username_fold."""

import base64
import hashlib
import re
import secrets

import harness
import mailbox
from client import TestCase
from control import FAILED, Control
from harness import PLAIN
from test_userfile import Virtual, write

MESSAGES = mailbox.simple(2)
FORMS = ("%s", "%s@example.org", "%s@EXAMPLE.org")


def forms(name):
    """Every way in which clients write it."""
    return [(form % case).encode() for form in FORMS for case in (name, name.capitalize(), name.upper())]


class Names(TestCase):
    """One user file, several servers with rules of their own."""

    settings = None

    @classmethod
    def setUpClass(cls):
        cls.owner = harness.User()

    def setUp(self):
        super().setUp()
        self.name = "ann" + secrets.token_hex(4)
        self.ann = Virtual(self.owner, self.name, plain=True)
        self.ann.maildir.fill(MESSAGES)
        self.path = harness.world().path("users-" + secrets.token_hex(4))
        write(self.path, self.ann.line())

    def serve(self, servers, **settings):
        servers = {name: {"addresses": ["127.0.0.1"], "port": harness.free_port(), "socket": "plain", **keys} for name, keys in servers.items()}
        daemon = self.own_daemon(servers=servers, auth="file:" + self.path, **settings)
        self.ports = {name: keys["port"] for name, keys in servers.items()}
        return daemon

    def at(self, server, daemon):
        return self.connect(PLAIN, daemon, address=("127.0.0.1", self.ports[server]))

    def attempt(self, server, daemon, name, password=None):
        client = self.at(server, daemon)
        answer = client.try_login(name, self.ann.password_octets if password is None else password)
        if answer.startswith(b"+OK "):
            client.quit()
        client.close()
        return answer

    def refused(self, server, daemon, name):
        self.assertTrue(self.attempt(server, daemon, name).startswith(b"-ERR [AUTH] "), name)

    def test_one_account(self):
        daemon = self.serve({"org": {"username_domain": "example.org", "username_fold": "lower"}}, apop=True)
        for name in forms(self.name):
            mark = len(daemon.log())
            client = self.at("org", daemon)
            client.ok(b"USER " + name)
            client.ok(b"PASS " + self.ann.password_octets)
            client.quit()
            self.assertEqual(daemon.log_fields("login", since=mark)["user"], self.name)
            client = self.at("org", daemon)  # an authorization identity in another form
            client.ok(b"AUTH PLAIN " + base64.b64encode(self.name.upper().encode() + b"\0" + name + b"\0" + self.ann.password_octets))
            client.quit()
            client = self.at("org", daemon)
            stamp = re.search(rb"<[^>]+>", client.greeting).group(0)
            client.ok(b"APOP " + name + b" " + hashlib.md5(stamp + self.ann.password_octets).hexdigest().encode())
            client.quit()
        self.assertNotIn("@", "".join(line for line in daemon.log().splitlines() if " login " in line))

    def test_other_names_are_no_account(self):
        daemon = self.serve({"org": {"username_domain": "example.org", "username_fold": "lower"}})
        for domain in ("example.com", "mail.example.org", "example.org.", "example.org@example.org", "", "org"):
            self.refused("org", daemon, ("%s@%s" % (self.name, domain)).encode())
        for name in (b"@example.org", b"@", b"bob@example.org"):
            self.refused("org", daemon, name)
        daemon.log_fields("login-failed", user="unknown", result="auth", reason='"domain is not the server\'s"')
        client = self.at("org", daemon)
        response = base64.b64encode(b"%s@example.com\0%s\0%s" % (self.name.encode(), self.name.encode(), self.ann.password_octets))
        self.assertTrue(client.command(b"AUTH PLAIN " + response).startswith(b"-ERR [AUTH] "))
        client.quit()

    def test_each_server_has_rules_of_its_own(self):
        daemon = self.serve({"keep": {}, "fold": {"username_fold": "lower"}, "strip": {"username_domain": "strip"}})
        plain, upper, domain = self.name.encode(), self.name.upper().encode(), self.name.encode() + b"@any.example"
        for server, good in (("keep", (plain,)), ("fold", (plain, upper)), ("strip", (plain, domain))):
            for name in (plain, upper, domain):
                with self.subTest(server=server, name=name):
                    self.assertEqual(self.attempt(server, daemon, name).startswith(b"+OK "), name in good)

    def test_one_count_of_failures(self):
        daemon = self.serve({"org": {"username_domain": "example.org", "username_fold": "lower"}}, auth_failures_per_user=4)
        names = forms(self.name)
        for name in names[:4]:
            self.assertTrue(self.attempt("org", daemon, name, b"wrong").startswith(b"-ERR [AUTH] "))
        for name in names:
            self.refused("org", daemon, name)  # though the password is right
        daemon.log_fields("login-failed", user=self.name, reason="too-many-failures")

    def test_one_lock_and_one_owner_of_it(self):
        daemon = self.serve({"org": {"username_domain": "example.org", "username_fold": "lower"}}, takeover=86400)
        holder = self.at("org", daemon)
        holder.ok(b"USER " + self.name.encode())
        holder.ok(b"PASS " + self.ann.password_octets)
        for name in forms(self.name)[1:]:
            # since when is told to the same user only
            self.assertRegex(self.attempt("org", daemon, name), rb"\A-ERR \[IN-USE\] .* since \d{4}-.* from 127\.0\.0\.1, idle for \d+ s\Z")
        holder.quit()

    def test_pop3ctl_uses_the_same_rule(self):
        daemon = self.serve({"org": {"username_domain": "example.org", "username_fold": "lower"}, "keep": {}})
        ctl = Control(daemon)
        for name in forms(self.name):
            ctl.done("box", "exists", "org", name.decode())
            ctl.done("history", "org", name.decode())
        self.assertEqual(daemon.log_fields("job", server="org")["user"], self.name)
        self.assertEqual(ctl.refused(FAILED, "box", "exists", "org", self.name + "@example.com"), "the server's username_domain is another")
        self.assertIn("no such user", ctl.refused(FAILED, "box", "exists", "keep", self.name.upper()))
        self.assertIn("differ in -auth, -storage, username_domain or username_fold", ctl.refused(FAILED, "box", "exists", "-", self.name))


class Pam(TestCase):
    """The same with accounts of the host."""

    def test_accounts_of_the_host(self):
        daemon = self.own_daemon(server_settings={"username_domain": "example.org", "username_fold": "lower"})
        user = self.user(MESSAGES)
        for name in forms(user.name):
            client = self.connect(daemon=daemon)
            client.ok(b"USER " + name)
            client.ok(b"PASS " + user.password_octets)
            self.assertEqual(client.listing(b"LIST")[0].split()[0], b"1")
            client.quit()
        client = self.connect(daemon=daemon)
        self.assertTrue(client.try_login(user.name_octets + b"@example.com", user.password_octets).startswith(b"-ERR [AUTH] "))
        client.quit()
