"""A POP3 client for tests: strict about every octet, and a base class for tests.

Every response is checked against the rules that hold for all of them
(CONFORMANCE RSP-01, RSP-02, RSP-04, RSP-05), in every test.
"""

import base64
import contextlib
import re
import select
import signal
import socket
import ssl
import struct
import time
import unittest

import harness
from harness import ALL_KINDS, PLAIN, STLS, TLS

LINE, WHOLE, OCTET = "line", "whole", "octet"  # how a client sends: see Client.send
ALL_MODES = (WHOLE, OCTET)

CODES = (b"AUTH", b"IN-USE", b"SYS/TEMP", b"SYS/PERM")


def tls_context(minimum=None, maximum=None, alpn=None, ciphers=None, certificate=None):
    context = ssl.create_default_context(cafile=harness.world().certificate()[0])
    context.check_hostname = False
    if minimum or maximum:
        context.minimum_version = minimum or ssl.TLSVersion.TLSv1_2
        context.maximum_version = maximum or ssl.TLSVersion.MAXIMUM_SUPPORTED
    if alpn:
        context.set_alpn_protocols(alpn)
    if ciphers:
        context.set_ciphers(ciphers)
    if certificate:
        context.load_cert_chain(*certificate)
    return context


class Eof(AssertionError):
    """The server closed where a response was due."""


def check_response(line):
    """RSP-01, RSP-02, RSP-03 (printable), RSP-04, RSP-05: true of every first line."""
    if len(line) + 2 > 512:
        raise AssertionError("response of %d octets: %r…" % (len(line) + 2, line[:80]))
    found = re.fullmatch(rb"(\+OK|-ERR) ([\x20-\x7e]+)", line)
    if not found:
        raise AssertionError("not a response: %r" % line)
    text = found.group(2)
    code = re.match(rb"\[([^\]]*)\] \S", text)
    if code:
        if found.group(1) == b"+OK" or code.group(1) not in CODES:
            raise AssertionError("response code out of place: %r" % line)
        text = text[code.end():]
    if b"[" in text:
        raise AssertionError("bracket in plain text: %r" % line)


IPV6_FREEBIND = 78  # <linux/in6.h>


