"""Does a refusal tell whether there is such a user?  Neither by its text nor by its time.

Names that do not exist, of locked accounts, and of others with a wrong password are
tried in random order, so that what the host does meanwhile meets all of them alike.
The times of each two kinds are compared by their ranks (Mann and Whitney): if they
are of one kind, |z| is above 3.3 once in a thousand times.  P3T_TRIES says how many
of each kind; tests/security/enumeration tries 300.  Without it a few are tried, and
their texts alone are compared, since a time tells nothing on a busy host.

A check of the known user's password takes tens of milliseconds, of the others none:
a refusal whose time depends on the check shows it.
"""

import itertools
import math
import os
import random
import time
import unittest

import harness
import mailbox
from client import PLAIN, TestCase

TIMED = "P3T_TRIES" in os.environ
TRIES = int(os.environ.get("P3T_TRIES", 4))
DELAY_MS = 300  # more than any of the checks takes
Z = 3.3
ROUNDS = 20000


def rank_test(a, b):
    """z of the Mann-Whitney test, by the normal approximation."""
    ranked = sorted([(x, 0) for x in a] + [(x, 1) for x in b])
    ranks = sum(rank for rank, (_, kind) in enumerate(ranked, 1) if kind == 0)
    u, mean = ranks - len(a) * (len(a) + 1) / 2, len(a) * len(b) / 2
    return (u - mean) / math.sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12)


class Model(unittest.TestCase):
    def test_rank_test_sees_a_difference(self):
        rng = random.Random(1)
        a, b = ([rng.gauss(mean, 1) for _ in range(100)] for mean in (0, 1))
        self.assertGreater(abs(rank_test(a, b)), Z)
        self.assertLess(abs(rank_test(a, [rng.gauss(0, 1) for _ in range(100)])), Z)


class Enumeration(TestCase):
    settings = {"auth_failure_delay": DELAY_MS, "max_auth_failures": 20}
    limit = 30 + 3 * TRIES

    def setUp(self):
        super().setUp()
        locked, known = harness.User(), self.user(mailbox.simple(1))
        for user in locked, known:
            harness.usermod("usermod", "-p", harness.crypt_password(user.password, rounds=ROUNDS), user.name)
        harness.usermod("usermod", "-L", locked.name)
        self.names = {"unknown": b"nobody-of-that-name", "locked": locked.name_octets, "known": known.name_octets}

    def refusal(self, name):
        """Its text and how long it took."""
        client = self.connect(PLAIN)
        client.ok(b"USER " + name)
        begun = time.monotonic()
        text = client.command(b"PASS wrong-%d" % time.monotonic_ns())
        took = time.monotonic() - begun
        client.reset()
        return text, took

    def test_text_and_time(self):
        times, texts = {kind: [] for kind in self.names}, set()
        order = TRIES * list(self.names)
        random.shuffle(order)
        for kind in order:
            text, took = self.refusal(self.names[kind])
            texts.add(text)
            times[kind].append(took)
        self.assertEqual(len(texts), 1, texts)
        zs = {pair: rank_test(times[pair[0]], times[pair[1]]) for pair in itertools.combinations(times, 2)}
        self.note = ", ".join("%s and %s z=%.2f" % (a, b, z) for (a, b), z in zs.items())
        for pair, z in zs.items() if TIMED else ():
            self.assertLess(abs(z), Z, pair)


if __name__ == "__main__":
    unittest.main()
