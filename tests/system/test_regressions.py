"""CONFORMANCE group REG: mistakes seen in other servers, one test each, and the
mistakes of the project's own list that have no other place."""

import os
import signal
import time

import harness
import mailbox
from client import AUTH_ERR, EOF, Challenge, Err, Ok, TestCase, plain_response
from harness import ALL_KINDS, PLAIN, TLS

MESSAGES = mailbox.simple(4)
SIZES = [mailbox.size(m) for m in MESSAGES]


class Regressions(TestCase):
    def test_REG_01_no_empty_line_before_the_terminator(self):
        self.transcript([("RETR 1", Ok(body=b"S: x\r\n\r\nbody\r\n"))], [b"S: x\n\nbody\n"])

    def test_REG_02_list_is_not_the_file_size(self):
        self.transcript([("LIST 1", Ok(b"1 14")), ("STAT", Ok(b"1 14"))], [b"S: x\n\nbody\n"])

    def test_REG_03_crlf_files(self):
        self.transcript([("RETR 1", Ok(body=b"S: x\r\n\r\nbody\r\n")), ("LIST 1", Ok(b"1 14"))], [b"S: x\r\n\r\nbody\r\n"])

    def test_REG_04_deleted_messages_are_not_counted(self):
        self.transcript([("DELE 2", Ok()), ("STAT", Ok(b"3 %d" % (sum(SIZES) - SIZES[1]))), ("LIST", Ok(body=lambda b: self.assertNotIn(b"\n2 ", b)))], MESSAGES)

    def test_REG_05_second_dele(self):
        self.transcript([("DELE 1", Ok()), ("DELE 1", Err()), ("LIST", Ok(body=lambda b: self.assertTrue(b.startswith(b"2 ")))), ("RETR 1", Err()), ("DELE 2", Ok()),
                         ("RETR 1", Err()), ("STAT", Ok(b"2 %d" % sum(SIZES[2:])))], MESSAGES)

    def test_REG_06_top_0(self):
        self.transcript([("TOP 1 0", Ok(body=mailbox.top(MESSAGES[0], 0)))], MESSAGES)

    def test_REG_07_odd_commands_do_not_kill_the_session(self):
        odd = [b"RETR 0", b"RETR -1", b"RETR \x80", b"RETR 1\0", b"\xff\xff\xff", b"%s%s%n", b"RETR %n", b"TOP 0 0", b"TOP 1 %d", b"'", b"LIST 1;", b"UIDL \x1b[2J"]
        self.transcript([step for line in odd for step in ((line + b"\r\n", Err()), ("NOOP", Ok()))], MESSAGES)

    def test_REG_08_password_with_a_blank(self):
        user = harness.User("one two")
        user.maildir.fill(MESSAGES)
        self.transcript([(b"USER " + user.name_octets, Ok()), ("PASS one", AUTH_ERR), (b"USER " + user.name_octets, Ok()), ("PASS one two", Ok())], login=False)

    def test_REG_09_one_reply_to_quit(self):
        user = self.user(MESSAGES)
        client = self.session(user)
        for n in range(1, 5):
            client.ok(b"DELE %d" % n)
        for path in user.maildir.paths():
            os.unlink(path)
        client.send(b"QUIT\r\n")
        self.assertEqual(client.rest().count(b"\r\n"), 1)

    def test_REG_10_commands_behind_stls(self):
        user = self.user(MESSAGES)
        client = self.connect(PLAIN)
        client.send(b"STLS\r\nUSER %s\r\nPASS %s\r\nDELE 1\r\nQUIT\r\n" % (user.name_octets, user.password_octets))
        self.assertTrue(client._raw_line().startswith(b"+OK "))
        self.assertNotIn(b"+OK", client.rest())
        self.assertEqual(user.maildir.stored(), MESSAGES)

    def test_REG_11_message_is_not_rebuilt(self):
        odd = b"subject:no blank\nX-Y:  two\nreceived: (a\n\tb)\nMIME-Version: 9\nContent-Transfer-Encoding: nonsense\n\n=3D\n--\n"
        self.transcript([("RETR 1", Ok(body=mailbox.wire(odd)))], [odd])

    def test_REG_13_in_use_needs_the_right_password(self):
        user = self.user(MESSAGES)
        holder = self.session(user)
        client = self.connect(TLS)
        self.assertTrue(client.try_login(user, b"wrong").startswith(b"-ERR [AUTH] "))
        client.quit()
        holder.quit()

    def test_REG_14_numeric_order(self):
        user = self.user()
        for seconds in (10, 2, 30):
            user.maildir.write("new", "%d.M1P1.h" % seconds, b"%d\n" % seconds)
        self.transcript([("RETR 1", Ok(body=b"2\r\n")), ("RETR 2", Ok(body=b"10\r\n")), ("RETR 3", Ok(body=b"30\r\n"))], user=user)

    def test_REG_15_empty_challenge_and_case(self):
        user = self.user(MESSAGES)
        self.transcript([("auth plain", Challenge()), (plain_response(user), Ok())], login=False)

    def test_REG_16_short_read(self):
        # the same as MLT-09, with the file cut to nothing
        message = mailbox.letter("cut", (b"y" * 70 + b"\n") * 300000)
        user = self.user([message, b"x\n"])
        client = self.session(user, rcvbuf=32768)
        client.send(b"RETR 1\r\nRETR 2\r\n")
        client.response()
        time.sleep(0.2)
        os.truncate(user.maildir.paths()[0], 0)
        self.assertFalse(client.rest().endswith(b".\r\n"))

    def test_REG_17_eof_is_no_quit(self):
        user = self.user(MESSAGES)
        for kind in ALL_KINDS:
            client = self.session(user, kind)
            client.send(b"DELE 1\r\nDELE 2\r\n")
            client.shutdown_write()
            client.rest()
        self.session(user).quit()
        self.assertEqual(user.maildir.stored(), MESSAGES)

    def test_REG_18_shutdown_in_every_state_ends(self):
        daemon = harness.Daemon(shutdown_timeout=1)
        user, other = self.user(MESSAGES), self.user([mailbox.letter("big", b"z" * (30 << 20))])
        states = []
        for kind in ALL_KINDS:
            states.append(self.connect(kind, daemon))
            states.append(self.connect(kind, daemon))
            states[-1].ok(b"USER x")
            states.append(self.connect(kind, daemon))
            states[-1].send(b"AUTH PLAIN\r\n")
            states[-1].challenge()
            states.append(self.connect(kind, daemon))
            states[-1].send(b"NO")
        states.append(self.connect(PLAIN, daemon))
        states[-1].ok(b"STLS")
        states.append(self.session(user, TLS, daemon))
        states.append(self.session(other, PLAIN, daemon))
        states[-1].send(b"RETR 1\r\n")
        begun = time.monotonic()
        self.assertEqual(daemon.stop(), [])
        self.assertLess(time.monotonic() - begun, 8)

    def test_REG_18_sigint_ends_at_once(self):
        daemon = harness.Daemon(shutdown_timeout=30)
        user = self.user(MESSAGES)
        client = self.session(user, TLS, daemon)
        client.ok(b"DELE 1")
        begun = time.monotonic()
        self.assertEqual(daemon.stop(signal.SIGINT), [])
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(user.maildir.stored(), MESSAGES)

    def test_REG_19_pipelined_pass(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            client = self.connect(kind)
            client.send(b"USER nobody-here\r\nPASS x\r\nUSER %s\r\nPASS %s\r\nSTAT\r\nQUIT\r\n" % (user.name_octets, user.password_octets))
            got = [client.response()[:4] for _ in range(6)]
            self.assertEqual(got, [b"+OK ", b"-ERR", b"+OK ", b"+OK ", b"+OK ", b"+OK "])

    def test_REG_20_numbers_that_wrap(self):
        self.transcript([("RETR 4294967297", Err()), ("LIST 4294967297", Err()), ("DELE 18446744073709551617", Err()), ("TOP 1 4294967296", Ok(body=mailbox.wire(MESSAGES[0]))),
                         ("QUIT", Ok(), EOF)], MESSAGES, after=lambda user: self.assertEqual(user.maildir.stored(), MESSAGES))
