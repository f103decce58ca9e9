"""CONFORMANCE group TRX: STAT LIST RETR DELE NOOP RSET."""

import os

import mailbox
from client import EOF, Err, Ok, TestCase
from harness import PLAIN, TLS

MESSAGES = mailbox.simple(4)
SIZES = {i: mailbox.size(m) for i, m in enumerate(MESSAGES, 1)}


def listed(*numbers):
    return b"".join(b"%d %d\r\n" % (n, SIZES[n]) for n in numbers)


def total(*numbers):
    return b"%d %d" % (len(numbers), sum(SIZES[n] for n in numbers))


class Transactions(TestCase):
    def test_TRX_01_numbers_never_shift(self):
        self.transcript([("LIST", Ok(body=listed(1, 2, 3, 4))), ("DELE 1", Ok()), ("LIST", Ok(body=listed(2, 3, 4))), ("RETR 2", Ok(body=mailbox.wire(MESSAGES[1]))),
                         ("DELE 3", Ok()), ("LIST", Ok(body=listed(2, 4))), ("LIST 4", Ok(b"4 %d" % SIZES[4])), ("RSET", Ok())], MESSAGES)

    def test_TRX_02_later_mail_is_not_seen(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            client = self.session(user, kind)
            user.maildir.deliver(b"late\n")
            self.assertEqual(client.ok(b"STAT"), b"+OK " + total(1, 2, 3, 4))
            self.assertEqual(client.multi(b"LIST"), listed(1, 2, 3, 4))
            client.err(b"RETR 5")
            client.quit()
            user.maildir.fill(MESSAGES)

    def test_TRX_03_form_of_stat_and_list(self):
        self.transcript([("STAT", Ok(total(1, 2, 3, 4))), ("LIST 2", Ok(b"2 %d" % SIZES[2])), ("LIST", Ok(body=listed(1, 2, 3, 4)))], MESSAGES)

    def test_TRX_04_REG_04_REG_05_marked_messages_are_gone(self):
        gone = [(word % n, Err()) for n in (1, 2) for word in ("LIST %d", "UIDL %d", "RETR %d", "TOP %d 0", "DELE %d")]
        self.transcript([("DELE 1", Ok()), ("DELE 1", Err()), ("DELE 2", Ok()), ("RETR 1", Err()), ("STAT", Ok(total(3, 4)))] + gone +
                        [("LIST", Ok(body=listed(3, 4))), ("UIDL", Ok(body=lambda b: self.assertRegex(b, rb"\A3 \S+\r\n4 \S+\r\n\Z"))), ("RSET", Ok())], MESSAGES)

    def test_TRX_05_dele_only_marks_and_rset_unmarks(self):
        self.transcript([("DELE 1", Ok()), ("DELE 4", Ok()), ("RSET", Ok()), ("STAT", Ok(total(1, 2, 3, 4))), ("DELE 2", Ok()), ("QUIT", Ok(), EOF)], MESSAGES,
                        after=lambda user: self.assertEqual(user.maildir.stored(), [MESSAGES[0], MESSAGES[2], MESSAGES[3]]))

    def test_TRX_05_store_untouched_until_quit(self):
        user = self.user(MESSAGES)
        client = self.session(user)
        for n in range(1, 5):
            client.ok(b"DELE %d" % n)
        self.assertEqual(user.maildir.stored(), MESSAGES)
        client.quit()
        self.assertEqual(user.maildir.stored(), [])

    def test_TRX_05_rset_with_nothing_marked(self):
        self.transcript([("RSET", Ok()), ("RSET", Ok()), ("STAT", Ok(total(1, 2, 3, 4)))], MESSAGES)

    def test_TRX_06_REG_11_message_unchanged(self):
        odd = b"\n".join([b"X-One:a", b"  folded  ", b"\ttab", b"no colon here", b"Subject: =?bad?", b"Content-Type: multipart/mixed; boundary=x", b"",
                          b"--x", b"trailing blanks   ", b"", b"", b"--x--", b"Status: RO", b">From me", b"From you", b""])
        self.transcript([("RETR 1", Ok(body=mailbox.wire(odd))), ("RETR 1", Ok(body=mailbox.wire(odd))), ("TOP 1 99", Ok(body=mailbox.wire(odd)))], [odd])

    def test_TRX_07_vanished_message(self):
        for kind in self.each_kind():
            user = self.user(MESSAGES)
            client = self.session(user, kind)
            before = client.multi(b"UIDL")
            self.assertEqual(client.multi(b"LIST"), listed(1, 2, 3, 4))
            os.unlink(user.maildir.paths()[1])
            self.assertTrue(client.command(b"RETR 2").startswith(b"-ERR [SYS/TEMP] "))
            self.assertTrue(client.command(b"TOP 2 0").startswith(b"-ERR [SYS/TEMP] "))
            self.assertEqual(client.multi(b"LIST"), listed(1, 2, 3, 4))
            self.assertEqual(client.multi(b"UIDL"), before)
            self.assertEqual(client.multi(b"RETR 3"), mailbox.wire(MESSAGES[2]))
            client.quit()

    def test_TRX_07_vanished_before_the_first_listing(self):
        user = self.user(MESSAGES)
        client = self.session(user)
        os.unlink(user.maildir.paths()[1])
        self.assertRegex(client.multi(b"LIST"), rb"\A1 \d+\r\n2 \d+\r\n3 \d+\r\n4 \d+\r\n\Z")
        self.assertEqual(len(client.listing(b"UIDL")), 4)
        self.assertTrue(client.command(b"RETR 2").startswith(b"-ERR [SYS/TEMP] "))
        client.quit()

    def test_TRX_08_basic_commands_exist(self):
        self.transcript([("NOOP", Ok()), ("STAT", Ok()), ("LIST", Ok(body=listed(1, 2, 3, 4))), ("RETR 1", Ok(body=mailbox.wire(MESSAGES[0]))), ("DELE 1", Ok()),
                         ("RSET", Ok()), ("QUIT", Ok(), EOF)], MESSAGES)

    def test_TRX_09_REG_19_whole_session_in_one_segment(self):
        uids = []
        self.transcript([("STAT", Ok(total(1, 2, 3, 4))), ("UIDL", Ok(body=uids.append)), ("RETR 1", Ok(body=mailbox.wire(MESSAGES[0]))), ("DELE 1", Ok()),
                         ("QUIT", Ok(), EOF)], MESSAGES, after=lambda user: self.assertEqual(user.maildir.stored(), MESSAGES[1:]))

    def test_TRX_09_commands_behind_a_failed_login(self):
        user = self.user(MESSAGES)
        self.transcript([(b"USER " + user.name_octets, Ok()), ("PASS wrong", Err(rb"\[AUTH\] .*")), ("STAT", Err()), ("DELE 1", Err()), ("QUIT", Ok(), EOF)],
                        login=False, after=lambda _: self.assertEqual(user.maildir.stored(), MESSAGES))

    def test_TRX_09_long_pipeline(self):
        steps = []
        for i in range(150):
            n = i % 4 + 1
            steps += [("LIST %d" % n, Ok(b"%d %d" % (n, SIZES[n]))), ("XYZ", Err()), ("RETR %d" % n, Ok(body=mailbox.wire(MESSAGES[n - 1]))), ("NOOP", Ok())]
        self.transcript(steps, MESSAGES, modes=("whole",))

    def test_TRX_many_messages(self):
        count = 3000
        for kind in self.each_kind((PLAIN, TLS)):
            user = self.user([b"Subject: %d\n\nx\n" % i for i in range(count)])
            client = self.session(user, kind)
            self.assertEqual(len(client.listing(b"LIST")), count)
            self.assertEqual(len(set(client.listing(b"UIDL"))), count)
            client.send(b"".join(b"DELE %d\r\n" % n for n in range(1, count, 2)))
            for _ in range(1, count, 2):
                self.assertTrue(client.response().startswith(b"+OK "))
            client.quit()
            self.assertEqual(len(user.maildir.paths()), count // 2)
