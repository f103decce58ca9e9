"""CONFORMANCE group TOP."""

import os

import mailbox
from client import Err, Ok, TestCase

LONG = mailbox.letter("top", b"".join(b".line %d\n" % i for i in range(1, 30)))


class Top(TestCase):
    def top(self, stored, counts):
        self.transcript([("TOP 1 %d" % n, Ok(body=mailbox.top(stored, n))) for n in counts], [stored])

    def test_TOP_01_header_and_lines(self):
        self.top(LONG, [0, 1, 2, 28, 29, 30, 1000])

    def test_TOP_01_REG_06_top_0_is_header_and_blank_line_only(self):
        self.transcript([("TOP 1 0", Ok(body=b"H: x\r\n\r\n"))], [b"H: x\n\nbody\nmore\n"])

    def test_TOP_02_arguments(self):
        bad = ["TOP", "TOP 1", "TOP 1 -1", "TOP 1 x", "TOP 0 5", "TOP 2 0", "TOP 1 0 0", "TOP x 0", "TOP 1 +1", "TOP 1 1.5", "TOP 1 0x1", "TOP -1 0"]
        self.transcript([(line, Err()) for line in bad] + [("TOP 1 0", Ok(body=mailbox.top(LONG, 0)))], [LONG])

    def test_TOP_03_prefix_of_retr(self):
        user = self.user([LONG])
        client = self.session(user)
        whole = client.multi(b"RETR 1")
        for n in range(0, 31):
            part = client.multi(b"TOP 1 %d" % n)
            self.assertTrue(whole.startswith(part))
        client.quit()

    def test_TOP_03_no_blank_line(self):
        for stored in (b"H: x\nG: y\n", b"H: x", b"", b"H: x\r\nG: y\r\n"):
            self.transcript([("TOP 1 0", Ok(body=mailbox.wire(stored))), ("TOP 1 5", Ok(body=mailbox.wire(stored)))], [stored])

    def test_TOP_03_crlf_stored(self):
        self.top(LONG.replace(b"\n", b"\r\n"), [0, 1, 5])

    def test_TOP_03_mixed_line_ends_and_odd_headers(self):
        for stored in (b"H: x\r\n\nbody\nb2\n", b"H: x\n\r\nbody\r\nb2", b"\nbody\nb2\n", b"\r\nbody\n", b"H: x\n\r\r\nnot blank\n\nbody\nb2\n", b"H: x\n \nnot blank\n\nbody\n",
                       b"\n\n\n\n", b".\n\n.\n.\n"):
            self.top(stored, [0, 1, 2, 3])

    def test_TOP_04_count_does_not_overflow(self):
        counts = ["2147483647", "2147483648", "4294967295", "4294967296", "9223372036854775806", "9223372036854775807"]
        self.transcript([("TOP 1 " + n, Ok(body=mailbox.wire(LONG))) for n in counts], [LONG])

    def test_TOP_05_does_not_mark_as_seen(self):
        user = self.user()
        path = user.maildir.deliver(LONG)
        client = self.session(user)
        client.multi(b"TOP 1 0")
        client.quit()
        names = user.maildir.paths()
        self.assertEqual(len(names), 1)
        self.assertNotIn("S", os.path.basename(names[0]).partition(":2,")[2], path)

    def test_TOP_06_announced(self):
        client = self.session(self.user())
        capabilities = client.listing(b"CAPA")
        self.assertIn(b"TOP", capabilities)
        self.assertIn(b"UIDL", capabilities)
        client.quit()
