"""CONFORMANCE groups SAS and MEC: AUTH with PLAIN and LOGIN."""

import base64

import harness
import mailbox
from client import AUTH_ERR, EOF, Challenge, Err, Ok, TestCase, plain_response
from harness import PLAIN

MESSAGES = mailbox.simple(2)
NO_CODE = Err(rb"[^\[].*")


def b64(octets):
    return base64.b64encode(octets)


def anything(_body):
    pass


class Framework(TestCase):
    def dialogue(self, *steps, **options):
        self.transcript(list(steps), login=False, **options)

    def test_SAS_01_REG_15_mechanism_names(self):
        user = self.user(MESSAGES)
        for name in (b"PLAIN", b"plain", b"PlAiN"):
            self.dialogue((b"AUTH " + name + b" " + plain_response(user), Ok()), ("STAT", Ok()))

    def test_SAS_01_unknown_mechanisms(self):
        names = ["NONSUCH", "X", "PLAINX", "PLAI", "CRAM-MD5", "PLAIN*", "PLA.IN", "A" * 21, "A" * 100, "-", "_"]
        self.dialogue(*[("AUTH " + name, NO_CODE) for name in names], ("CAPA", Ok(body=anything)))

    def test_SAS_02_REG_15_empty_challenge_has_its_space(self):
        for kind in self.each_kind():
            client = self.connect(kind)
            client.send(b"AUTH PLAIN\r\n")
            self.assertEqual(client.line(), b"+ ")
            client.send(b"*\r\n")
            client.response()
            client.quit()

    def test_SAS_03_equals_sign_is_an_empty_response(self):
        # an empty PLAIN message is refused at once, without a challenge
        self.dialogue(("AUTH PLAIN =", Err()), ("NOOP", NO_CODE), ("AUTH PLAIN", Challenge()), ("=", Err()), ("NOOP", NO_CODE), ("AUTH PLAIN", Challenge()),
                      ("\r\n", Err()), ("NOOP", NO_CODE))

    def test_SAS_04_initial_response_for_login(self):
        user = self.user(MESSAGES)
        self.dialogue((b"AUTH LOGIN " + b64(user.name_octets), NO_CODE), ("NOOP", NO_CODE), ("AUTH LOGIN =", NO_CODE), ("CAPA", Ok(body=anything)))

    def test_SAS_05_cancel(self):
        self.dialogue(("AUTH PLAIN", Challenge()), ("*", NO_CODE), ("NOOP", NO_CODE), ("AUTH LOGIN", Challenge(b"Username:")), ("*", NO_CODE),
                      ("AUTH LOGIN", Challenge(b"Username:")), (b64(b"x"), Challenge(b"Password:")), ("*", NO_CODE), ("CAPA", Ok(body=anything)))

    def test_SAS_05_cancel_is_exactly_a_star(self):
        for line in ("* ", " *", "**"):
            self.dialogue(("AUTH PLAIN", Challenge()), (line, Err()), ("NOOP", NO_CODE))

    def test_SAS_06_bad_base64(self):
        user = self.user(MESSAGES)
        good = plain_response(user)
        bad = [b"AAA=BBB=", b"=AAA", b"A", b"AA", b"AAA", b"AA=", b"A===", b"====", b"AA==AA==", b"AA AA", b"AAAA ", b"AA-_", b"AA\tA", b"A*AA", b"\x80AAA", b"AAAA=", b"!!!!",
               good + b"=", good + b"A", good[:5] + b" " + good[5:], good.replace(b"A", b"_", 1)]
        for line in bad:
            with self.subTest(line=line):
                steps = [("AUTH PLAIN", Challenge()), (line, NO_CODE), ("NOOP", NO_CODE), ("CAPA", Ok(body=anything))]
                if b" " not in line and b"\t" not in line:
                    steps += [(b"AUTH PLAIN " + line, NO_CODE), ("NOOP", NO_CODE)]
                self.transcript(steps, login=False)

    def test_SAS_06_spare_bits(self):
        # "YQ==" is "a"; "YR==" has bits of nobody
        user = harness.User("s3cret-of-p3t")
        message = b"\0" + user.name_octets + b"\0" + user.password_octets
        while len(message) % 3 != 1:
            user = harness.User(user.password + "x")
            message = b"\0" + user.name_octets + b"\0" + user.password_octets
        good = b64(message)
        self.assertTrue(good.endswith(b"=="))
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        bad = good[:-3] + alphabet[alphabet.index(good[-3:-2]) + 1:][:1] + b"=="
        self.dialogue((b"AUTH PLAIN " + bad, Err()), ("STAT", Err()), (b"AUTH PLAIN " + good, Ok()), ("STAT", Ok()))

    def test_SAS_07_challenges_are_base64_only(self):
        for kind in self.each_kind():
            client = self.connect(kind)
            client.send(b"AUTH LOGIN\r\n")
            self.assertEqual(client.line(), b"+ VXNlcm5hbWU6")
            client.send(b"eA==\r\n")
            self.assertEqual(client.line(), b"+ UGFzc3dvcmQ6")
            client.send(b"*\r\n")
            client.response()
            client.quit()

    def test_SAS_08_nothing_with_the_success_line(self):
        user = self.user(MESSAGES)
        self.dialogue(("AUTH PLAIN", Challenge()), (plain_response(user), Ok()), ("NOOP", Ok()))

    def test_SAS_09_after_success_and_after_failure(self):
        user = self.user(MESSAGES)
        self.dialogue((b"AUTH PLAIN " + plain_response(user, b"wrong"), AUTH_ERR), (b"USER " + user.name_octets, Ok()), (b"PASS " + user.password_octets, Ok()),
                      ("AUTH PLAIN", NO_CODE), (b"AUTH PLAIN " + plain_response(user), NO_CODE), ("STAT", Ok()))

    def test_SAS_10_plain_needs_tls_where_cleartext_is_refused(self):
        daemon = harness.shared_daemon(server_settings={"cleartext_login": "never"})
        user = self.user(MESSAGES)
        client = self.connect(PLAIN, daemon)
        for line in (b"AUTH PLAIN", b"AUTH LOGIN", b"AUTH PLAIN " + plain_response(user)):
            self.assertNotIn(b"[AUTH]", client.err(line))
        client.stls()
        client.ok(b"AUTH PLAIN " + plain_response(user))
        client.quit()

    def test_SAS_12_authorization_id(self):
        user, other = self.user(MESSAGES), self.user(MESSAGES)
        self.dialogue((b"AUTH PLAIN " + plain_response(user, authzid=other.name_octets), Err()), ("STAT", Err()),
                      (b"AUTH PLAIN " + plain_response(user, authzid=b"root"), Err()), ("STAT", Err()), (b"AUTH PLAIN " + plain_response(user, authzid=b""), Ok()), ("STAT", Ok()))

    def test_SAS_12_own_name_as_authorization_id(self):
        user = self.user(MESSAGES)
        self.dialogue((b"AUTH PLAIN " + plain_response(user, authzid=user.name_octets), Ok()), ("STAT", Ok()))

    def test_SAS_13_bare_auth(self):
        self.dialogue(("AUTH", NO_CODE), ("NOOP", NO_CODE))

    def test_SAS_14_eof_in_an_exchange(self):
        daemon = self.own_daemon()
        for kind in self.each_kind():
            client = self.connect(kind, daemon)
            client.send(b"AUTH PLAIN\r\n")
            client.challenge()
            client.shutdown_write()
            client.eof()

    def test_SAS_14_timer_runs_in_an_exchange(self):
        daemon = self.own_daemon(login_timeout=1, password_timeout=1)
        clients = []
        for kind in harness.ALL_KINDS:
            client = self.connect(kind, daemon)
            client.send(b"AUTH PLAIN\r\n")
            client.challenge()
            clients.append(client)
        for client in clients:
            client.eof()

    def test_SAS_14_order_under_pipelining(self):
        user = self.user(MESSAGES)
        self.dialogue(("AUTH PLAIN", Challenge()), (plain_response(user, b"wrong"), AUTH_ERR), ("NOOP", Err()), ("AUTH LOGIN", Challenge(b"Username:")),
                      (b64(user.name_octets), Challenge(b"Password:")), (b64(user.password_octets), Ok()), ("STAT", Ok()), ("QUIT", Ok(), EOF))


