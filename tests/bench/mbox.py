#!/usr/bin/python3
"""What an mbox of tiny messages takes: of each number of messages, of 53 octets, private memory of the session
at most and octets a message by phase (login, UIDL, QUIT that deletes every other), times and system calls."""

import argparse
import collections
import sys
import threading
import time

import bench

FROM = b"From a@example.org Mon Jan  2 10:00:00 2023\n"
NUMBERS = "1,1000,100000,1886792"


def status(pid):
    """Memory of a process in KiB, by the names that /proc gives: RssAnon, VmData, VmHWM; empty if it has gone."""
    try:
        with open("/proc/%d/status" % pid) as f:
            lines = [line.split() for line in f]
    except OSError:
        return {}
    return {line[0][:-1]: int(line[1]) for line in lines if line[0] in ("RssAnon:", "VmData:", "VmHWM:")}


class Watch(threading.Thread):
    """The most of RssAnon and VmData that a session has had, beyond what it had when it was a spare, by phase."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.before = {pid: status(pid) for pid in pids}
        self.most, self.phase, self.over = collections.defaultdict(int), "login", threading.Event()

    def run(self):
        while not self.over.is_set():
            for pid, was in self.before.items():
                for name, kib in status(pid).items():
                    kib -= was[name] if name != "VmHWM" else 0
                    self.most[self.phase, name] = max(self.most[self.phase, name], kib)
            time.sleep(0.002)


def session(daemon, user, count, index, watch):
    """Log in, UIDL, delete every other message, QUIT; what took how long, in ms."""
    import client
    c = client.Client(daemon, timeout=3600)
    c.ok(b"USER " + user.name_octets)
    times = {}

    def phase(name, action):
        watch.phase, begun = name, time.monotonic()
        action()
        times[name] = (time.monotonic() - begun) * 1000

    phase("login", lambda: c.ok(b"PASS " + user.password_octets))
    phase("UIDL", lambda: (c.ok(b"UIDL"), index.skip_listing(c)))
    watch.phase = "DELE"
    for first in range(1, count + 1, 2000):
        numbers = range(first, min(first + 2000, count + 1), 2)
        c.send(b"".join(b"DELE %d\r\n" % n for n in numbers))
        for _ in numbers:
            c.response()
    phase("QUIT", lambda: c.ok(b"QUIT"))
    c.clean_eof()
    return times


def measure(daemon, harness, index, box, count):
    octets = b"".join(FROM + b"%07d\n\n" % n for n in range(count))
    print("---- %d messages, %d octets" % (count, len(octets)))
    box.write(octets)
    harness.wait_for(lambda: len(index.spares(daemon, harness)) >= 2, 30)
    watch = Watch(index.spares(daemon, harness))
    watch.start()
    try:
        times = session(daemon, box.user, count, index, watch)
    finally:
        watch.over.set()
        watch.join()
    for name, ms in times.items():
        print("  %-6s %9.1f ms; at most %s" % (name, ms, "; ".join(
            "%s %d KiB (%.1f a message)" % (what, watch.most[name, what], watch.most[name, what] * 1024 / count)
            for what in ("RssAnon", "VmData", "VmHWM"))), flush=True)


def calls(daemon, harness, index, box, count):
    """The calls of login, UIDL and a QUIT that deletes nothing; what is read of the mbox told apart."""
    box.write(b"".join(FROM + b"%07d\n\n" % n for n in range(count)))
    parts = index.traced(daemon, box.user, harness)
    for what in ("login", "UIDL", "QUIT"):
        counts = index.count(parts[what], what == "UIDL")
        print("  %-6s %4d calls: %s" % (what, sum(counts.values()), " ".join("%s:%d" % x for x in sorted(counts.items()))), flush=True)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--messages", default=NUMBERS)
    own, sys.argv[1:] = parser.parse_known_args()
    _, harness = bench.setup(__doc__ + "  --messages N,N (default %s)" % NUMBERS)
    import index
    import mboxes
    user = harness.User()
    box = mboxes.home_box(user)
    daemon = harness.Daemon(session_spares=2, storage="mbox:%h/mail/inbox", session_memory="off")
    for count in map(int, own.messages.split(",")):
        measure(daemon, harness, index, box, count)
        calls(daemon, harness, index, box, count)
    box.remove()
    print("problems", daemon.stop())


if __name__ == "__main__":
    sys.exit(main())
