#!/usr/bin/python3
"""System calls of one session (connect to QUIT: USER, PASS, STAT, UIDL; 20 messages), by process, PAM's
own told apart.  Counted by strace over all processes of the daemon."""

import collections
import glob
import os
import re
import subprocess
import sys
import time

import bench

options, harness = bench.setup(__doc__)

LINE = re.compile(r"^(\w+)\(")


def session(daemon, user, kind):
    import client
    c = client.Client(daemon, kind)
    for line in (b"USER " + user.name_octets, b"PASS " + user.password_octets, b"STAT"):
        c.ok(line)
    c.listing(b"UIDL")
    c.ok(b"QUIT")
    c.clean_eof()


def count(path):
    """Calls by name; calls of waiting that only strace's beginning and end show are left out."""
    with open(path, errors="replace") as f:
        names = [m.group(1) for m in map(LINE.match, f) if m]
    return collections.Counter(n for n in names if n != "restart_syscall")


def measure(daemon, user, kind):
    directory = harness.world().path("strace-" + kind)
    os.mkdir(directory)
    pids = [pid for pid, _ in daemon.processes()]
    roles = {pid: (harness.executable(pid), harness.command_line(pid)) for pid in pids}
    tracer = subprocess.Popen(["strace", "-qq", "-ff", "-f", "-o", directory + "/t"] + ["-p%d" % p for p in pids],
                              stderr=subprocess.DEVNULL)
    time.sleep(1)
    session(daemon, user, kind)
    time.sleep(0.5)
    tracer.terminate()
    tracer.wait()
    total = 0
    print("---- %s" % kind)
    for path in sorted(glob.glob(directory + "/t.*")):
        calls = count(path)
        n = sum(calls.values())
        if n < 3:
            continue
        program, title = roles.get(int(path.rsplit(".", 1)[1]), ("pop3d-session", "a new spare"))
        total += n
        print("%5d  %-14s %-28s %s" % (n, program, title[:28],
                                       " ".join("%s:%d" % c for c in calls.most_common(6))))
    print("%5d  in all, heartbeats and the clock included" % total)


def main():
    user = harness.User()
    user.maildir.make()
    user.maildir.fill(bench.letters(20))
    daemon = harness.Daemon(auth_children=1, login_workers=1)
    for kind in (harness.PLAIN, harness.TLS):
        session(daemon, user, kind)
        measure(daemon, user, kind)
    print("problems", daemon.stop())


if __name__ == "__main__":
    sys.exit(main())