class Mechanisms(TestCase):
    def dialogue(self, *steps, **options):
        self.transcript(list(steps), login=False, **options)

    def test_MEC_01_plain(self):
        user = self.user(MESSAGES)
        self.dialogue((b"AUTH PLAIN " + plain_response(user), Ok()), ("STAT", Ok()))
        self.dialogue(("AUTH PLAIN", Challenge()), (plain_response(user), Ok()), ("STAT", Ok()))

    def test_MEC_01_form(self):
        user = self.user(MESSAGES)
        name, password = user.name_octets, user.password_octets
        bad = [b"", b"\0", b"\0\0", name, b"\0" + name, name + b"\0" + password, b"\0" + name + b"\0", b"\0\0" + password, b"\0" + name + b"\0" + password + b"\0",
               b"\0" + name + b"\0" + password + b"\0x", b"\0\0" + name + b"\0" + password, name + b"\0\0" + password, b"\0\xff\xfe\0" + password]
        for message in bad:
            with self.subTest(message=message):
                self.transcript([("AUTH PLAIN", Challenge()), (b64(message), Err()), ("STAT", Err())], login=False)

    def test_MEC_01_parts_of_255_octets(self):
        long = b"n" * 255
        self.dialogue(("AUTH PLAIN", Challenge()), (b64(long + b"\0" + long + b"\0" + b"p" * 255), AUTH_ERR), ("AUTH PLAIN", Challenge()),
                      (b64(b"\0" + long + b"\0" + b"p" * 255), AUTH_ERR), ("CAPA", Ok(body=anything)))

    def test_MEC_01_parts_that_are_too_long(self):
        self.dialogue(("AUTH PLAIN", Challenge()), (b64(b"\0user\0" + b"p" * 600), Err()), ("AUTH PLAIN", Challenge()), (b64(b"\0" + b"u" * 300 + b"\0p"), Err()),
                      ("CAPA", Ok(body=anything)))

    def test_MEC_01_password_with_blanks_and_8_bit(self):
        for password in (" a b ", "pässwörd-ü", "日本語のパス"):
            user = harness.User(password)
            user.maildir.fill(MESSAGES)
            self.dialogue((b"AUTH PLAIN " + plain_response(user, password.encode()), Ok()), ("STAT", Ok()))

    def test_MEC_01_wrong(self):
        user = self.user(MESSAGES)
        self.dialogue((b"AUTH PLAIN " + plain_response(user, b"wrong"), AUTH_ERR), (b"AUTH PLAIN " + plain_response(b"nobody-here", b"x"), AUTH_ERR), ("STAT", Err()))

    def test_MEC_02_login(self):
        user = self.user(MESSAGES)
        self.dialogue(("AUTH LOGIN", Challenge(b"Username:")), (b64(user.name_octets), Challenge(b"Password:")), (b64(user.password_octets), Ok()), ("STAT", Ok()))
        self.dialogue(("auth login", Challenge(b"Username:")), (b64(user.name_octets), Challenge(b"Password:")), (b64(b"wrong"), AUTH_ERR), ("STAT", Err()),
                      ("AUTH LOGIN", Challenge(b"Username:")), (b64(user.name_octets), Challenge(b"Password:")), (b64(user.password_octets), Ok()))

    def test_MEC_02_bad_answers(self):
        user = self.user(MESSAGES)
        self.dialogue(("AUTH LOGIN", Challenge(b"Username:")), ("not base64!", NO_CODE), ("NOOP", NO_CODE))
        self.dialogue(("AUTH LOGIN", Challenge(b"Username:")), (b64(user.name_octets), Challenge(b"Password:")), ("not base64!", NO_CODE), ("NOOP", NO_CODE))
        self.dialogue(("AUTH LOGIN", Challenge(b"Username:")), (b64(user.name_octets), Challenge(b"Password:")), ("\r\n", Err()), ("NOOP", NO_CODE))
        self.dialogue(("AUTH LOGIN", Challenge(b"Username:")), (b64(user.name_octets), Challenge(b"Password:")), (b64(user.password_octets + b"\0x"), Err()), ("STAT", Err()))

    def test_MEC_03_others_are_absent(self):
        self.dialogue(*[("AUTH " + name, NO_CODE) for name in ("CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2", "EXTERNAL",
                                                                 "ANONYMOUS", "DIGEST-MD5", "GSSAPI", "NTLM")])
