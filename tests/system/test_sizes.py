"""CONFORMANCE group SIZ: octet counts."""

import os

import mailbox
from client import Ok, TestCase
from harness import PLAIN, TLS


def listed(sizes):
    return b"".join(b"%d %d\r\n" % pair for pair in sorted(sizes.items()))


class Sizes(TestCase):
    def test_SIZ_09_fixture_table(self):
        messages = [stored for stored, _, _ in mailbox.SIZ_09]
        steps = [("STAT", Ok(b"%d %d" % (len(messages), sum(n for _, _, n in mailbox.SIZ_09)))),
                 ("LIST", Ok(body=listed({i: n for i, (_, _, n) in enumerate(mailbox.SIZ_09, 1)})))]
        for i, (_, on_wire, octets) in enumerate(mailbox.SIZ_09, 1):
            steps += [("LIST %d" % i, Ok(b"%d %d" % (i, octets))), ("RETR %d" % i, Ok(body=on_wire))]
        self.transcript(steps, messages)

    def test_SIZ_01_REG_02_not_the_file_size(self):
        message = mailbox.letter("lf", b"a\n" * 100)
        self.transcript([("LIST 1", Ok(b"1 %d" % (len(message) + message.count(b"\n"))))], [message])

    def test_SIZ_02_stuffed_dots_are_not_counted(self):
        self.transcript([("LIST 1", Ok(b"1 5")), ("RETR 1", Ok(body=b"\r\n..\r\n"))], [b"\n.\n"])

    def test_SIZ_03_added_line_end_is_counted(self):
        self.transcript([("LIST", Ok(body=b"1 5\r\n2 5\r\n3 5\r\n"))], [b"abc", b"abc\n", b"abc\r\n"])

    def test_SIZ_04_stat_is_the_sum_of_list_at_every_moment(self):
        messages = mailbox.random_files(12, 4)
        sizes = {i: mailbox.size(m) for i, m in enumerate(messages, 1)}
        steps, live = [], dict(sizes)
        for n in (3, 1, 12, 7):
            steps.append(("DELE %d" % n, Ok()))
            del live[n]
            steps += [("STAT", Ok(b"%d %d" % (len(live), sum(live.values())))), ("LIST", Ok(body=listed(live)))]
        steps += [("RSET", Ok()), ("STAT", Ok(b"%d %d" % (len(sizes), sum(sizes.values())))), ("LIST", Ok(body=listed(sizes)))]
        self.transcript(steps, messages)

    def test_SIZ_06_sizes_in_file_names_are_not_believed(self):
        message = mailbox.letter("w", b"text\n")
        user = self.user()
        stamp = 1700000000
        for i, suffix in enumerate((",S=1,W=2", ",S=%d,W=99999" % len(message), ",W=0", ",W=18446744073709551617", ",S=x,W=y")):
            user.maildir.write("cur", "%d.M1P1.test%s:2,S" % (stamp + i, suffix), message)
            user.maildir.write("new", "%d.M2P1.test%s" % (stamp + i, suffix), message)
        client = self.session(user)
        for line in client.listing(b"LIST"):
            self.assertEqual(line.split()[1], b"%d" % mailbox.size(message))
        client.quit()

    def test_SIZ_06_sizes_do_not_change_in_a_session(self):
        user = self.user(mailbox.simple(2))
        client = self.session(user)
        before = client.ok(b"STAT"), client.multi(b"LIST")
        with open(user.maildir.paths()[0], "ab") as f:
            f.write(b"more\n" * 100)
        self.assertEqual((client.ok(b"STAT"), client.multi(b"LIST")), before)
        client.quit()

    def test_SIZ_07_REG_20_more_than_4_gib(self):
        user = self.user([b"first\n"])
        size = (1 << 32) + 12345
        path = user.maildir.deliver(b"A: b\n\n")
        os.truncate(path, size)  # a line of NULs, no last line end
        client = self.session(user, timeout=600)
        want = size + 2 + 2  # two LFs gain a CR each, the last line a CRLF
        self.assertEqual(client.ok(b"LIST 2"), b"+OK 2 %d" % want)
        self.assertEqual(client.ok(b"STAT"), b"+OK 2 %d" % (want + 7))
        self.assertEqual(client.multi(b"TOP 2 0"), b"A: b\r\n\r\n")
        client.ok(b"DELE 2")
        client.quit()
        self.assertEqual(len(user.maildir.paths()), 1)

    def test_SIZ_08_random_files(self):
        for kind in self.each_kind((PLAIN, TLS)):
            messages = mailbox.random_files(250, 8 if kind == PLAIN else 88)
            user = self.user(messages)
            client = self.session(user, kind)
            sizes = [int(line.split()[1]) for line in client.listing(b"LIST")]
            client.send(b"".join(b"RETR %d\r\n" % n for n in range(1, len(messages) + 1)))
            for stored, octets in zip(messages, sizes):
                self.assertTrue(client.response().startswith(b"+OK "))
                body = client.body()
                self.assertEqual(body, mailbox.wire(stored), stored[:100])
                self.assertEqual(len(mailbox.unstuff(body)), octets, stored[:100])
            client.quit()
