"""Floods from many addresses: a login beside them works, and takes no longer than it may.

Daemon and clients are in network namespaces of their own.  The daemon has the
settings that it is shipped with; the flooders are a process of their own with a
bounded rate, since they run on the daemon's processors.

P3T_FLOODS says how many logins are tried beside each flood; tests/security/floods
tries 1,000 and judges their times.  Without it a few are tried, and judged by their
success alone, since a time tells nothing on a busy host.
"""

import os
import socket
import subprocess
import sys
import threading
import time
import unittest

import harness
import mailbox
import network
from client import PLAIN, TLS, TestCase, tls_context

HERE = os.path.dirname(os.path.abspath(__file__))
TIMED = "P3T_FLOODS" in os.environ
LOGINS = int(os.environ.get("P3T_FLOODS", 10))
RATE = 200 if TIMED else 50  # connections of a flood a second
TYPISTS, TYPING_S = (100, 90) if TIMED else (5, 3)
GUESSES, GUESSERS = (150, 50) if TIMED else (30, 10)
HONEST = "10.84.200.1"
FEW = 40  # connections before login, of which a flood has each from another network
# the defaults of pop3d.conf(5), where tests have others
SHIPPED = dict.fromkeys(("login_timeout", "idle_timeout", "handshake_timeout", "max_connections", "max_connections_per_address",
                         "auth_failure_delay", "auth_failures_per_user", "auth_failures_per_source",
                         "auth_account_delay", "max_auth_failures"))


def percentile(times, percent):
    return sorted(times)[min(len(times) * percent // 100, len(times) - 1)]


@network.needed
class Floods(TestCase):
    settings = None
    limit = 1500 if TIMED else 240

    def setUp(self):
        super().setUp()
        self.net = network.Network.of(self)
        self.daemon = self.net.daemon(self, **SHIPPED, **({"max_connections_before_login": None if TIMED else 150, "log_level": "debug"}))
        self.honest = self.user(mailbox.simple(1))

    def flood(self, kind, name="nobody", networks=64):
        """Its process; it has made some connections."""
        where = ["%s:%d" % (network.SERVER, self.daemon.port(k)) for k in (PLAIN, TLS)]
        with self.net.client():
            p = subprocess.Popen([sys.executable, os.path.join(HERE, "flooder.py"), kind, str(RATE), name, *where, str(networks)],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.assertEqual(p.stdout.readline(), "begun\n")
        return p

    def end(self, flood):
        """How many connections it made."""
        return int(flood.communicate("", timeout=60)[0])

    def login(self, user, source=HONEST, kind=PLAIN):
        begun = time.monotonic()
        client = self.net.connect(self, self.daemon, source, kind, timeout=30)
        client.login(user)
        took = time.monotonic() - begun
        client.quit()
        return took

    def logins(self, count=LOGINS):
        return [self.login(self.honest) for _ in range(count)]

    def test_logins(self):
        """Beside each flood: p99 is at most three times that of none, or 100 ms."""
        alone, notes, slow = self.logins(), [], []
        bound = max(3 * percentile(alone, 99), 0.1)
        notes.append("none p50 %.1f p99 %.1f ms" % tuple(1000 * percentile(alone, p) for p in (50, 99)))
        for kind in ("silence", "handshakes", "lines", "commands", "guesses", "names"):
            flood = self.flood(kind, name=self.user(mailbox.simple(1)).name)
            mark = len(self.daemon.log())
            times = self.logins()
            if kind in ("guesses", "names"):
                self.daemon.log_wait("login-failed .*peer=10.84", since=mark, timeout=60)
            made = self.end(flood)
            notes.append("%s (%d connections) p50 %.1f p99 %.1f ms" % (kind, made, *(1000 * percentile(times, p) for p in (50, 99))))
            if percentile(times, 99) > bound:
                slow.append(notes[-1])
        self.note = "; ".join(notes)
        if TIMED:
            self.assertEqual(slow, [])

    def test_guesses_at_one_account(self):
        """Many sources guess at it: they are slowed, and its user is let in."""
        victim, answered, begun = self.user(mailbox.simple(1)), [], time.monotonic()

        def guess(source):
            client = self.net.connect(self, self.daemon, source, timeout=120)
            for n in range(GUESSES // GUESSERS):
                client.command(b"USER " + victim.name_octets)
                answered.append(client.command(b"PASS wrong-%d" % n))
            client.close()
        threads = [threading.Thread(target=guess, args=("10.84.%d.1" % n,)) for n in range(GUESSERS)]
        for t in threads:
            t.start()
        self.assertTrue(harness.wait_for(lambda: len(answered) > GUESSERS, 60))
        took = self.login(victim)
        for t in threads:
            t.join()
        self.assertEqual(len(answered), GUESSES)
        self.assertFalse([a for a in answered if a.startswith(b"+OK")])
        self.note = "%d guesses from %d addresses took %.1f s; the user's login beside them %.1f s" % (
            GUESSES, GUESSERS, time.monotonic() - begun, took)

    def test_who_comes_beside_one_connection_from_each_network(self):
        """Who has begun a handshake is in none of the kind that floods, and stays."""
        daemon = self.net.daemon(self, **{**SHIPPED, "login_workers": 1, "max_connections_before_login": FEW})

        def closed():
            return daemon.log().count("reason=crowded")
        self.daemon = daemon
        self.flood("silence", networks=4 * FEW)
        self.assertTrue(harness.wait_for(lambda: closed() > FEW, 60))
        with self.net.client():
            raw = socket.create_connection((network.SERVER, daemon.port(TLS)), 60, (HONEST, 0))
        self.addCleanup(raw.close)
        mark = closed()
        self.assertTrue(harness.wait_for(lambda: closed() > mark + 2 * FEW, 60))
        tls = tls_context().wrap_socket(raw)
        self.addCleanup(tls.close)
        self.assertEqual(tls.recv(4), b"+OK ")

    def test_guesses_that_wait_make_room(self):
        """Logins that are being decided, or whose refusals wait, are closed like others."""
        daemon = self.net.daemon(self, **{**SHIPPED, "login_workers": 1, "max_connections_before_login": 150})
        self.daemon = daemon
        for _ in range(4):
            self.flood("guesses", name=self.honest.name)
        daemon.log_wait("disconnect .* reason=crowded", timeout=60)
        other = self.user(mailbox.simple(1))
        for _ in range(20):
            self.login(other)

    def test_people_who_type_in_networks_of_a_flood(self):
        """Their mail programs have sent USER and ask for the password; of a hundred 99 get in."""
        typing, users = [], [self.user(mailbox.simple(1)) for _ in range(TYPISTS)]
        for n, user in enumerate(users, 1):
            typing.append(self.net.connect(self, self.daemon, "10.84.%d.%d" % (n % 64, n), timeout=30))
            typing[-1].ok(b"USER " + user.name_octets)
        floods = [self.flood("silence"), self.flood("handshakes"), self.flood("lines")]
        self.daemon.log_wait("disconnect .* reason=crowded", timeout=60)
        end = time.monotonic() + TYPING_S
        while time.monotonic() < end:  # as long as it takes them
            self.login(self.honest)
        served = 0
        for client, user in zip(typing, users):
            try:
                served += client.command(b"PASS " + user.password_octets).startswith(b"+OK")
            except (AssertionError, OSError):
                pass
        made = [self.end(flood) for flood in floods]
        self.note = "%d of %d; connections of the floods: %s" % (served, TYPISTS, made)
        self.assertGreaterEqual(served, TYPISTS * 99 // 100)


if __name__ == "__main__":
    unittest.main()
