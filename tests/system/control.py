"""pop3ctl for tests: one call, its three results."""

import collections
import json
import os
import socket
import subprocess

import harness

Answer = collections.namedtuple("Answer", "status out err")
DONE, FAILED, USAGE, UNREACHABLE = range(4)
STATE_KEYS = ["server", "remotehost", "remoteport", "id", "state", "logon", "name", "storage", "msg", "size", "deleted"]


def packed(*words):
    """A request: the number of words, then the words, each ended by a NUL."""
    return b"".join(w + b"\0" for w in (b"%d" % len(words), *words))


def answer_of(text):
    """What `--json` printed, of the schema that pop3ctl(8) documents."""
    whole = json.loads(text)
    if list(whole) != ["schema", "answer"] or whole["schema"] != 1:
        raise AssertionError("%r is of another schema" % text)
    return whole["answer"]


class Control:
    """The control socket of one daemon, through pop3ctl and without it."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.path = os.path.join(daemon.settings["runtime_dir"], "control")

    def argv(self, *words):
        return [harness.program("pop3ctl"), "-s", self.path, *[str(w) for w in words]]

    def run(self, *words, timeout=30, **options):
        done = subprocess.run(self.argv(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=timeout, **options)
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words):
        return subprocess.Popen(self.argv(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def done(self, *words, **options):
        """It works; returns what it printed, without the last line end."""
        answer = self.run(*words, **options)
        if answer.status != DONE or answer.err:
            raise AssertionError("pop3ctl %s: %r" % (" ".join(map(str, words)), answer))
        return answer.out.removesuffix("\n")

    def refused(self, status, *words, **options):
        """It is refused with this status; returns the message."""
        answer = self.run(*words, **options)
        if answer.status != status or answer.out or not answer.err.startswith("pop3ctl: ") or not answer.err.endswith("\n"):
            raise AssertionError("pop3ctl %s: %r, not refused with %d" % (" ".join(map(str, words)), answer, status))
        return answer.err.removeprefix("pop3ctl: ").removesuffix("\n")

    def lines(self, *words):
        return self.done(*words).splitlines()

    def json(self, *words):
        return answer_of(self.done(*words, "--json"))

    def pairs(self, *words):
        """Lines of `key value`, in order."""
        return dict((line.split(" ", 1) + [""])[:2] for line in self.lines(*words))

    def server(self, name, **options):
        """A new server, up on a port that the kernel chose; returns the port."""
        self.done("new", name)
        settings = {"port": 0, **options}
        self.done("configure", name, *[w for k, v in settings.items() for w in ("-" + k, v)])
        self.done("up", name)
        return int(self.done("cget", name, "-port"))

    def raw(self, timeout=5):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(self.path)
        return s

    def send_raw(self, octets, timeout=5):
        """A request as octets; all of the answer, empty if the daemon hangs up."""
        with self.raw(timeout) as s:
            out = b""
            try:
                s.sendall(octets)
                s.shutdown(socket.SHUT_WR)
                while piece := s.recv(65536):
                    out += piece
            except (BrokenPipeError, ConnectionResetError):
                pass
            return out
