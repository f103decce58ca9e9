"""A hostile client: whatever many of his connections do at once, an honest login beside them works.

Single connections are tried elsewhere: floods of KeyUpdates in test_tls, lines
without end in test_lines, timers and limits in test_connections.
"""

import contextlib
import socket
import struct
import unittest

import mailbox
from client import ALL_KINDS, PLAIN, TLS, TestCase

MANY = 60
LARGE = [b"Subject: large\r\n\r\n" + 20000 * (70 * b"x" + b"\r\n")]
HELLO = struct.pack(">BHH", 22, 0x0301, 512)  # the head of a record whose octets never come


class Crowd(TestCase):
    """All connections are of one worker and from one address."""

    settings = {"login_workers": 1, "max_connections_per_address": 1000, "max_auth_failures": 3}
    limit = 120

    def setUp(self):
        super().setUp()
        self.honest = self.user(mailbox.simple(2))

    def raw(self, kind):
        sock = socket.create_connection((self.daemon.address(kind), self.daemon.port(kind)), timeout=20)
        self.addCleanup(sock.close)
        return sock

    def sent(self, octets, kind=PLAIN):
        """Many connections that sent these octets and read nothing."""
        for _ in range(MANY):
            with contextlib.suppress(ConnectionError):  # he may have been closed
                self.raw(kind).sendall(octets)

    def serves(self):
        for kind in self.each_kind(ALL_KINDS):
            client = self.session(self.honest, kind)
            self.assertEqual(len(client.listing(b"LIST")), 2)
            client.quit()

    def test_silence(self):
        self.sent(b"")
        self.serves()

    def test_handshakes_half_done(self):
        self.sent(HELLO, TLS)
        self.sent(b"STLS\r\n" + HELLO)
        self.serves()

    def test_half_lines(self):
        self.sent(b"USER a")
        self.sent(b"USER a\r\nPASS b")
        self.sent(b"AUTH PLAIN\r\nAAAA")
        self.serves()

    def test_lines_without_end(self):
        self.sent(100000 * b"A")
        self.sent(b"AUTH PLAIN\r\n" + 100000 * b"A")
        self.serves()

    def test_garbage_in_a_pipeline(self):
        self.sent(5000 * b"CAPA\r\n\0\xff\r\n")
        self.serves()

    def test_readers_that_do_not_read(self):
        users = [self.user(LARGE) for _ in range(5)]
        for user in users:
            client = self.session(user, PLAIN, rcvbuf=4096)
            client.send(20 * b"RETR 1\r\n")
        self.serves()


if __name__ == "__main__":
    unittest.main()