class Client:
    """One connection.

    kind: PLAIN, STLS (STLS is done before anything else) or TLS (from the start).
    mode: OCTET sends one octet at a time, otherwise everything goes in one piece.
    """

    def __init__(self, daemon, kind=PLAIN, mode=LINE, context=None, timeout=20, greet=True, source=None,
                 hostname="localhost", session=None, address=None, rcvbuf=None, header=b""):
        self.daemon, self.kind, self.mode = daemon, kind, mode
        self.context = context
        self.buffer = b""
        self.hostname, self.session = hostname, session
        where = address or (daemon.address(kind), daemon.port(kind))
        self.sock = socket.socket(socket.AF_INET6 if ":" in where[0] else socket.AF_INET)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        if source:
            if ":" in source:
                self.sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)  # of a network that is routed here
            self.sock.bind((source, 0))
        self.sock.connect(where)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.greeting = None
        try:
            if header:  # of the PROXY protocol
                self.sock.sendall(header)
            if kind == TLS:
                self.handshake()
            if greet:
                self.greeting = self.response()
                if not self.greeting.startswith(b"+OK "):
                    raise AssertionError("greeting: %r" % self.greeting)
                if kind == STLS:
                    self.stls()
        except BaseException:
            self.sock.close()
            raise

    def handshake(self):
        if self.context is None:
            self.context = tls_context()
        raw = self.sock
        self.sock = self.context.wrap_socket(raw, server_hostname=self.hostname, suppress_ragged_eofs=False,
                                             session=self.session)

    def stls(self):
        self.sock.sendall(b"STLS\r\n")
        line = self._raw_line()
        if not line.startswith(b"+OK "):
            raise AssertionError("STLS: %r" % line)
        self.handshake()

    def _raw_line(self):
        """A line read octet by octet, so that nothing behind it is taken."""
        line = self.buffer
        self.buffer = b""
        while not line.endswith(b"\r\n"):
            octet = self.sock.recv(1)
            if not octet:
                raise Eof("closed after %r" % line)
            line += octet
        return line[:-2]

    # --- sending ---

    def send(self, octets):
        """Send exactly these octets, in this client's mode."""
        if self.mode == OCTET and len(octets) <= 4096:
            for i in range(len(octets)):
                self.sock.sendall(octets[i:i + 1])
                if i % 8 == 0:
                    time.sleep(0.0002)
        else:
            self.sock.sendall(octets)

    def command(self, line):
        """Send a line (without CRLF) and return the first line of the response."""
        self.send(line + b"\r\n")
        return self.response()

    def ok(self, line):
        response = self.command(line)
        if not response.startswith(b"+OK "):
            raise AssertionError("%r gave %r" % (line[:80], response))
        return response

    def err(self, line):
        response = self.command(line)
        if not response.startswith(b"-ERR "):
            raise AssertionError("%r gave %r" % (line[:80], response))
        return response

    def multi(self, line):
        """A command with a multi-line answer: the octets between first line and terminator."""
        self.ok(line)
        return self.body()

    def listing(self, line):
        return self.multi(line).split(b"\r\n")[:-1]

    # --- receiving ---

    def _more(self):
        try:
            piece = self.sock.recv(1 << 18)
        except ssl.SSLEOFError:
            raise Eof("TLS ended without close_notify; had %r" % self.buffer[-200:])
        if not piece:
            raise Eof("closed; had %r" % self.buffer[-200:])
        self.buffer += piece

    def line(self):
        """One line, without its CRLF."""
        while b"\r\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def response(self):
        line = self.line()
        check_response(line)
        return line

    def challenge(self):
        """A SASL challenge, decoded (SAS-02, SAS-07)."""
        line = self.line()
        if not line.startswith(b"+ "):
            raise AssertionError("challenge: %r" % line)
        return base64.b64decode(line[2:], validate=True)

    def body(self):
        """The rest of a multi-line response, up to the terminator, as sent."""
        if self.buffer.startswith(b".\r\n"):
            self.buffer = self.buffer[3:]
            return b""
        pieces = []
        tail = self.buffer
        self.buffer = b""
        while True:
            if tail.startswith(b".\r\n") and not pieces:
                self.buffer = tail[3:]
                return b""
            end = tail.find(b"\r\n.\r\n")
            if end >= 0:
                pieces.append(tail[:end + 2])
                self.buffer = tail[end + 5:]
                return b"".join(pieces)
            if len(tail) > 1 << 20:
                pieces.append(tail[:-8])
                tail = tail[-8:]
            self.buffer = tail
            try:
                self._more()
            except Eof as e:
                raise Eof("no terminator: %s" % e)
            tail, self.buffer = self.buffer, b""

    def eof(self):
        """The server closes now and sends nothing before."""
        rest = self.rest()
        if rest:
            raise AssertionError("octets before the end: %r" % rest[:200])

    def rest(self):
        """Everything up to the end of the stream (a reset counts as an end)."""
        while True:
            try:
                self._more()
            except (Eof, ConnectionResetError, BrokenPipeError):
                rest, self.buffer = self.buffer, b""
                return rest

    def clean_eof(self):
        """As eof(), but over TLS a close_notify is due and a reset is wrong (UPD-09)."""
        while True:
            piece = self.sock.recv(65536)
            if not piece:
                break
            self.buffer += piece
        if self.buffer:
            raise AssertionError("octets before the end: %r" % self.buffer[:200])

    def silent(self, seconds):
        """Nothing comes for a while."""
        if self.buffer:
            raise AssertionError("unexpected: %r" % self.buffer)
        pending = self.sock.pending() if isinstance(self.sock, ssl.SSLSocket) else 0
        ready = pending or select.select([self.sock], [], [], seconds)[0]
        if ready:
            timeout = self.sock.gettimeout()
            self.sock.settimeout(0.1)
            try:
                piece = self.sock.recv(4096)
            except (TimeoutError, ssl.SSLWantReadError):
                return  # a session ticket, for example
            finally:
                self.sock.settimeout(timeout)
            raise AssertionError("unexpected: %r" % (piece or "EOF"))

    def pump(self, octets, enough):
        """Send and receive at the same time until enough(received) is true; for long pipelines."""
        received = bytearray(self.buffer)
        self.buffer = b""
        self.sock.setblocking(False)
        todo = memoryview(octets)
        deadline = time.monotonic() + 60
        while not enough(received):
            if time.monotonic() > deadline:
                raise AssertionError("stuck with %d octets unsent, %d received" % (len(todo), len(received)))
            select.select([self.sock], [self.sock] if todo else [], [], 1)
            try:
                piece = self.sock.recv(1 << 18)
                if not piece:
                    raise Eof("closed")
                received += piece
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            if todo:
                try:
                    todo = todo[self.sock.send(todo[:16384]):]
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    pass
        self.sock.settimeout(20)
        return bytes(received)

    # --- ends ---

    def shutdown_write(self):
        """Half-close: over TLS close_notify is not sent, a bare FIN is."""
        with contextlib.suppress(OSError):  # the server may have closed already
            socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def reset(self):
        """Close with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if isinstance(self.sock, ssl.SSLSocket):
            socket.socket.close(self.sock)
        self.sock.close()

    def close(self):
        self.sock.close()

    def quit(self):
        response = self.ok(b"QUIT")
        self.clean_eof()
        self.close()
        return response

    # --- logins ---

    def login(self, user, password=None):
        """USER and PASS; returns PASS's response, which is positive."""
        self.ok(b"USER " + user.name_octets)
        return self.ok(b"PASS " + (user.password_octets if password is None else password))

    def try_login(self, user, password=None):
        """USER and PASS; returns PASS's response."""
        self.ok(b"USER " + (user if isinstance(user, bytes) else user.name_octets))
        return self.command(b"PASS " + (user.password_octets if password is None else password))


