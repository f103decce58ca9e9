"""CONFORMANCE group RSP: responses and codes.

RSP-01, 02, 04 and 05 are checked on every response of every test, by
client.check_response; the tests here add what is not seen in one line.
"""

import os
import time

import client as client_module
import harness
import mailbox
from client import TestCase, plain_response
from harness import TLS

MARK = b"XyZZy4711"


class Responses(TestCase):
    def test_RSP_01_the_checker_itself(self):
        for good in (b"+OK ready", b"-ERR no", b"-ERR [AUTH] no", b"-ERR [SYS/TEMP] later"):
            client_module.check_response(good)
        for bad in (b"+OK", b"+ok x", b"-ERR", b"-ERR ", b"+OK [AUTH] x", b"-ERR [X] y", b"-ERR a [b]", b"+OK x\ty", b"+OK " + b"x" * 510):
            with self.assertRaises(AssertionError):
                client_module.check_response(bad)

    def test_RSP_01_02_04_05_every_command_in_every_state(self):
        words = [b"CAPA", b"USER x", b"PASS x", b"APOP a b", b"AUTH PLAIN =", b"UTF8", b"LANG", b"STAT", b"LIST", b"RETR 1", b"DELE 1", b"NOOP", b"RSET",
                 b"TOP 1 0", b"UIDL", b"STLS x", b"LIST 9", b"UIDL 9", b"", b"X" * 300]
        user = self.user(mailbox.simple(1))
        for kind in self.each_kind():
            for logged_in in (False, True):
                client = self.session(user, kind) if logged_in else self.connect(kind)
                for word in words:
                    response = client.command(word)
                    if response.startswith(b"+OK ") and word.split(b" ")[0] in (b"CAPA", b"RETR", b"TOP", b"LANG", b"LIST", b"UIDL"):
                        client.body()
                client.quit()

    def test_RSP_03_no_input_comes_back(self):
        user = self.user(mailbox.simple(1))
        lines = [b"USER " + MARK, b"PASS " + MARK, MARK, b"RETR " + MARK, b"AUTH " + MARK, b"AUTH PLAIN " + MARK, b"TOP 1 " + MARK, b"STLS " + MARK,
                 b"LANG " + MARK, b"APOP %s %s" % (MARK, MARK), b"LIST [" + MARK, b"[" + MARK, b"NOOP " + MARK * 40]
        for kind in self.each_kind():
            for logged_in in (False, True):
                client = self.session(user, kind) if logged_in else self.connect(kind)
                for line in lines:
                    self.assertNotIn(MARK.lower(), client.command(line).lower(), line)
                client.quit()

    def test_RSP_09_auth_code_on_each_credential_failure_only(self):
        user = self.user()
        for kind in self.each_kind():
            client = self.connect(kind)
            self.assertNotIn(b"[", client.command(b"USER nobody-here"))
            self.assertTrue(client.command(b"PASS x").startswith(b"-ERR [AUTH] "))
            self.assertTrue(client.try_login(user, b"wrong").startswith(b"-ERR [AUTH] "))
            self.assertTrue(client.command(b"AUTH PLAIN " + plain_response(user, b"wrong")).startswith(b"-ERR [AUTH] "))
            self.assertTrue(client.command(b"AUTH PLAIN " + plain_response(b"nobody-here", b"x")).startswith(b"-ERR [AUTH] "))
            for line in (b"PASS x", b"STAT", b"AUTH NONSUCH", b"AUTH PLAIN !", b"USER", b"XYZ", b"PASS"):
                self.assertNotIn(b"[", client.command(line), line)
            client.quit()

    def test_RSP_11_unknown_user_and_wrong_password_look_alike(self):
        user = self.user()
        texts = set()
        for kind in self.each_kind():
            client = self.connect(kind)
            for line in (b"USER ", b"AUTH"):
                for name in (user.name_octets, b"nobody-here", b"root", b"daemon", b"a/b", b"..", b"%h", b"no@where.example"):
                    if line == b"AUTH":
                        texts.add(client.command(b"AUTH PLAIN " + plain_response(name, b"wrong")))
                    else:
                        self.assertEqual(client.command(line + name), client.command(line + b"someone"))
                        client.ok(line + name)
                        texts.add(client.command(b"PASS wrong"))
                client.close()
                client = self.connect(kind)
        self.assertEqual(len(texts), 1, texts)

    def test_RSP_11_same_time(self):
        daemon = self.own_daemon(auth_failure_delay=400)
        user = self.user()
        times = {}
        for name in (user.name_octets, b"nobody-here", b"root"):
            for _ in range(3):
                client = self.connect(TLS, daemon)
                client.ok(b"USER " + name)
                begun = time.monotonic()
                client.err(b"PASS wrong")
                times.setdefault(name, []).append(time.monotonic() - begun)
                client.quit()
        for name, values in times.items():
            self.assertGreaterEqual(min(values), 0.39, name)
            self.assertLess(min(values), 0.6, name)
        best = [min(v) for v in times.values()]
        self.assertLess(max(best) - min(best), 0.05, times)

    def test_RSP_06_13_in_use_only_after_right_credentials(self):
        user = self.user(mailbox.simple(1))
        holder = self.session(user)
        for kind in self.each_kind():
            client = self.connect(kind)
            self.assertTrue(client.try_login(user, b"wrong").startswith(b"-ERR [AUTH] "))
            self.assertTrue(client.try_login(user).startswith(b"-ERR [IN-USE] "))
            client.quit()
        holder.quit()

    def test_RSP_08_sys_perm_for_a_mailbox_that_cannot_be_read(self):
        user = self.user(mailbox.simple(1))
        os.chmod(os.path.join(user.maildir.path, "cur"), 0)
        for kind in self.each_kind():
            client = self.connect(kind)
            self.assertTrue(client.try_login(user).startswith(b"-ERR [SYS/PERM] "))
            client.eof()
        os.chmod(os.path.join(user.maildir.path, "cur"), 0o700)

    def test_RSP_12_parsed_texts_only(self):
        user = self.user(mailbox.simple(2))
        client = self.session(user, TLS)
        self.assertRegex(client.ok(b"STAT"), rb"\A\+OK \d+ \d+\Z")
        self.assertRegex(client.ok(b"LIST 1"), rb"\A\+OK 1 \d+\Z")
        self.assertRegex(client.ok(b"UIDL 1"), rb"\A\+OK 1 [\x21-\x7e]{1,70}\Z")
        client.quit()


