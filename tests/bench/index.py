#!/usr/bin/python3
"""What a Maildir's index costs and saves: system calls of an unchanged mailbox for three numbers of
messages, counted by strace and said to be equal or not; message files opened for one new message; private
memory a message; times.  The mailboxes stand in the directory --at (files of some 60 octets each)."""

import argparse
import collections
import os
import re
import shutil
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "faults"))

import bench  # noqa: E402

LINE = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)(.*)$")
WAITING = {"ppoll", "restart_syscall"}


def make(user, count):
    """A Maildir of `count` small messages, most of them in cur/."""
    maildir = user.maildir.make()
    text = b"From: a@example.org\nSubject: small\n\na line of text, and an end\n"
    for sub, numbers, tail in (("new", range(count - count // 100, count), ""), ("cur", range(count - count // 100), ":2,S")):
        folder = os.open(os.path.join(maildir.path, sub), os.O_RDONLY)
        for i in numbers:
            fd = os.open("%d.M%dP4711.mail.example.org,S=62%s" % (1600000000 + i // 3, i, tail),
                         os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=folder)
            os.write(fd, text)
            os.fchown(fd, user.uid, user.gid)
            os.close(fd)
        os.close(folder)
    time.sleep(0.2)  # time stamps are old enough


def spares(daemon, harness):
    spawner = daemon.spawner()
    return [pid for pid in daemon.role("pop3d-session") if pid not in spawner and int(harness.status(pid)["Uid"].split()[0]) == 0]


def anonymous(pid):
    """Private memory in octets: what is mapped of the index belongs to the page cache."""
    try:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            for line in f:
                if line.startswith("Anonymous:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


class Watch(threading.Thread):
    """The most private memory that the spares, and the sessions that they become, take more than before."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.before = {pid: anonymous(pid) for pid in pids}
        self.most, self.over = 0, threading.Event()

    def run(self):
        while not self.over.is_set():
            self.most = max([self.most] + [anonymous(pid) - was for pid, was in self.before.items()])
            time.sleep(0.002)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def skip_listing(c):
    """Read the rest of a multi-line response; its octets."""
    total, tail = len(c.buffer), c.buffer[-5:]
    while not tail.endswith(b"\r\n.\r\n"):
        piece = c.sock.recv(1 << 20)
        if not piece:
            raise EOFError
        total += len(piece)
        tail = (tail + piece)[-5:]
    c.buffer = b""
    return total


def timed(what, action):
    begun = time.monotonic()
    result = action()
    print("    %-34s %9.1f ms" % (what, (time.monotonic() - begun) * 1000), flush=True)
    return result


def session(daemon, user, say=False):
    """Log in, STAT, LIST, UIDL, QUIT; the response to STAT."""
    import client
    c = client.Client(daemon, timeout=3600)
    run = timed if say else lambda what, action: action()
    c.ok(b"USER " + user.name_octets)
    run("login", lambda: c.ok(b"PASS " + user.password_octets))
    stat = run("STAT", lambda: c.ok(b"STAT"))
    for command in (b"LIST", b"UIDL"):
        run(command.decode(), lambda: (c.ok(command), skip_listing(c)))
    run("QUIT", lambda: c.ok(b"QUIT"))
    c.clean_eof()
    return stat


def traced(daemon, user, harness):
    """The system calls of a session's process, by what it does: login, STAT, LIST, UIDL, QUIT."""
    import test_update
    harness.wait_for(lambda: len(spares(daemon, harness)) >= 2, 10)
    with test_update.Injected(spares(daemon, harness), None) as trace:
        session(daemon, user)
    pids = collections.defaultdict(list)
    for line in trace.calls().splitlines():
        found = LINE.match(line)
        if found:
            pids[line.split()[0]].append((found.group(1), found.group(2)))
    calls = max(pids.values(), key=len)
    parts, now = collections.defaultdict(list), "login"
    for name, rest in calls:
        asked = re.search(r'"(STAT|LIST|UIDL|QUIT)\\r\\n"', rest) if name == "recvfrom" else None
        if asked:
            now = asked.group(1)
        parts[now].append((name, rest))
    return parts


def count(part, output):
    """Calls by name but waiting for the client, which is a matter of time; of a listing, all but sending it."""
    return collections.Counter(name for name, _ in part if name not in WAITING and not (output and name == "sendto"))


def unchanged(daemon, harness, user, numbers):
    seen = {}
    for n in numbers:
        print("---- %d messages" % n, flush=True)
        timed("(making them)", lambda: make(user, n))
        print("  first session, without an index:")
        with Watch(spares(daemon, harness)) as first:
            session(daemon, user, True)
        with Watch(spares(daemon, harness)) as second:
            print("  second session, unchanged:")
            session(daemon, user, True)
        print("  private memory at most, first session %d KiB (%.1f octets a message), second %d KiB (%.2f); index %d octets a message"
              % (first.most // 1024, first.most / n, second.most // 1024, second.most / n,
                 os.path.getsize(os.path.join(user.maildir.path, "pop3d-index")) / n))
        parts = traced(daemon, user, harness)
        seen[n] = {what: count(parts[what], what in ("LIST", "UIDL")) for what in ("login", "STAT", "LIST", "UIDL")}
        for what, calls in seen[n].items():
            print("  %-6s %4d calls: %s" % (what, sum(calls.values()), " ".join("%s:%d" % x for x in sorted(calls.items()))))
        print("  writes of LIST %d, of UIDL %d" % tuple(sum(name == "sendto" for name, _ in parts[w]) for w in ("LIST", "UIDL")), flush=True)
    equal = all(counts == seen[numbers[0]] for counts in seen.values())
    print("System calls for %s messages: %s" % (", ".join(map(str, numbers)), "EQUAL" if equal else "NOT EQUAL"))
    return equal


def one_new(daemon, harness, user, n):
    """A message is delivered to a mailbox that is known."""
    print("---- one new message of %d" % n)
    make(user, n)
    for _ in range(2):
        session(daemon, user)
    time.sleep(0.2)
    user.maildir.deliver(b"new\n")
    opened = []
    parts = traced(daemon, user, harness)
    for part in parts.values():
        opened += [rest for name, rest in part if name == "openat" and re.search(r'"[^"/]*\.M\d+P\d+', rest) and "ENOENT" not in rest]
    print("message files opened: %d" % len(opened))
    user.maildir.deliver(b"new\n")
    with Watch(spares(daemon, harness)) as watch:
        session(daemon, user, True)
    print("  private memory at most %d KiB (%.1f octets a message)" % (watch.most // 1024, watch.most / n))
    return len(opened) == 1


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--at", default=None)
    parser.add_argument("--most", type=int, default=1000000)
    own, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    options, harness = bench.setup(__doc__ + "  --at DIRECTORY (default: that of the users' homes); --most MESSAGES (default 1000000)")
    user = harness.User()
    if own.at:
        place = os.path.join(own.at, user.name)
        os.mkdir(place, 0o755)
        harness.world().registry.add("tree", place)
        user.maildir.path = os.path.join(place, "Maildir")
        os.symlink(user.maildir.path, os.path.join(user.home, "Maildir"))
    daemon = harness.Daemon(session_spares=2)
    numbers = [n for n in (100, 10000) if n < own.most] + [own.most]
    good = unchanged(daemon, harness, user, numbers)
    good = one_new(daemon, harness, user, min(100000, own.most)) and good
    shutil.rmtree(user.maildir.path)
    print("problems", daemon.stop())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