# --- expectations of a transcript ----------------------------------------------------------

class Expect:
    """One response: its indicator, a regular expression for its text, a body if it is multi-line."""

    def __init__(self, indicator, text=None, body=None):
        self.indicator, self.text, self.body = indicator, text, body

    def check(self, test, client, sent):
        line = client.response()
        test.assertEqual(line.split(b" ")[0], self.indicator, "%r gave %r" % (sent[:200], line))
        if self.text is not None:
            test.assertRegex(line.split(b" ", 1)[1], rb"\A(?:" + self.text + rb")\Z", "%r" % sent[:200])
        if self.body is not None:
            got = client.body()
            if callable(self.body):
                self.body(got)
            elif got != self.body:
                test.fail("%r: %s" % (sent[:200], difference(got, self.body)))


class Challenge:
    """A SASL challenge with these octets in it."""

    def __init__(self, octets=b""):
        self.octets = octets

    def check(self, test, client, sent):
        test.assertEqual(client.challenge(), self.octets, "%r" % sent[:200])


class Eofs:
    """The end of the connection."""

    @staticmethod
    def check(_test, client, _sent):
        client.eof()


def difference(got, want):
    """Where two long strings of octets part."""
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    return "%d octets for %d; at %d: %r for %r" % (len(got), len(want), at, got[max(0, at - 10):at + 30],
                                                     want[max(0, at - 10):at + 30])


def Ok(text=None, body=None):
    return Expect(b"+OK", text, body)


def Err(text=None):
    return Expect(b"-ERR", text)


AUTH_ERR = Err(rb"\[AUTH\] .+")
EOF = Eofs()


