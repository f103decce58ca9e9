"""CONFORMANCE group APO: APOP, by user files."""

import hashlib
import os
import re
import secrets
import subprocess

import harness
import mailbox
from client import AUTH_ERR, Err, Ok, TestCase
from harness import PLAIN, STLS, TLS

MESSAGES = mailbox.simple(2)
TIMESTAMP = re.compile(rb"<[0-9a-f]{32}\.[0-9a-f]+\.[0-9a-f]+@[A-Za-z0-9._-]+>")


def digest(timestamp, secret):
    return hashlib.md5(timestamp + secret).hexdigest().encode()


class Apop(TestCase):
    settings = None

    @classmethod
    def setUpClass(cls):
        cls.owner = harness.User()
        cls.owner.maildir.make()
        cls.secret = b"plain secret " + secrets.token_hex(6).encode()
        harness.world().passwords.add(cls.secret)
        cls.path = harness.world().path("apop-users")
        lines = ["joe:{plain}" + cls.secret.decode(), "only:{apop}" + cls.secret.decode(), "hashed:" + harness.crypt_password(cls.secret),
                 "empty:{plain}", "star:*"]
        with open(cls.path, "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.writelines("%s:%d:%d:%s\n" % (line, cls.owner.uid, cls.owner.gid, cls.owner.home) for line in lines)
        cls.daemon = harness.shared_daemon(auth="file:" + cls.path, apop=True)

    def setUp(self):
        super().setUp()
        self.owner.maildir.remove()
        self.owner.maildir.make()
        self.owner.maildir.fill(MESSAGES)

    def stamp(self, client):
        return TIMESTAMP.search(client.greeting).group(0)

    def apop(self, client, name=b"joe", secret=None, timestamp=None):
        return client.command(b"APOP " + name + b" " + digest(timestamp or self.stamp(client), self.secret if secret is None else secret))

    def test_APO_01_a_timestamp_that_differs(self):
        seen = set()
        for kind in (PLAIN, TLS) * 10:
            client = self.connect(kind)
            self.assertEqual(len(TIMESTAMP.findall(client.greeting)), 1, client.greeting)
            self.assertEqual(client.greeting.count(b"<"), 1)
            seen.add(self.stamp(client).split(b".")[0])
            client.quit()
        self.assertEqual(len(seen), 20)

    @harness.needs_root
    def test_APO_01_only_where_it_is_on(self):
        for settings in ({"auth": "file:" + self.path}, {"apop": True}, {"auth": "", "apop": True},
                         {"auth": "file:" + self.path, "apop": True, "server_settings": {"apop": False}}):
            daemon = harness.shared_daemon(**settings)
            for kind in self.each_kind():
                client = self.connect(kind, daemon)
                self.assertNotIn(b"<", client.greeting)
                self.assertEqual(client.err(b"APOP joe " + b"0" * 32), client.err(b"XYZZ"))
                client.quit()
        plain = {"p": {"addresses": ["127.0.0.1"], "port": harness.free_port(), "socket": "plain", "cleartext_login": "never"}}
        daemon = self.own_daemon(auth="file:" + self.path, apop=True, servers=plain)
        client = self.connect(PLAIN, daemon)
        self.assertNotIn(b"<", client.greeting)  # nobody can log in there
        client.quit()

    def test_APO_02_login(self):
        for kind in self.each_kind():  # after STLS with the timestamp from before: APO-05
            for name in (b"joe", b"only"):
                client = self.connect(kind)
                self.assertTrue(self.apop(client, name).startswith(b"+OK "))
                self.assertEqual(len(client.listing(b"LIST")), 2)
                client.err(b"APOP joe " + b"0" * 32)
                client.quit()
        self.daemon.log_fields("login", user="joe", mech="APOP")
        self.daemon.log_fields("login", user="only", mech="APOP", uid=self.owner.uid)

    def test_APO_02_what_is_refused(self):
        client = self.connect(PLAIN)
        stamp = self.stamp(client)
        right = digest(stamp, self.secret)
        for wrong in (right.upper(), right[:-1], right + b"0", right[:-1] + (b"0" if right[-1:] != b"0" else b"1"), b"0" * 32, b"x", digest(b"", self.secret),
                      digest(stamp[1:-1], self.secret), digest(stamp, self.secret + b" ")):
            self.assertTrue(client.command(b"APOP joe " + wrong).startswith(b"-ERR [AUTH] "), wrong)
        for name in (b"hashed", b"empty", b"star", b"nobody", b"JOE"):
            self.assertTrue(self.apop(client, name).startswith(b"-ERR [AUTH] "), name)
        self.assertTrue(self.apop(client, b"empty", b"").startswith(b"-ERR [AUTH] "))
        self.assertTrue(self.apop(client, b"star", b"*").startswith(b"-ERR [AUTH] "))
        for line in (b"APOP", b"APOP joe", b"APOP joe " + right + b" x", b"APOP  " + right):
            self.assertNotIn(b"[AUTH]", client.err(line))
        self.assertTrue(self.apop(client).startswith(b"+OK "))  # APO-04: it may be tried again
        client.quit()
        self.daemon.log_fields("login-failed", user="joe", mech="APOP", result="auth")
        self.daemon.log_fields("login-failed", user="unknown", mech="APOP")

    def test_APO_02_a_digest_serves_one_greeting_only(self):
        first, second = self.connect(PLAIN), self.connect(PLAIN)
        self.assertTrue(self.apop(second, timestamp=self.stamp(first)).startswith(b"-ERR [AUTH] "))
        self.assertTrue(self.apop(first).startswith(b"+OK "))
        first.quit()
        second.quit()

    def test_APO_02_a_digest_lets_in_once(self):
        """Also where no session came of it."""
        daemon = self.own_daemon(auth="file:" + self.path, apop=True, storage="", max_sessions_per_user=1)
        first, second = self.connect(PLAIN, daemon), self.connect(PLAIN, daemon)
        self.assertTrue(self.apop(first).startswith(b"+OK "))
        self.assertTrue(self.apop(second).startswith(b"-ERR [IN-USE] "))
        first.quit()
        daemon.log_fields("session-end")
        self.assertTrue(self.apop(second).startswith(b"-ERR [SYS/TEMP] "))
        second.ok(b"USER joe")
        second.ok(b"PASS " + self.secret)
        second.quit()

    def test_APO_03_methods_of_a_user(self):
        client = self.connect(PLAIN)
        for name in (b"only", b"empty", b"star"):
            self.assertTrue(client.try_login(name, self.secret).startswith(b"-ERR [AUTH] "), name)
        client.ok(b"USER joe")
        client.ok(b"PASS " + self.secret)
        client.quit()

    def test_APO_04_limit_of_attempts(self):
        daemon = self.own_daemon(auth="file:" + self.path, apop=True, max_auth_failures=3)
        client = self.connect(PLAIN, daemon)
        for i in range(3):
            self.assertTrue(self.apop(client, secret=b"guess%d" % i).startswith(b"-ERR [AUTH] "))
        client.eof()
        daemon = self.own_daemon(auth="file:" + self.path, apop=True, auth_failures_per_user=2)
        client = self.connect(PLAIN, daemon)
        for i in range(2):
            self.apop(client, secret=b"guess%d" % i)
        self.assertTrue(self.apop(client).startswith(b"-ERR [AUTH] "))
        client.quit()

    def test_APO_05_and_cleartext(self):
        daemon = harness.shared_daemon(auth="file:" + self.path, apop=True, server_settings={"cleartext_login": "never"})
        mark = len(daemon.log())
        client = self.connect(PLAIN, daemon)
        stamp = self.stamp(client)
        self.assertNotIn(b"[AUTH]", client.err(b"APOP joe " + digest(stamp, self.secret)))
        self.assertNotIn("login-failed", daemon.log()[mark:])
        client.stls()
        self.assertTrue(self.apop(client, timestamp=stamp).startswith(b"+OK "))
        client.quit()

    def test_apop_after_user(self):
        chosen = rb"login mechanism USER/PASS was chosen"
        client = self.connect(PLAIN)
        good = b"APOP joe " + digest(self.stamp(client), self.secret)
        client.ok(b"USER joe")
        self.assertRegex(client.err(good), chosen)
        client.err(b"PASS x")  # USER does not stand right before it any more
        client.ok(b"USER joe")
        client.ok(b"CAPA")
        client.body()
        self.assertRegex(client.err(good), chosen)
        client.ok(b"USER joe")
        self.assertTrue(client.command(b"PASS wrong").startswith(b"-ERR [AUTH] "))
        self.assertTrue(client.command(good).startswith(b"+OK "))
        client.quit()
        client = self.connect(PLAIN)
        self.apop(client, secret=b"wrong")  # and USER after a failed APOP
        client.ok(b"USER joe")
        client.ok(b"PASS " + self.secret)
        client.quit()
        client = self.connect(PLAIN)
        client.ok(b"USER joe")
        stamp = self.stamp(client)
        client.stls()  # TLS forgets what came before
        self.assertTrue(self.apop(client, timestamp=stamp).startswith(b"+OK "))
        client.quit()

    def test_before_login_pipelined(self):
        client = self.connect(TLS)
        good = b"APOP joe " + digest(self.stamp(client), self.secret)
        client.send(b"APOP joe x\r\n" + good + b"\r\nSTAT\r\nQUIT\r\n")
        for expected in (AUTH_ERR, Ok(), Ok(), Ok()):
            expected.check(self, client, good)
        client.eof()

    def test_CAPA_is_the_same(self):
        with_apop, without = self.connect(TLS), self.connect(TLS, harness.shared_daemon(auth="file:" + self.path))
        self.assertEqual(with_apop.listing(b"CAPA"), without.listing(b"CAPA"))
        with_apop.quit()
        without.quit()

    def test_USR_08_the_trace_masks_the_digest(self):
        daemon = self.own_daemon(auth="file:" + self.path, apop=True, trace=True)
        client = self.connect(PLAIN, daemon)
        sent = digest(self.stamp(client), self.secret)
        client.ok(b"APOP joe " + sent)
        client.quit()
        daemon.log_wait(r"APOP \*\*\*\*")
        self.assertNotIn(sent.decode(), daemon.log())

    @harness.needs_root
    def test_servers_at_run_time(self):
        daemon = self.own_daemon(apop=True)
        socket = os.path.join(daemon.dir, "run", "control")

        def ctl(*words):
            return subprocess.run([harness.program("pop3ctl"), "-s", socket, *words], check=True, stdout=subprocess.PIPE).stdout.decode().strip()
        client = self.connect(PLAIN, daemon)
        self.assertNotIn(b"<", client.greeting)  # pam
        ctl("configure", "clear", "-auth", "file:" + self.path)
        client.err(b"APOP joe x")
        client.quit()
        client = self.connect(PLAIN, daemon)
        ctl("configure", "clear", "-auth", "pam:" + harness.world().service())
        # it was announced, so it is judged: by a back end that knows no digests
        self.assertTrue(self.apop(client).startswith(b"-ERR [AUTH] "))
        client.quit()
        daemon.log_fields("login-failed", mech="APOP", reason='"no APOP with this back end"')

    def test_conn_state(self):
        slow = harness.Daemon(auth="file:" + self.path, apop=True, auth_failure_delay=2000)
        self.addCleanup(lambda: self.assertEqual(slow.stop(), []))
        client = self.connect(PLAIN, slow)
        client.send(b"APOP joe x\r\n")
        words = [harness.program("pop3ctl"), "-s", os.path.join(slow.dir, "run", "control"), "conn"]
        one = subprocess.run([*words, "list", "clear"], check=True, stdout=subprocess.PIPE).stdout.decode().split()[0]

        def state():
            out = subprocess.run([*words, "state", "clear", one], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()
            return dict((line + " ").split(" ", 1) for line in out)
        self.assertTrue(harness.wait_for(lambda: state()["logon"].strip() == "apop", 1))
        self.assertEqual(state()["name"].strip(), "joe")
        client.response()
        self.assertEqual(state()["logon"].strip(), "")
        self.assertEqual(state()["name"].strip(), "joe")
        client.quit()

    def test_APO_errors_are_no_secrets(self):
        self.transcript([("APOP", Err()), ("APOP a b c", Err()), (b"APOP " + b"x" * 200 + b" y", AUTH_ERR), ("STAT", Err())], login=False)
