"""CONFORMANCE group STM: states."""

import ssl

import mailbox
from client import AUTH_ERR, EOF, OCTET, WHOLE, Challenge, Err, Ok, TestCase, plain_response
from harness import ALL_KINDS, PLAIN, STLS, TLS

MESSAGES = mailbox.simple(2)
TRANSACTION = ["STAT", "LIST", "LIST 1", "RETR 1", "DELE 1", "NOOP", "RSET", "TOP 1 0", "UIDL", "UIDL 1"]
NO_CODE = Err(rb"[^\[].*")


def anything(_body):
    pass


class States(TestCase):
    def test_STM_01_transaction_commands_before_login(self):
        self.transcript([(line, Err(rb"client not authenticated\b.*")) for line in TRANSACTION] + [("CAPA", Ok(body=anything))], login=False)

    def test_STM_01_authorization_commands_after_login(self):
        user = self.user(MESSAGES)
        lines = [b"USER " + user.name_octets, b"PASS " + user.password_octets, b"APOP a b", b"AUTH PLAIN", b"AUTH PLAIN " + plain_response(user), b"AUTH LOGIN",
                 b"STLS", b"UTF8"]
        self.transcript([step for line in lines for step in ((line, NO_CODE), ("NOOP", Ok()))] + [("CAPA", Ok(body=anything))], MESSAGES, user=user)

    def test_STM_01_all_commands_after_login(self):
        self.transcript([("STAT", Ok()), ("LIST", Ok(body=anything)), ("RETR 1", Ok(body=mailbox.wire(MESSAGES[0]))), ("DELE 1", Ok()), ("NOOP", Ok()),
                         ("RSET", Ok()), ("TOP 1 0", Ok(body=anything)), ("UIDL", Ok(body=anything)), ("CAPA", Ok(body=anything))], MESSAGES)

    def test_STM_01_sasl_exchange_takes_everything_as_data(self):
        words = ["CAPA", "QUIT", "USER a", "PASS a", "APOP a b", "AUTH PLAIN", "STLS", "UTF8", "LANG", "STAT", "NOOP", "RETR 1"]
        for word in words:
            self.transcript([("AUTH PLAIN", Challenge()), (word, Err()), ("NOOP", NO_CODE), ("CAPA", Ok(body=anything))], login=False, kinds=(PLAIN, TLS))

    def test_STM_02_pass_directly_behind_user(self):
        user = self.user(MESSAGES)
        right = b"PASS " + user.password_octets
        for between, expect in (("NOOP", Err()), ("CAPA", Ok(body=anything)), ("STAT", Err()), ("", Err()), ("XYZZ", Err()), ("AUTH NONSUCH", Err()),
                                ("UIDL", Err()), ("X" * 300, Err())):
            self.transcript([(b"USER " + user.name_octets, Ok()), (between, expect), (right, NO_CODE), ("STAT", Err())], login=False, kinds=(PLAIN, TLS))

    def test_STM_02_backend_is_not_asked(self):
        user = self.user(MESSAGES)
        mark = len(self.daemon.log())
        for kind in ALL_KINDS:
            client = self.connect(kind)
            client.err(b"PASS " + user.password_octets)
            client.ok(b"USER " + user.name_octets)
            client.err(b"NOOP")
            client.err(b"PASS wrong")
            client.quit()
        self.assertNotIn("login-failed", self.daemon.log()[mark:])

    def test_STM_03_failed_pass_needs_a_new_user(self):
        user = self.user(MESSAGES)
        name, right = b"USER " + user.name_octets, b"PASS " + user.password_octets
        self.transcript([(name, Ok()), ("PASS wrong", AUTH_ERR), (right, NO_CODE), ("STAT", Err()), (name, Ok()), (right, Ok()), ("STAT", Ok())], MESSAGES,
                        user=user, login=False)

    def test_STM_03_second_user_replaces_the_first(self):
        user = self.user(MESSAGES)
        self.transcript([("USER nobody-here", Ok()), (b"USER " + user.name_octets, Ok()), (b"PASS " + user.password_octets, Ok())], login=False)
        self.transcript([(b"USER " + user.name_octets, Ok()), ("USER nobody-here", Ok()), (b"PASS " + user.password_octets, AUTH_ERR)], login=False)

    def test_STM_03_auth_drops_the_pending_name(self):
        user = self.user(MESSAGES)
        name, right = b"USER " + user.name_octets, b"PASS " + user.password_octets
        self.transcript([(name, Ok()), ("AUTH PLAIN", Challenge()), ("*", Err()), (right, NO_CODE), ("STAT", Err())], login=False)
        self.transcript([("USER nobody-here", Ok()), (b"AUTH PLAIN " + plain_response(user), Ok()), ("STAT", Ok())], login=False)
        self.transcript([(name, Ok()), (b"AUTH PLAIN " + plain_response(user, b"wrong"), AUTH_ERR), (right, NO_CODE)], login=False)

    def test_STM_03_malformed_user_drops_the_pending_name(self):
        user = self.user(MESSAGES)
        self.transcript([(b"USER " + user.name_octets, Ok()), ("USER", Err()), (b"PASS " + user.password_octets, NO_CODE)], login=False)

    def test_STM_04_failed_login_stays_in_authorization(self):
        user = self.user(MESSAGES)
        self.transcript([(b"USER " + user.name_octets, Ok()), ("PASS wrong", AUTH_ERR), ("STAT", NO_CODE), ("CAPA", Ok(body=anything)),
                         (b"USER " + user.name_octets, Ok()), (b"PASS " + user.password_octets, Ok()), ("STAT", Ok())], login=False)

    def test_STM_05_foreign_words(self):
        for kind in self.each_kind():
            for line in (b"LAST", b"XTND XMIT", b"HELO there", b"EHLO there"):
                client = self.connect(kind)
                client.err(line)
                client.quit()

    def refused_at_once(self, kind, octets, mode, text):
        """One -ERR line and the close, though the client keeps its end open."""
        client = self.connect(kind, mode=mode)
        client.send(octets)
        self.assertRegex(client.response(), rb"\A-ERR " + text)
        client.eof()
        client.close()

    def test_STM_05_http_is_refused(self):
        requests = [b"%s / HTTP/1.1\r\nHost: localhost\r\n\r\n" % verb for verb in (b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS")]
        for kind in self.each_kind():
            for request in requests + [requests[0] + b"x" * 20000, b"GET /" + b"x" * 600]:
                self.refused_at_once(kind, request, WHOLE, rb"this is a POP3 server\b")
            self.refused_at_once(kind, b"GET / ", OCTET, rb"this is a POP3 server\b")

    def test_STM_05_tls_hello_on_a_plain_port_is_refused(self):
        out = ssl.MemoryBIO()
        tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
        self.assertRaises(ssl.SSLWantReadError, tls.do_handshake)
        hello = out.read()
        for octets in (hello, hello[:300], hello[:11]):
            self.refused_at_once(PLAIN, octets, WHOLE, rb"no TLS handshake\b")
        self.refused_at_once(PLAIN, hello[:2], OCTET, rb"no TLS handshake\b")

    def test_STM_05_closed_after_100_refused_commands(self):
        user = self.user(MESSAGES)
        bad = [b"XYZZ", b"", b"LIST x y z", b"A" * 300, b"PASS secret", b"AUTH NONSUCH", b"NOOP", b"\xff\xfe"]
        lines = [bad[i % len(bad)] for i in range(100)]
        for kind in self.each_kind():
            client = self.connect(kind)
            client.send(b"\r\n".join(lines[:99]) + b"\r\nCAPA\r\n")
            for _ in range(99):
                self.assertRegex(client.response(), rb"\A-ERR ")
            self.assertRegex(client.response(), rb"\A\+OK ")
            client.body()
            client.login(user)  # 99 do not keep anybody out
            client.quit()
            client = self.connect(kind)
            client.send(b"\r\n".join(lines) + b"\r\n" + b"NOOP\r\n" * 50)
            for _ in range(99):
                self.assertRegex(client.response(), rb"\A-ERR ")
            self.assertRegex(client.response(), rb"\A-ERR too many refused commands")
            client.eof()
            client.close()

    def test_STM_01_stls_before_user_only(self):
        self.transcript([("QUIT", Ok(), EOF)], login=False, kinds=(STLS,))