def plain_response(user, password=None, authzid=b""):
    """PLAIN's message in base64 (MEC-01)."""
    name = user.name_octets if isinstance(user, harness.User) else user
    if password is None:
        password = user.password_octets
    return base64.b64encode(authzid + b"\0" + name + b"\0" + password)


SLOWEST = 4  # times as slow as the hosts that limits were chosen on


class TestCase(unittest.TestCase):
    """A test with a daemon, users and transcripts."""

    settings = {}
    limit = 60  # seconds a test may take; it is ended after four times that, on a slow host
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.shared_daemon(**cls.settings) if cls.settings is not None else None

    def setUp(self):
        def late(_signum, _frame):
            raise AssertionError("took longer than %d s" % (SLOWEST * self.limit))
        signal.signal(signal.SIGALRM, late)
        signal.alarm(SLOWEST * self.limit)
        self.addCleanup(signal.alarm, 0)
        self._clients = []
        self.addCleanup(self._close)

    def _close(self):
        for client in self._clients:
            client.close()

    def own_daemon(self, **settings):
        """A daemon of this test alone, stopped and looked over at its end."""
        daemon = harness.Daemon(**settings)

        def stop():
            self._close()
            problems = daemon.stop()
            self.assertEqual(problems, [])
        self.addCleanup(stop)
        return daemon

    def user(self, messages=()):
        """A user of the pool with these messages."""
        user = harness.world().take_user()
        self.addCleanup(harness.world().give_back, user)
        user.maildir.fill(messages)
        return user

    def connect(self, kind=PLAIN, daemon=None, **options):
        client = Client(daemon or self.daemon, kind, **options)
        self._clients.append(client)
        return client

    def session(self, user, kind=PLAIN, daemon=None, **options):
        """A connection that is logged in; waits while a session that was cut off still holds the lock."""
        deadline = time.monotonic() + 5
        while True:
            client = self.connect(kind, daemon, **options)
            response = client.try_login(user)
            if response.startswith(b"+OK "):
                return client
            client.close()
            if b"[IN-USE]" not in response or time.monotonic() > deadline:
                self.fail("login of %s: %r" % (user.name, response))
            time.sleep(0.02)

    kind_now = None  # named in a failure

    def each_kind(self, kinds=ALL_KINDS):
        for kind in kinds:
            self.kind_now = kind
            yield kind
        self.kind_now = None

    def transcript(self, steps, messages=None, user=None, login=True, kinds=ALL_KINDS, modes=ALL_MODES, daemon=None,
                   finish=True, after=None, prepare=None):
        """Play a dialogue over each kind of connection, at once and octet by octet.

        steps: (octets sent, expectation, …) each; a str or bytes without line end gets CRLF.
        messages: the mailbox, made anew before each run.  after(user) is called after each run.
        """
        steps = [self._step(step) for step in steps]
        own = user is None and login
        if own:
            user = self.user()
        if finish and not (steps and EOF in steps[-1][1]):
            steps = steps + [(b"QUIT\r\n", [Ok(), EOF])]
        if login:
            steps = [(b"USER " + user.name_octets + b"\r\n", [Ok()]),
                     (b"PASS " + user.password_octets + b"\r\n", [Ok()])] + steps
        for kind in kinds:
            for mode in modes:
                with self.subTest(kind=kind, mode=mode):
                    if messages is not None:
                        user.maildir.fill(messages)
                    if prepare:
                        prepare(user)
                    client = self.connect(kind, daemon, mode=mode)
                    try:
                        self._play(client, steps, mode)
                    finally:
                        client.close()
                    if after:
                        after(user)

    @staticmethod
    def _step(step):
        octets, *expect = step
        if isinstance(octets, str):
            octets = octets.encode("ascii")
        if not octets.endswith(b"\n"):
            octets += b"\r\n"
        return octets, expect

    def _play(self, client, steps, mode):
        if mode == WHOLE:
            client.send(b"".join(octets for octets, _ in steps))
        for octets, expect in steps:
            if mode == OCTET:
                client.send(octets)
            for e in expect:
                e.check(self, client, octets)
