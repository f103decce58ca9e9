"""The session lock between hosts: two daemons, each on its own mount of a shared file system (CONFORMANCE group LCK, DESIGN 7.4)."""

import contextlib
import os
import signal
import threading
import time

import harness
import mailbox
import mboxes
from client import TestCase
from harness import PLAIN, TLS

MOUNTS = os.environ["P3T_SHARED_MOUNTS"].split(":")
MESSAGES = mailbox.simple(3)
ELSEWHERE = b"-ERR [IN-USE] this maildrop is locked by another session, program or host"
ROUNDS = 20  # of races


class Virtual:
    """A user of the user file, with mailboxes of a name that never was: hosts remember names."""

    names, left = [], None

    @classmethod
    def begin(cls, prefix):
        """Names for one class of tests: classes run side by side on the same mounts."""
        cls.names = ["%s%d" % (prefix, n) for n in range(40)]
        cls.left = iter(cls.names)

    def __init__(self, owner):
        self.name, self.uid, self.gid = next(Virtual.left), owner.uid, owner.gid
        self.name_octets, self.password_octets = self.name.encode(), owner.password_octets

    @staticmethod
    def file(owner):
        """All of them, as a user file; its path."""
        path, secret = harness.world().path("users"), harness.crypt_password(owner.password)
        with open(path, "w") as f:
            os.fchmod(f.fileno(), 0o600)
            for name in Virtual.names:
                f.write("%s:%s:%d:%d:%s\n" % (name, secret, owner.uid, owner.gid, owner.home))
        return path


class Hosts(TestCase):
    """Two daemons on the two mounts."""
    settings = None
    limit = 120

    @classmethod
    def setUpClass(cls):
        cls.owner = harness.User()
        Virtual.begin(cls.__name__.lower())
        cls.auth = "file:" + Virtual.file(cls.owner)

    def boxes(self, storage):
        """A user with three messages in a store below the mounts; self.daemons serve it, one on each."""
        kind, template = storage.split(":")
        self.daemons = [harness.shared_daemon(auth=self.auth, takeover=1, storage="%s:%s/%s" % (kind, mount, template))
                        for mount in MOUNTS]
        user = Virtual(self.owner)
        box = os.path.join(MOUNTS[0], template.replace("%u", user.name))
        top, folder = os.path.join(MOUNTS[0], user.name), os.path.dirname(box)
        os.makedirs(folder)  # of an mbox: lock and journal are on the shared file system too, beside it
        os.chown(top, user.uid, user.gid)
        os.chown(folder, user.uid, user.gid)
        if kind == "mbox":
            mboxes.Mbox(box, user, folder).fill(MESSAGES)
        elif kind == "maildir":
            maildir = mailbox.Maildir(box, user.uid, user.gid)
            maildir.counter = 0
            maildir.make()
            maildir.fill(MESSAGES)
        else:
            os.mkdir(box)
            for i, message in enumerate(MESSAGES):
                with open(os.path.join(box, str(i)), "wb") as f:
                    f.write(message)
                os.chown(f.name, user.uid, user.gid)
            os.chown(box, user.uid, user.gid)
        return user

    def refused(self, user, daemon, kind=PLAIN):
        client = self.connect(kind, daemon)
        self.assertEqual(client.try_login(user), ELSEWHERE)
        client.quit()

    STORES = ("maildir:%u/Maildir", "dir:%u/letters", "mbox:%u/mail/inbox")

    def each_store(self):
        for storage in self.STORES:
            yield self.boxes(storage)


class Shared(Hosts):
    def test_LCK_01_LCK_04_one_session_between_two_hosts(self):
        for user in self.each_store():
            here, there = self.daemons
            for kind in self.each_kind((PLAIN, TLS)):
                holder = self.session(user, kind, here)
                self.refused(user, there, kind)
                time.sleep(1.2)  # takeover is set: it does not reach over
                self.refused(user, there)
                holder.ok(b"NOOP")
                holder.quit()
                holder = self.session(user, kind, there)
                self.refused(user, here, kind)
                self.assertEqual(len(holder.listing(b"LIST")), 3)
                holder.quit()

    def test_LCK_04_kill_of_the_holder(self):
        slowest = 0
        for user in self.each_store():
            here, there = self.daemons
            for kind in self.each_kind((PLAIN, TLS)):
                holder = self.session(user, kind, here)
                holder.ok(b"DELE 1")
                self.refused(user, there)
                pid = harness.wait_for(lambda: [p for p in [here.session_of(user)] if len(p) == 1])[0]
                begun = time.monotonic()
                os.kill(pid[0], signal.SIGKILL)
                client = self.session(user, kind, there)
                slowest = max(slowest, time.monotonic() - begun)
                self.assertEqual(len(client.listing(b"LIST")), 3)
                client.quit()
                holder.rest()
        self.note = "at most %.2f s from the kill to the login on the other host" % slowest

    def test_LCK_04_kill_of_the_whole_daemon(self):
        user = self.boxes(self.STORES[0])
        other = self.daemons[1]
        daemon = self.own_daemon(auth=self.auth, storage="maildir:%s/%%u/Maildir" % MOUNTS[0])
        daemon.may_leave = True
        self.session(user, PLAIN, daemon)
        self.refused(user, other)
        for pid, _ in daemon.processes():
            with contextlib.suppress(ProcessLookupError):  # the others end with the master
                os.kill(pid, signal.SIGKILL)
        self.session(user, PLAIN, other).quit()

    def test_LCK_01_takeover_on_the_own_host(self):
        for user in self.each_store():
            here, there = self.daemons
            old = self.session(user, PLAIN, here)
            time.sleep(1.1)
            self.refused(user, there)
            new = self.session(user, PLAIN, here)
            self.assertEqual(old.rest(), b"")
            self.refused(user, there)
            new.quit()
            here.log_fields("session-end", user=user.name, reason="takeover")

    def test_LCK_01_race_between_two_hosts(self):
        won = 0
        for user in self.each_store():
            for _ in range(ROUNDS):
                clients = [self.connect(PLAIN, daemon) for daemon in self.daemons for _ in range(2)]
                for client in clients:
                    client.ok(b"USER " + user.name_octets)
                barrier, answers = threading.Barrier(len(clients)), [None] * len(clients)

                def go(i):
                    barrier.wait()
                    answers[i] = clients[i].command(b"PASS " + user.password_octets)
                threads = [threading.Thread(target=go, args=(i,)) for i in range(len(clients))]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join()
                good = [c for c, a in zip(clients, answers) if a and a.startswith(b"+OK ")]
                self.assertLessEqual(len(good), 1, answers)
                self.assertEqual(sum(a is not None and a.startswith(b"-ERR [IN-USE] ") for a in answers),
                                 len(clients) - len(good), answers)
                won += len(good)
                for client in good:
                    client.quit()
                for client in clients:
                    client.close()
        self.note = "%d races, %d with a winner" % (len(self.STORES) * ROUNDS, won)
        self.assertGreater(won, 0)

    def test_LCK_06_delivery_from_the_other_host(self):
        user = self.boxes(self.STORES[0])
        here, there = self.daemons
        holder = self.session(user, PLAIN, here)
        maildir = mailbox.Maildir(os.path.join(MOUNTS[1], user.name, "Maildir"), user.uid, user.gid)
        maildir.counter = 100
        maildir.deliver(b"late\n")
        self.assertEqual(len(holder.listing(b"LIST")), 3)
        holder.quit()
        client = self.session(user, PLAIN, there)
        self.assertEqual(len(client.listing(b"LIST")), 4)
        client.quit()
