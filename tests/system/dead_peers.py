#!/usr/bin/python3
"""How long until a peer that is dead is found, and is one that only pauses left alone?

usage: P3T_PREFIX=/usr/local tests/system/dead_peers.py

As root; takes ten minutes, so it is no part of the suite.  Clients stand behind a
network of their own (network.py), which is cut; others pause reading for as long
behind one that is not.  Prints a line each and exits with 1 if one found its end
too late, or too early.
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import harness  # noqa: E402
import mailbox  # noqa: E402
import network  # noqa: E402
from client import Client  # noqa: E402
from harness import PLAIN, TLS  # noqa: E402

BIG = b"Subject: big\n\n" + (b"y" * 70 + b"\n") * 400000
LIMIT = 123  # two minutes, and a little for the look and the clock
WATCH = 420  # that a client pauses and a network stays cut


def login(net, daemon, user, kind, **options):
    with net.client():
        client = Client(daemon, kind, **options)
    client.login(user)
    return client


def idle(client):
    client.ok(b"NOOP")


def transfer(client):
    client.send(b"RETR 1\r\n")
    for _ in range(50):
        client._more()


def pause(client):
    """Read nothing of a message, until every buffer on the way is full."""
    client.send(b"RETR 1\r\n")
    time.sleep(5)


def unread(client):
    """An answer is under way when the network is cut."""
    client.send(b"NOOP\r\n")


class Case:
    def __init__(self, name, net, daemon, kind, before, during=None, **options):
        self.name, self.net, self.daemon, self.kind, self.during = name, net, daemon, kind, during
        self.user = harness.world().take_user()
        self.user.maildir.fill([BIG])
        self.client = login(net, daemon, self.user, kind, **options)
        before(self.client)

    def ended(self):
        """Has its session ended?"""
        return not self.daemon.session_of(self.user)


def make_network(**settings):
    net = network.Network()
    servers = {name: {"addresses": [network.SERVER], "port": harness.free_port(), "socket": kind, "cleartext_login": "always"}
               for name, kind in (("clear", "plain+stls"), ("secure", "tls"))}
    with net.server():
        return net, harness.Daemon(servers=servers, idle_timeout=3600, **settings)


def watch(cases, since, until):
    """Say when each ends; those that have not at the end are left."""
    left, times = list(cases), {}
    while left and time.monotonic() < until:
        for case in list(left):
            if case.ended():
                times[case] = time.monotonic() - since
                print("%6.1f s  %s" % (times[case], case.name), flush=True)
                left.remove(case)
        time.sleep(0.5)
    return times, left


def main():
    good = True
    cut_net, cut = make_network()
    live_net, live = make_network()
    late_net, late = make_network()
    pausing = [Case("%s, pauses reading" % kind, live_net, live, kind, pause, rcvbuf=4096) for kind in (PLAIN, TLS)]
    pausing += [Case("%s, idle" % kind, live_net, live, kind, idle) for kind in (PLAIN, TLS)]
    shut = [Case("%s, dead behind a closed window" % kind, late_net, late, kind, pause, rcvbuf=4096) for kind in (PLAIN, TLS)]
    paused = time.monotonic()
    cases = []
    for kind in (PLAIN, TLS):
        cases.append(Case("%s, idle" % kind, cut_net, cut, kind, idle))
        cases.append(Case("%s, in a transfer" % kind, cut_net, cut, kind, transfer))
        cases.append(Case("%s, answer under way" % kind, cut_net, cut, kind, idle, unread))
    cut_net.cut_down()  # what the client sends still arrives, what is sent to it does not
    begun = time.monotonic()
    for case in cases:
        if case.during:
            case.during(case.client)
    time.sleep(1)
    cut_net.cut()
    print("network cut: seconds until the session has ended", flush=True)
    times, left = watch(cases, begun, begun + 1.5 * LIMIT)
    good &= not left and all(t <= LIMIT for t in times.values())
    # Their probes have been few and far between for minutes.
    while time.monotonic() < paused + WATCH:
        time.sleep(1)
    print("after %d s of pause:" % WATCH, flush=True)
    for case in pausing + shut:
        print("  %s: %s" % (case.name, "ENDED" if case.ended() else "still there"), flush=True)
        good &= not case.ended()
    late_net.cut()
    begun = time.monotonic()
    print("network cut: seconds until the session has ended", flush=True)
    times, left = watch(shut, begun, begun + 3 * LIMIT)
    good &= not left and all(t <= LIMIT for t in times.values())
    good &= not any(case.ended() for case in pausing)
    for case in cases + left:
        print("%s: %s" % (case.name, case.daemon.log_fields("session-end", user=case.user.name)["reason"]))
    for case in pausing + shut + cases:
        case.client.close()
    for net in (cut_net, live_net, late_net):
        net.close()
    print("all found within %d s" % LIMIT if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
