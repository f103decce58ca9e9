#!/usr/bin/python3
"""Side by side with Dovecot on equal Maildirs: whole POP3 sessions and the one command in them that counts.

Each session does login, the command, QUIT.  The two servers take turns; the ratio is ours to Dovecot's, taken pair by
pair, so that it holds while the host's speed drifts.  Both ask PAM for the password.  CPU is that of all processes of
the server, system calls are those of all its processes for one session (strace -f -c), memory is that of the process
that serves the session.  Cold: without any index; warm: with one that has settled.  The page cache is always warm.
"""

import contextlib
import glob
import os
import re
import socket
import statistics
import subprocess
import sys
import time

import bench

options, harness = bench.setup(__doc__, messages=20000, rounds=9, cold=3)
sys.path.insert(0, os.path.join(bench.HERE, "../interop"))
import peers  # noqa: E402

# The manual's mode for speed, with the file system treated as its package does.
THEIR_CONF = """
service pop3-login {
  service_count = 0
  process_min_avail = 2
}
service pop3 {
  process_min_avail = 4
}
"""
SETTLE = 2.5  # seconds after which neither server doubts the time stamps of a directory


class Session:
    """A client that only counts octets."""

    def __init__(self, side):
        self.sock = socket.create_connection(("127.0.0.1", side.port), 300)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer(b"\r\n")
        self.command("USER " + side.user.name)
        self.command("PASS " + side.user.password)

    def answer(self, end):
        octets = bytearray()
        while not octets.endswith(end):
            piece = self.sock.recv(1 << 20)
            if not piece:
                raise RuntimeError("closed after %r" % octets[-100:])
            octets += piece
        if not octets.startswith(b"+OK"):
            raise RuntimeError("%r" % octets[:100])
        return octets

    def command(self, line, multi=False):
        self.sock.sendall(line.encode() + b"\r\n")
        return self.answer(b"\r\n.\r\n" if multi else b"\r\n")

    def quit(self):
        """QUIT; returns when its answer had come."""
        self.command("QUIT")
        ended = time.monotonic()
        while self.sock.recv(65536):
            pass
        self.sock.close()
        return ended


class Side:
    """One server with its mailbox."""

    def __init__(self, name, port, user, pids, index):
        self.name, self.port, self.user, self.index = name, port, user, index
        self.pids, self.cpu = pids, bench.Cpu(name, pids)

    def forget(self):
        for pattern in self.index:
            for path in glob.glob(os.path.join(self.user.maildir.path, pattern)):
                os.unlink(path)

    def serving(self):
        """The process that runs as the user, at work for him."""
        for pid in self.pids():
            with contextlib.suppress(OSError):
                if harness.status(pid)["Uid"].split()[0] == str(self.user.uid):
                    return pid
        raise RuntimeError("no process of %s" % self.user.name)


# What is done between login and QUIT, and before the login.

def stat(session, _side):
    session.command("STAT")


def listing(session, _side):
    session.command("LIST", True)


def uidl(session, _side):
    session.command("UIDL", True)


