"""A program on a terminal of the test's own: what its screen shows, and keys for it."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

try:
    import pyte
except ImportError:
    pyte = None

# A kind of terminal that asks for nothing that pyte does not do, and its keys.
TERM = "linux"
KEYS = {"up": b"\x1b[A", "down": b"\x1b[B", "right": b"\x1b[C", "left": b"\x1b[D", "home": b"\x1b[1~", "end": b"\x1b[4~",
        "page down": b"\x1b[6~", "page up": b"\x1b[5~", "enter": b"\r", "escape": b"\x1b", "backspace": b"\x7f"}


class Terminal:
    """`argv` on a terminal of that size; ended and closed by close()."""

    def __init__(self, argv, columns=80, lines=24, term=TERM, user=None):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.octets = b""
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                self._size(0, columns, lines)
                if user is not None:
                    os.setgroups([])
                    os.setresgid(*[user[1]] * 3)
                    os.setresuid(*[user[0]] * 3)
                os.execve(argv[0], argv, {"PATH": os.environ["PATH"], "TERM": term, "LINES": "7", "COLUMNS": "20"})
            finally:
                os._exit(127)

    @staticmethod
    def _size(fd, columns, lines):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        self._take(0)
        self.screen.resize(lines, columns)
        self._size(self.fd, columns, lines)

    def press(self, *keys):
        for key in keys:
            os.write(self.fd, KEYS.get(key) or key.encode())

    def _take(self, seconds):
        """Feed the screen what comes; False: the program has ended."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            octets = os.read(self.fd, 65536)
        except OSError:
            octets = b""
        self.octets += octets
        self.stream.feed(octets)
        return octets != b""

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def text(self):
        return "\n".join(self.lines())

    def wait(self, condition, timeout=60):
        """Until the condition, of this terminal, holds; returns what it returned."""
        deadline = time.monotonic() + timeout
        while not (found := condition(self)):
            if not self._take(0.2) or time.monotonic() > deadline:
                raise AssertionError("not on the screen:\n" + self.text())
        return found

    def shows(self, *texts):
        self.wait(lambda t: all(text in t.text() for text in texts))

    def row(self, text):
        """The line of the screen with the text."""
        return self.wait(lambda t: next((line for line in t.lines() if text in line), None))

    def ended(self):
        """Its exit status, once it has ended."""
        if self.status is None:
            deadline = time.monotonic() + 60
            while self._take(0.2):
                if time.monotonic() > deadline:
                    raise AssertionError("has not ended:\n" + self.text())
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
