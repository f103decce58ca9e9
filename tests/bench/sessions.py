#!/usr/bin/python3
"""CPU of the daemon for one session, of all its processes: STAT and UIDL, RETR of 20 messages of 4 KB, RETR of 10 MB.

Run it for two builds alternately and several times: what else runs on the machine counts as well.
"""

import sys

import bench

options, harness = bench.setup(__doc__, sessions=50)

LINE = b"The quick brown fox jumps over the lazy dog, and comes back at night.\n"
LARGE = [b"From: a@example.org\nSubject: large\n\n" + LINE * (10_000_000 // len(LINE))]

# name, the mailbox, the commands after the login whose answers have many lines
SESSIONS = (("listing", bench.letters(20), (b"UIDL",)),
            ("20 x 4 KB", bench.letters(20), tuple(b"RETR %d" % i for i in range(1, 21))),
            ("10 MB", LARGE, (b"RETR 1",)))


def session(daemon, user, kind, commands):
    import client
    c = client.Client(daemon, kind)
    for line in (b"USER " + user.name_octets, b"PASS " + user.password_octets, b"STAT"):
        c.ok(line)
    for line in commands:
        c.listing(line)
    c.ok(b"QUIT")
    c.clean_eof()


def main():
    users = []
    for _, messages, _ in SESSIONS:
        users.append(harness.User())
        users[-1].maildir.make()
        users[-1].maildir.fill(messages)
    daemon = harness.Daemon(auth_children=1, login_workers=1)
    for kind in (harness.PLAIN, harness.TLS):
        for user, (name, _, commands) in zip(users, SESSIONS):
            session(daemon, user, kind, commands)
            cpu = bench.Cpu("sessions", lambda: [pid for pid, _ in daemon.processes()])
            before = cpu.ms()
            for _ in range(options.sessions):
                session(daemon, user, kind, commands)
            print("%-10s %-5s %6.2f ms a session" % (name, kind, (cpu.ms() - before) / options.sessions), flush=True)
            cpu.leave()
    print("problems", daemon.stop())


if __name__ == "__main__":
    sys.exit(main())