def retr(session, _side):
    session.command("RETR %d" % (options.messages // 2), True)


def dele(session, _side):
    for n in range(1, 11):
        session.command("DELE %d" % (n * options.messages // 20))


def one_delivery(side):
    side.user.maildir.deliver(MESSAGE)


# name, before the login, between login and QUIT, what is timed beside the whole session, rounds
WORK = [
    ("cold: STAT", Side.forget, stat, "login+STAT", options.cold),
    ("STAT", None, stat, "login+STAT", options.rounds),
    ("LIST", None, listing, "LIST", options.rounds),
    ("UIDL", None, uidl, "UIDL", options.rounds),
    ("RETR of one", None, retr, "RETR", options.rounds),
    ("one delivered, UIDL", one_delivery, uidl, "login+UIDL", options.rounds),
    ("DELE of 10", None, dele, "10 DELE+QUIT", options.rounds),
]
MESSAGE = bench.letters(1)[0]


def play(side, work):
    """One session; returns (the whole, the part) in ms."""
    _, before, between, part, _ = work
    if before:
        before(side)
    begun = time.monotonic()
    session = Session(side)
    logged_in = time.monotonic()
    between(session, side)
    answered = time.monotonic()
    ended = session.quit()
    of_part = (begun if part.startswith("login") else logged_in), (ended if part.endswith("QUIT") else answered)
    return (ended - begun) * 1000, (of_part[1] - of_part[0]) * 1000


def calls(side, work):
    """System calls of all processes of the server for one session."""
    path = harness.world().path("strace")
    tracer = subprocess.Popen(["strace", "-qq", "-f", "-c", "-U", "calls,name", "-o", path] + ["-p%d" % pid for pid in side.pids()],
                              stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    play(side, work)
    time.sleep(0.3)
    tracer.terminate()
    tracer.wait()
    with open(path) as f:
        return int(re.search(r"^\s*(\d+) total$", f.read(), re.M).group(1))


def middle(values):
    return "%.4g (%.4g-%.4g)" % (statistics.median(values), min(values), max(values))


def measure(sides, work):
    name, before, _, part, rounds = work
    whole, parts, cpu = ({side.name: [] for side in sides} for _ in range(3))
    if before is not Side.forget:  # the index settles
        for side in sides:
            play(side, work)
        time.sleep(SETTLE)
        for side in sides:
            play(side, work)
    for turn in range(rounds):
        for side in sides if turn % 2 else reversed(sides):
            used = side.cpu.ms()
            took, of_part = play(side, work)
            time.sleep(0.05)  # what the server does behind the answer counts too
            whole[side.name].append(took)
            parts[side.name].append(of_part)
            cpu[side.name].append(side.cpu.ms() - used)
    ours, theirs = (side.name for side in sides)
    counts = [calls(side, work) for side in sides]
    for title, values in (("session, ms", whole), (part + ", ms", parts), ("CPU of a session, ms", cpu)):
        ratios = [a / b for a, b in zip(values[ours], values[theirs]) if b > 0]
        print("| %s | %s | %s | %s | %s |" % (name, title, middle(values[ours]), middle(values[theirs]),
                                             middle(ratios) if ratios else "-"))
    print("| %s | system calls of a session | %d | %d | %.3g |" % (name, *counts, counts[0] / counts[1]), flush=True)


def memory(sides):
    row = []
    for side in sides:
        session = Session(side)
        session.command("LIST", True)
        session.command("UIDL", True)
        pid = side.serving()
        row += [bench.pss(pid), bench.anonymous(pid)]
        session.quit()
    print("| after LIST and UIDL | PSS, KiB | %d | %d | %.3g |" % (row[0], row[2], row[0] / row[2]))
    print("| after LIST and UIDL | anonymous memory, KiB | %d | %d | %.3g |" % (row[1], row[3], row[1] / row[3]))


def fill(user):
    user.maildir.make()
    for octets in bench.letters(options.messages):
        user.maildir.deliver(octets, "cur", "S")


def main():
    peers.get_all()
    why = peers.missing("dovecot")
    if why:
        sys.exit(why)
    users = [harness.User(), harness.User()]
    for user in users:
        fill(user)
    os.sync()
    daemon = harness.Daemon()
    dovecot = peers.Dovecot(THEIR_CONF, pam=harness.world().service())
    sides = [Side("pop3d", daemon.port(harness.PLAIN), users[0], lambda: [pid for pid, _ in daemon.processes()], ["pop3d-index*"]),
             Side("dovecot", dovecot.pop3_port, users[1], dovecot.processes, ["dovecot.*", "dovecot-uidlist*"])]
    print("%d messages of %d octets, load of the host %.2f\n" % (options.messages, len(MESSAGE), os.getloadavg()[0]))
    print("| session | figure | pop3d | dovecot | ratio |\n|---|---|---|---|---|", flush=True)
    for work in WORK:
        measure(sides, work)
    memory(sides)
    complaints = dovecot.complaints()
    dovecot.stop()
    print("problems", daemon.stop(), complaints)
    for side in sides:
        side.cpu.close()


if __name__ == "__main__":
    sys.exit(main())
