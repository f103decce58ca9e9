"""A hostile client: whatever many of his connections do at once, an honest login beside them works.

Single connections are tried elsewhere: floods of KeyUpdates in test_tls, lines
without end in test_lines, timers and limits in test_connections.
"""

import contextlib
import os
import signal
import socket
import ssl
import struct
import unittest

import harness
import mailbox
from client import ALL_KINDS, PLAIN, TLS, TestCase, tls_context

MANY = 60
WINDOW = 512  # a worker takes so many octets of a line at once
ANSWERS = 40000  # of CAPA: more than the kernel keeps for a client who does not read
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
        self.sent(b"USER " + b"a" * (WINDOW - 5))
        self.sent(b"AUTH PLAIN\r\n" + b"A" * 8 * WINDOW)
        self.serves()

    def half_record(self):
        """A connection with TLS that has sent the first half of a record."""
        sock, into, out = self.raw(TLS), ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = tls_context().wrap_bio(into, out, server_hostname="localhost")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(out.read())
                into.write(sock.recv(65536))
        tls.write(b"CAPA\r\n")
        octets = out.read()  # the end of the handshake, and the record
        sock.sendall(octets[:-10])

    def test_half_records(self):
        for _ in range(MANY):
            self.half_record()
        self.serves()

    def test_lines_without_end(self):
        self.sent(100000 * b"A")
        self.sent(b"AUTH PLAIN\r\n" + 100000 * b"A")
        self.serves()

    def test_garbage_in_a_pipeline(self):
        self.sent(5000 * b"CAPA\r\n\0\xff\r\n")
        self.serves()

    def test_readers_that_do_not_read(self):
        for kind in self.each_kind():
            users = [self.user(LARGE) for _ in range(5)]
            for user in users:
                client = self.session(user, kind, rcvbuf=4096)
                client.send(20 * b"RETR 1\r\n")
            self.serves()

    def test_readers_that_do_not_read_before_login(self):
        for kind in self.each_kind():
            client = self.connect(kind, rcvbuf=4096)
            client.send(ANSWERS * b"CAPA\r\n")
            self.serves()

    def test_a_session_that_does_not_read(self):
        """Its owner has stopped it, and its client goes on sending."""
        owner = self.user(mailbox.simple(1))
        client = self.session(owner, TLS, timeout=5)
        pid, = harness.wait_for(lambda: self.daemon.session_of(owner))
        os.kill(pid, signal.SIGSTOP)
        try:
            with contextlib.suppress(TimeoutError):
                client.send(ANSWERS * b"NOOP\r\n" * 8)
            self.serves()
        finally:
            os.kill(pid, signal.SIGCONT)


if __name__ == "__main__":
    unittest.main()
