"""CONFORMANCE group MLT: multi-line responses."""

import os
import re
import time

import harness
import mailbox
from client import Ok, TestCase, difference
from harness import PLAIN, TLS

# What a process may ever have taken; under a sanitizer memory tells nothing.
SESSION_KIB, WORKER_KIB = (1 << 30, 1 << 30) if harness.sanitized() else (24 << 10, 64 << 10)


class MultiLine(TestCase):
    def retrieve(self, messages, **options):
        self.transcript([("RETR %d" % i, Ok(body=mailbox.wire(m))) for i, m in enumerate(messages, 1)], messages, **options)

    def test_MLT_01_dots(self):
        self.retrieve([b".\n", b"..\n", b".a\n", b"a\n.\nb\n", b"...\n.x\n.", b"\n.\n\n..\n"])

    def test_MLT_01_first_octet_of_the_message(self):
        self.retrieve([b".first: x\n\nbody\n"])

    def test_MLT_02_REG_01_no_extra_line(self):
        self.transcript([("RETR 1", Ok(body=b"a\r\n")), ("RETR 2", Ok(body=b"a\r\n\r\n"))], [b"a\n", b"a\n\n"])

    def test_MLT_03_missing_line_end(self):
        self.transcript([("RETR 1", Ok(body=b"H: x\r\n\r\nend\r\n")), ("LIST 1", Ok(rb"1 13"))], [b"H: x\n\nend"])

    def test_MLT_04_message_of_no_octets(self):
        user = self.user([b"", b"x\n"])
        for kind in self.each_kind():
            client = self.session(user, kind)
            client.send(b"RETR 1\r\nQUIT\r\n")
            self.assertRegex(client.rest(), rb"\A\+OK [^\r\n]+\r\n\.\r\n\+OK [^\r\n]+\r\n\Z")

    def test_MLT_05_REG_03_line_ends(self):
        self.retrieve([b"a\r\nb\r\n", b"a\nb\r\nc\n", b"a\r\r\nb", b"a\rb\n", b"\r.x\n", b"x\r.\r\n.\r\n", b"\r", b"\r\n", b"\r\r\n\r\n", b"\n\r\n\r"])

    def test_MLT_06_buffer_edges(self):
        messages = mailbox.edges()
        for kind in self.each_kind():
            user = self.user(messages)
            client = self.session(user, kind)
            client.send(b"".join(b"RETR %d\r\n" % n for n in range(1, len(messages) + 1)))
            for stored in messages:
                self.assertTrue(client.response().startswith(b"+OK "))
                body = client.body()
                if body != mailbox.wire(stored):
                    self.fail("%r… of %d: %s" % (stored[-8:], len(stored), difference(body, mailbox.wire(stored))))
            client.quit()

    def test_MLT_06_top_over_buffer_edges(self):
        messages = [b"H: " + b"h" * n + b"\n\n.body\nmore\n" for n in list(range(4080, 4100)) + list(range(16368, 16390)) + list(range(65520, 65540))]
        self.transcript([("TOP %d 1" % i, Ok(body=mailbox.top(m, 1))) for i, m in enumerate(messages, 1)], messages, kinds=(PLAIN, TLS))

    def test_MLT_07_nul_and_8_bit(self):
        self.retrieve([b"a\0b\n\0\n\0", bytes(range(256)) * 3, b"\xff\xfe\n\x80" * 50, b"\0" * 5000, b"\x1a\x04\n"])

    def test_MLT_08_one_long_line_in_constant_memory(self):
        message = b"H: x\n\n" + b"z" * (50 << 20)
        for kind in self.each_kind((PLAIN, TLS)):
            user = self.user([message])
            client = self.session(user, kind)
            pid = self.daemon.session_of(user)[0]
            body = client.multi(b"RETR 1")
            self.assertTrue(body == mailbox.wire(message), difference(body, mailbox.wire(message)))
            peak = int(harness.status(pid)["VmHWM"].split()[0])
            workers = [int(harness.status(p)["VmHWM"].split()[0]) for p in self.daemon.role("pop3d-login")]
            client.quit()
            self.assertLess(peak, SESSION_KIB, "session, KiB")
            self.assertLess(max(workers), WORKER_KIB, "workers, KiB")

    def test_MLT_09_REG_16_message_cut_while_it_is_sent(self):
        message = mailbox.letter("cut", (b"y" * 70 + b"\n") * 600000)
        for kind in self.each_kind((PLAIN, TLS)):
            user = self.user([message])
            mark = len(self.daemon.log())
            client = self.session(user, kind, rcvbuf=32768)
            client.send(b"RETR 1\r\n")
            client.response()
            time.sleep(0.3)
            os.truncate(user.maildir.paths()[0], 1000)
            rest = client.rest()
            self.assertLess(len(rest), len(mailbox.wire(message)))
            self.assertFalse(rest.endswith(b"\r\n.\r\n"), "a cut message ended as if it were whole")
            self.assertEqual(self.daemon.log_fields("session-end", since=mark, user=user.name)["reason"], "mailbox-error")

    def test_MLT_10_commands_are_not_read_while_output_waits(self):
        message = mailbox.letter("fat", (b"w" * 99 + b"\n") * 2000)
        count = 150
        for kind in self.each_kind((PLAIN, TLS)):
            user = self.user([message])
            client = self.session(user, kind, rcvbuf=32768)
            pid = self.daemon.session_of(user)[0]
            client.send(b"RETR 1\r\n" * count)
            time.sleep(0.6)
            rss = [int(harness.status(p)["VmHWM"].split()[0]) for p in [pid] + self.daemon.role("pop3d-login")]
            self.assertLess(rss[0], SESSION_KIB)
            self.assertLess(max(rss[1:]), WORKER_KIB)
            want = mailbox.wire(message)
            for _ in range(count):
                client.response()
                self.assertTrue(client.body() == want)
            client.quit()

    def test_MLT_10_endless_pipeline_is_answered_whole(self):
        count = 60000
        for kind in self.each_kind((PLAIN, TLS)):
            user = self.user(mailbox.simple(1))
            client = self.session(user, kind)
            received = client.pump(b"LIST 1\r\n" * count, lambda got: len(got) > count * 8 and got.count(b"\n") >= count)
            self.assertEqual(len(re.findall(rb"\+OK 1 \d+\r\n", received)), count)
            client.quit()

    def test_MLT_10_pipeline_not_read_bounds_memory(self):
        user = self.user(mailbox.simple(1))
        for kind in self.each_kind((PLAIN, TLS)):
            client = self.session(user, kind, rcvbuf=16384)
            pid = self.daemon.session_of(user)[0]
            client.sock.setblocking(False)
            sent = 0
            try:
                while sent < 64 << 20:
                    sent += client.sock.send(b"UIDL\r\n" * 2000)
            except OSError:
                pass
            time.sleep(0.3)
            self.assertLess(int(harness.status(pid)["VmHWM"].split()[0]), SESSION_KIB)
            self.assertLess(max(int(harness.status(p)["VmHWM"].split()[0]) for p in self.daemon.role("pop3d-login")), WORKER_KIB)
            client.sock.settimeout(5)
            client.reset()
            self.session(user).quit()

    def test_MLT_11_empty_maildrop(self):
        self.transcript([("STAT", Ok(b"0 0")), ("LIST", Ok(body=b"")), ("UIDL", Ok(body=b""))], [])

    def test_MLT_11_all_marked(self):
        self.transcript([("DELE 1", Ok()), ("STAT", Ok(b"0 0")), ("LIST", Ok(body=b"")), ("UIDL", Ok(body=b"")), ("RSET", Ok())], [b"x\n"])

    def test_MLT_12_capa_is_multi_line(self):
        self.transcript([("CAPA", Ok(body=lambda b: self.assertRegex(b, rb"\A([A-Z][\x20-\x7e]*\r\n)+\Z")))], [])

    def test_SIZ_MLT_difficult_mailbox(self):
        difficult = [octets for _, octets in mailbox.difficult(3 << 20)]
        self.retrieve(difficult, modes=("whole",))