class Absent(TestCase):
    """What this version does not have is refused and not announced."""

    def test_U8_01_MEC_03_absent_commands(self):
        user = self.user()
        for kind in self.each_kind():
            client = self.connect(kind)
            self.assertNotIn(b"<", client.greeting)
            for line in (b"APOP user c4c9334bac560ecc979e58001b3e22fb", b"UTF8", b"LANG", b"LANG *", b"AUTH CRAM-MD5", b"AUTH SCRAM-SHA-1 =", b"AUTH SCRAM-SHA-256",
                         b"AUTH SCRAM-SHA-256-PLUS", b"AUTH EXTERNAL =", b"AUTH XOAUTH2", b"AUTH OAUTHBEARER", b"AUTH GSSAPI", b"AUTH ANONYMOUS", b"AUTH NTLM"):
                client.err(line)
            client.login(user)
            for line in (b"UTF8", b"LANG", b"LANG en", b"APOP a b", b"XTND", b"LAST"):
                client.err(line)
            client.quit()

    def test_CAP_06_07_10_absent_capabilities(self):
        user = self.user()
        for kind in self.each_kind():
            client = self.connect(kind)
            before = client.listing(b"CAPA")
            client.login(user)
            after = client.listing(b"CAPA")
            client.quit()
            for tag in (b"APOP", b"UTF8", b"LANG", b"EXPIRE", b"LOGIN-DELAY"):
                self.assertFalse([line for line in before + after if line.split(b" ")[0] == tag])

    def test_PXY_01_no_proxy_header_is_looked_for(self):
        client = self.connect(harness.PLAIN)
        client.err(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2")
        client.quit()
