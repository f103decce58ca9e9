#!/usr/bin/python3
"""Sessions one after the other and many at once, by curl; nothing may fail or be left over.

Prints the rate, the server's CPU a session, and processes, descriptors and memory before and after.
"""

import concurrent.futures
import subprocess
import sys
import time

import bench

options, harness = bench.setup(__doc__, sequential=2000, together=64, rounds=10)


def fetch(daemon, user, kind):
    scheme = "pop3s" if kind == harness.TLS else "pop3"
    done = subprocess.run(["curl", "-sk", "--max-time", "60", "%s://127.0.0.1:%d/1" % (scheme, daemon.port(kind)),
                           "-u", "%s:%s" % (user.name, user.password)], stdout=subprocess.PIPE)
    return done.returncode == 0 and done.stdout.startswith(b"From: a@example.org\r\nSubject: message ")


def run(daemon, name, kind, users, sessions, together):
    cpu, begun = bench.cpu_ms(daemon), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(together) as pool:
        good = sum(pool.map(lambda i: fetch(daemon, users[i % len(users)], kind), range(sessions)))
    seconds = time.monotonic() - begun
    print("%-16s %-5s sessions=%d errors=%d rate=%.0f/s server_cpu=%.2f ms/session"
          % (name, kind, sessions, sessions - good, sessions / seconds, (bench.cpu_ms(daemon) - cpu) / sessions), flush=True)
    return sessions - good


def main():
    users = [harness.User() for _ in range(options.together)]
    for user in users:
        user.maildir.make()
        user.maildir.fill(bench.letters(20))
    daemon = harness.Daemon()
    fetch(daemon, users[0], harness.TLS)
    time.sleep(1)
    print("before", bench.figures(daemon), flush=True)
    errors = 0
    for kind in (harness.PLAIN, harness.TLS):
        errors += run(daemon, "one at a time", kind, users[:1], options.sequential // 2, 1)
        errors += run(daemon, "%d at once" % options.together, kind, users, options.together * options.rounds // 2,
                      options.together)
    time.sleep(3)
    print("after ", bench.figures(daemon))
    problems = daemon.stop()
    print("problems", problems)
    return 1 if errors or problems else 0


if __name__ == "__main__":
    sys.exit(main())
