"""Sessions on two hosts in turn, each of which deletes: no mail is lost, comes back or is garbled (MBX-03, MBX-04)."""

import collections
import fcntl
import os
import random
import threading
import time

import mailbox
import mboxes
from client import Client
from harness import PLAIN
from test_shared import MOUNTS, Hosts

BRICK = os.environ["P3T_SHARED_BRICK"]
# How many sessions with which pauses before each, in seconds: around the second for which hosts keep attributes, and longer.
SERIES = ((int(os.environ.get("P3T_ALTERNATE", "200")), (0, 2)), (int(os.environ.get("P3T_ALTERNATE_SLOW", "10")), (3, 30)))


def append(path, user, serial, message):
    """Deliver into an mbox as an agent does that holds the fcntl lock."""
    with open(path, "ab", buffering=0) as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        f.write(mboxes.block(message, serial % 60))
        os.fsync(f.fileno())


def put_file(folder, user, serial, message):
    temporary, name = os.path.join(folder, ".t%d" % serial), os.path.join(folder, "m%d" % serial)
    with open(temporary, "wb") as f:
        f.write(message)
    os.chown(temporary, user.uid, user.gid)
    os.rename(temporary, name)


def put_maildir(folder, user, serial, message):
    name = "%d.M%dP1.test" % (1700000000 + serial, serial)
    put_file(os.path.join(folder, "new"), user, serial, message)
    os.rename(os.path.join(folder, "new", "m%d" % serial), os.path.join(folder, "new", name))


def files(*folders):
    return [open(os.path.join(f, n), "rb").read() for f in folders for n in os.listdir(f) if n[0] != "." and not n.startswith("pop3d-")]


def messages_of(path):
    """Of an mbox; messages of these tests hold no line that begins with From_."""
    with open(path, "rb") as f:
        octets = f.read()
    found = [b"From " + part for part in (b"\n" + octets).split(b"\nFrom ")[1:]]
    return [part.split(b"\n", 1)[-1].removesuffix(b"\n") + (b"" if part.endswith(b"\n\n") else b"\n") for part in found]


STORES = {
    "maildir": (put_maildir, lambda path: files(path + "/new", path + "/cur")),
    "dir": (put_file, files),
    "mbox": (append, messages_of),
}


class Series:
    """One mailbox, used from both hosts; what came of it is counted."""

    def __init__(self, user, daemons, kind, path):
        self.user, self.daemons, self.path = user, daemons, path
        self.put, self.stored = STORES[kind]
        self.draw = random.Random(kind)
        self.count, self.serial = collections.Counter(), 0

    def on_brick(self):
        return collections.Counter(self.stored(os.path.join(BRICK, self.path)))

    def deliver(self):
        """Many at once and then none for some sessions, since each delivery tells hosts of a change."""
        for _ in range(25 if sum(self.want.values()) < 6 else 0):
            self.serial += 1
            message = b"Subject: %d\n\n" % self.serial + b"%06d\n" % self.serial * self.draw.randint(50, 300)
            self.put(os.path.join(self.draw.choice(MOUNTS), self.path), self.user, self.serial, message)
            self.want[message] += 1

    def session(self, daemon):
        """Fetch all, delete some."""
        wires = {mailbox.wire(m): m for m in self.want}
        client, seen = Client(daemon, PLAIN, timeout=60), {}
        if not client.try_login(self.user).startswith(b"+OK "):
            self.count["login refused"] += 1
            return client.close()
        for n in [int(line.split()[0]) for line in client.listing(b"LIST")]:
            if client.command(b"RETR %d" % n).startswith(b"+OK "):
                text = client.body()
                seen[n] = wires.get(text)
                self.count["garbled"] += seen[n] is None
        marked = [n for n in seen if self.draw.random() < 0.15]
        for n in marked:
            client.ok(b"DELE %d" % n)
        if client.command(b"QUIT").startswith(b"+OK "):
            self.want -= collections.Counter(seen[n] for n in marked)
        else:
            self.count["nothing deleted"] += 1
        client.close()

    def run(self):
        try:
            self.want = self.on_brick()
            for sessions, pauses in SERIES:
                for n in range(sessions):
                    self.deliver()
                    time.sleep(self.draw.uniform(*pauses))  # what is tested: how old a host's cache is
                    self.session(self.daemons[n % 2])
                    found = self.on_brick()
                    self.count["lost"] += sum((self.want - found).values())
                    self.count["back"] += sum((found - self.want).values())
                    self.count["sessions"] += 1
                    self.want = found
        except Exception as e:
            self.count["failed: %r" % e] += 1


class Alternate(Hosts):
    limit = 1500

    def test_MBX_03_MBX_04_sessions_on_two_hosts_in_turn(self):
        """The three stores side by side."""
        series = {}
        for storage in self.STORES:
            user = self.boxes(storage)
            kind, template = storage.split(":")
            series[kind] = Series(user, self.daemons, kind, template.replace("%u", user.name))
        threads = [threading.Thread(target=s.run) for s in series.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.note = "; ".join("%s: %s" % (kind, dict(s.count)) for kind, s in series.items())
        for kind, s in series.items():
            with self.subTest(kind):
                self.assertEqual((s.count["sessions"], s.count["lost"], s.count["back"], s.count["garbled"]),
                                 (sum(n for n, _ in SERIES), 0, 0, 0), dict(s.count))
