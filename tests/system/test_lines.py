"""CONFORMANCE group LIN: command lines."""

import base64
import random
import time

import harness
import mailbox
from client import AUTH_ERR, EOF, Challenge, Err, Ok, TestCase, plain_response
from harness import ALL_KINDS, PLAIN, TLS

MESSAGES = mailbox.simple(3)
STAT = Ok(b"3 %d" % sum(map(mailbox.size, MESSAGES)))


class Lines(TestCase):
    def test_LIN_01_case_of_keywords(self):
        self.transcript([("sTaT", STAT), ("stat", STAT), ("noop", Ok()), ("List 1", Ok(rb"1 \d+")), ("ReTr 1", Ok(body=mailbox.wire(MESSAGES[0]))),
                         ("uidL 1", Ok(rb"1 \S+")), ("tOp 1 0", Ok(body=mailbox.top(MESSAGES[0], 0))), ("dele 1", Ok()), ("rset", Ok()),
                         ("quit", Ok(), EOF)], MESSAGES)

    def test_LIN_01_case_before_login(self):
        user = self.user()
        for kind in self.each_kind():
            client = self.connect(kind)
            client.multi(b"cApA")
            client.ok(b"uSeR " + user.name_octets)
            client.ok(b"pAsS " + user.password_octets)
            client.quit()

    def test_LIN_01_no_locale_in_keywords(self):
        # a Turkish dotless i or a Kelvin sign is no ASCII letter
        self.transcript([("L\u0131ST".encode(), Err()), ("L\u0130ST".encode(), Err()), (b"LIST", Ok(body=lambda b: None))], MESSAGES)

    def test_LIN_01_length_of_keywords(self):
        self.transcript([("NO", Err()), ("NOOPS", Err()), ("N", Err()), ("STATSTATSTAT", Err()), ("STAT", STAT)], MESSAGES)

    def test_LIN_02_line_of_255_octets(self):
        fits = b"NOOP" + b" " * (253 - 4) + b"\r\n"
        self.assertEqual(len(fits), 255)
        self.transcript([(fits, Ok()), ("STAT", STAT), (b"NOOP" + b" " * 250 + b"\r\n", Err()), ("STAT", STAT)], MESSAGES)

    def test_LIN_02_password_of_248_octets(self):
        user = harness.User("p w" + "x" * 244 + "!")
        user.maildir.fill(MESSAGES)
        self.assertEqual(len(user.password), 248)
        for kind in self.each_kind():
            client = self.connect(kind)
            client.login(user)
            client.quit()
            client = self.connect(kind)
            self.assertTrue(client.try_login(user, user.password_octets[:-1]).startswith(b"-ERR [AUTH]"))
            client.ok(b"USER " + user.name_octets)
            self.assertRegex(client.command(b"PASS " + user.password_octets + b"x"), rb"\A-ERR [^\[]")
            client.err(b"STAT")
            client.quit()

    def test_LIN_03_long_line_gets_one_error(self):
        long = b"NOOP " + b"A" * 300 + b"\r\n"
        self.transcript([(long, Err(rb"[^\[].*")), ("STAT", STAT)], MESSAGES)

    def test_LIN_03_tail_is_never_a_command(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            for before in (240, 248, 249, 250, 251, 252, 253, 254, 255, 256, 257, 500, 508, 509, 510, 511, 512, 513, 1020, 4090, 4096):
                client = self.session(user, kind)
                client.send(b"NOOP " + b"A" * (before - 5) + b"DELE 1\r\nSTAT\r\nQUIT\r\n")
                self.assertTrue(client.response().startswith(b"-ERR "))
                self.assertRegex(client.response(), rb"\A\+OK 3 \d+\Z")
                self.assertTrue(client.response().startswith(b"+OK "))
                client.eof()
        self.assertEqual(len(user.maildir.stored()), 3)

    def test_LIN_03_long_line_before_login(self):
        for kind in self.each_kind():
            for length in (256, 300, 512, 513, 600, 1100, 5000):
                client = self.connect(kind)
                client.send(b"USER " + b"A" * (length - 11) + b"QUIT\r\nCAPA\r\nSTAT\r\nQUIT\r\n")
                self.assertTrue(client.response().startswith(b"-ERR "))
                self.assertTrue(client.response().startswith(b"+OK "))
                client.body()
                self.assertTrue(client.response().startswith(b"-ERR "))
                self.assertTrue(client.response().startswith(b"+OK "))
                client.eof()

    def test_LIN_03_line_without_end_closes(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            for logged_in in (False, True):
                with self.subTest(logged_in=logged_in):
                    client = self.session(user, kind) if logged_in else self.connect(kind)
                    try:
                        for _ in range(64):
                            client.send(b"A" * 4096)
                            time.sleep(0.005)
                    except OSError:
                        pass
                    self.assertLessEqual(client.rest().count(b"\r\n"), 1)
        self.assertEqual(len(user.maildir.stored()), 3)

    def test_LIN_03_line_of_one_megabyte(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            client = self.session(user, kind)
            try:
                client.send(b"NOOP " + b"A" * (1 << 20) + b"DELE 1\r\nQUIT\r\n")
            except OSError:
                pass
            self.assertLessEqual(client.rest().count(b"\r\n"), 1)
        self.assertEqual(len(user.maildir.stored()), 3)

    def test_LIN_04_long_sasl_continuation(self):
        # PLAIN with three parts of 255 octets is 1024 characters of base64
        response = base64.b64encode(b"a" * 255 + b"\0" + b"a" * 255 + b"\0" + b"b" * 255 + b"")
        self.transcript([("AUTH PLAIN", Challenge()), (response, Err()), ("NOOP", Err())], login=False)

    def test_LIN_04_password_of_255_octets_by_plain(self):
        user = harness.User("q" * 255)
        user.maildir.fill(MESSAGES)
        self.transcript([("AUTH PLAIN", Challenge()), (plain_response(user), Ok()), ("STAT", STAT)], login=False)

    def test_LIN_04_continuation_of_64_kib(self):
        for kind in self.each_kind():
            client = self.connect(kind)
            client.send(b"AUTH PLAIN\r\n")
            client.challenge()
            client.send(b"A" * 65000 + b"\r\n")
            self.assertTrue(client.response().startswith(b"-ERR "))
            client.err(b"NOOP")
            client.quit()

    def test_LIN_05_long_initial_response(self):
        user = harness.User("i" * 255)
        user.maildir.fill(MESSAGES)
        self.transcript([(b"AUTH PLAIN " + plain_response(user), Ok()), ("STAT", STAT)], login=False)

    def test_LIN_05_very_long_initial_response(self):
        for kind in self.each_kind():
            for length in (500, 508, 512, 516, 1024, 5000, 60000):
                client = self.connect(kind)
                client.send(b"AUTH PLAIN " + b"A" * length + b"\r\n")
                self.assertTrue(client.response().startswith(b"-ERR "))
                client.err(b"NOOP")
                client.quit()

    def test_LIN_06_unknown_and_malformed(self):
        bad = ["XYZZ", "LAST", "XTND", "HELO", "EHLO there", "", " ", "  ", "!@#$", "1234", "NOO.", "ST AT", "RETR 0", "RETR \x7f", "-", "+OK",
               ".", "APOP a b", "LANG", "UTF8", "XCLIENT A=b"]
        self.transcript([step for line in bad for step in ((line + "\r\n", Err()), ("STAT", STAT))], MESSAGES)

    def test_LIN_06_empty_line_before_login(self):
        self.transcript([("\r\n", Err()), ("\r\n", Err()), ("\n", Err()), ("NOOP", Err())], login=False)

    def test_LIN_07_arguments(self):
        bad = ["RETR", "RETR 1 2", "STAT x", "TOP", "TOP 1", "TOP 1 2 3", "CAPA x", "DELE", "DELE 1 2", "LIST 1 2", "NOOP x", "RSET x", "UIDL 1 2", "QUIT now"]
        self.transcript([(line, Err()) for line in bad] + [("STAT", STAT)], MESSAGES)

    def test_LIN_07_arguments_before_login(self):
        bad = ["USER", "USER ", "PASS", "STLS now", "CAPA x", "QUIT now", "AUTH PLAIN = =", "AUTH", "AUTH "]
        self.transcript([(line, Err()) for line in bad] + [("CAPA", Ok(body=lambda b: None))], login=False)

    def test_LIN_07_trailing_spaces(self):
        self.transcript([("STAT ", STAT), ("STAT   ", STAT), ("LIST 2  ", Ok(rb"2 \d+")), ("NOOP ", Ok()), ("TOP 1 0 ", Ok(body=mailbox.top(MESSAGES[0], 0))),
                         ("QUIT ", Ok(), EOF)], MESSAGES)

    def test_LIN_08_several_spaces_and_tabs(self):
        self.transcript([("TOP  1   0", Ok(body=mailbox.top(MESSAGES[0], 0))), ("LIST   3", Ok(rb"3 \d+")), (" NOOP", Err()), ("\tNOOP", Err()),
                         ("LIST\t1", Err()), ("LIST \t1", Err()), ("TOP 1\t0", Err()), ("NOOP\t", Err()), ("STAT", STAT)], MESSAGES)

    def test_LIN_09_bare_lf_and_bare_cr(self):
        self.transcript([(b"NOOP\n", Ok()), (b"STAT\n", STAT), (b"NO\rOP\r\n", Err()), (b"NOOP\r\r\n", Err()), (b"\rNOOP\r\n", Err()), (b"\n", Err()),
                         (b"RETR 1\rDELE 1\r\n", Err()), (b"STAT\r\n", STAT), (b"QUIT\n", Ok(), EOF)], MESSAGES)

    def test_LIN_09_bare_lf_before_login(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            for end in (b"\n", b"\r\n"):
                client = self.connect(kind)
                client.send(b"USER " + user.name_octets + end + b"PASS " + user.password_octets + end + b"STAT" + end + b"QUIT" + end)
                for _ in range(4):
                    self.assertTrue(client.response().startswith(b"+OK "))
                client.eof()

    def test_LIN_10_control_octets(self):
        bad = [b"NOOP\0", b"STAT\0x", b"\0STAT", b"RETR 1\0", b"RETR 1\x01", b"ST\0AT", b"LIST \x0b1", b"NOOP\x08", b"NOOP\x7f", b"NOOP\x1b[A", b"DELE 1\0 "]
        self.transcript([(line + b"\r\n", Err()) for line in bad] + [("STAT", STAT)], MESSAGES)

    def test_LIN_10_nul_in_name_and_password(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            client = self.connect(kind)
            client.ok(b"USER " + user.name_octets)
            self.assertRegex(client.command(b"PASS " + user.password_octets + b"\0x"), rb"\A-ERR [^\[]")
            client.err(b"STAT")
            client.err(b"USER " + user.name_octets + b"\0x")
            client.err(b"PASS " + user.password_octets)
            client.err(b"STAT")
            client.ok(b"USER " + user.name_octets)
            self.assertRegex(client.command(b"PASS " + user.password_octets + b"\0"), rb"\A-ERR [^\[]")
            client.err(b"STAT")
            client.login(user)
            client.quit()

    def test_LIN_11_8_bit_octets(self):
        self.transcript([(b"NOOP \xe9", Err()), (b"RETR \xd9\xa3", Err()), (b"\xc3\xa9", Err()), ("STAT", STAT)], MESSAGES)
        self.transcript([(b"USER us\xe9r", Err()), (b"USER us\xc3\xa9r", Err()), (b"APOP us\xe9r 0", Err())], login=False)

    def test_LIN_11_8_bit_octets_in_passwords(self):
        for password in ("pa\u00dfw\u00f6rt \u20ac".encode(), "pa\u00dfw\u00f6rt".encode("latin-1"), bytes(range(0x80, 0x100))):
            user = harness.User(password)
            user.maildir.fill(MESSAGES)
            name = b"USER " + user.name_octets
            with self.subTest(password=password):
                self.transcript([(name, Ok()), (b"PASS " + password, Ok()), ("STAT", STAT)], login=False)
                self.transcript([(b"AUTH PLAIN " + plain_response(user), Ok()), ("STAT", STAT)], login=False)
                self.transcript([(name, Ok()), (b"PASS " + password[:-1], AUTH_ERR), (name, Ok()), (b"PASS " + password + b"\x80", AUTH_ERR),
                                 (name, Ok()), (b"PASS " + password + b"\x7f", Err(rb"[^\[].*"))], login=False, kinds=(PLAIN, TLS))

    def test_LIN_12_numbers(self):
        bad = ["+1", "-1", "0", "0x1", "1.0", "1a", "a", "4", "1,2", "1e0", "4294967297", "4294967296", "18446744073709551616", "18446744073709551617",
               "9223372036854775809", "2147483649", "340282366920938463463374607431768211457", "9" * 200]
        steps = [("%s %s" % (word, number), Err()) for word in ("RETR", "LIST", "UIDL", "DELE") for number in bad]
        steps += [("TOP %s 0" % number, Err()) for number in bad]
        self.transcript(steps + [("RETR \u0663".encode(), Err()), ("STAT", STAT)], MESSAGES)

    def test_LIN_13_split_at_every_point(self):
        user = self.user(MESSAGES)
        blob = b"STAT\r\nLIST 2\r\nTOP 1 0\r\nNOOP\r\nQUIT\r\n"
        for kind in self.each_kind((PLAIN, TLS)):
            want = None
            for at in range(1, len(blob)):
                client = self.session(user, kind)
                client.send(blob[:at])
                time.sleep(0.003)
                client.send(blob[at:])
                got = client.rest()
                want = want or got
                self.assertEqual(got, want, "split at %d" % at)
            self.assertEqual(want.count(b"+OK "), 5)

    def test_LIN_13_login_split_at_every_point(self):
        user = self.user(MESSAGES)
        blob = b"CAPA\r\nUSER %s\r\nPASS %s\r\nSTAT\r\nQUIT\r\n" % (user.name_octets, user.password_octets)
        for kind in self.each_kind((PLAIN, TLS)):
            for at in range(1, len(blob), 2):
                client = self.connect(kind)
                client.send(blob[:at])
                time.sleep(0.003)
                client.send(blob[at:])
                got = client.rest()
                self.assertEqual(got.count(b"+OK "), 5, "split at %d: %r" % (at, got))

    def test_LIN_05_bad_base64_while_others_log_in(self):
        # one client's nonsense touches nobody else's login
        users = [self.user(MESSAGES) for _ in range(8)]
        for kind in ALL_KINDS:
            rogues = [self.connect(kind) for _ in range(6)]
            for client in rogues:
                client.send(b"AUTH PLAIN " + b"!" * 400 + b"\r\nAUTH PLAIN AAA=BBB=\r\n")
            clients = [self.connect(kind) for _ in users]
            for client, user in zip(clients, users):
                client.send(b"USER %s\r\nPASS %s\r\n" % (user.name_octets, user.password_octets))
            for client in clients:
                self.assertTrue(client.response().startswith(b"+OK "))
                self.assertTrue(client.response().startswith(b"+OK "))
                client.quit()
            for client in rogues:
                self.assertTrue(client.response().startswith(b"-ERR "))
                self.assertTrue(client.response().startswith(b"-ERR "))
                client.quit()


class Noise(TestCase):
    def test_LIN_random_octets_harm_nobody(self):
        user = self.user(MESSAGES)
        rng = random.Random(11)
        words = [b"USER ", b"PASS ", b"AUTH PLAIN", b"CAPA", b"RETR ", b"TOP ", b"1", b" ", b"\r\n", b"\n", b"\r", b"\0", b"STLS", b"\xff", b"=", b"QUI", b"*\r\n", b"%s", b"A" * 300]
        holder = self.session(user, TLS)
        other = self.user(MESSAGES)
        for kind in ALL_KINDS * 12:
            blob = b"".join(rng.choice(words) if rng.random() < 0.8 else rng.randbytes(rng.randint(1, 40)) for _ in range(rng.randint(1, 80)))
            for logged_in in (False, True):
                client = self.session(other, kind) if logged_in else self.connect(kind)
                try:
                    client.send(blob)
                    client.shutdown_write()
                except OSError:
                    pass
                client.rest()
                client.close()
        self.assertEqual(len(holder.listing(b"LIST")), 3)
        holder.quit()
        self.assertEqual(other.maildir.stored(), MESSAGES)


class Wrong(TestCase):
    def test_LIN_06_wrong_password_is_not_malformed(self):
        user = self.user()
        self.transcript([(b"USER " + user.name_octets, Ok()), ("PASS nonsense", AUTH_ERR)], login=False)
