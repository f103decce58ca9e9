"""Deliveries all the time: nothing is lost, nothing comes twice, and a unique-id stands for one message."""

import contextlib
import itertools
import os
import re
import subprocess
import sys
import threading

import harness
import mailbox
import peers
from client import TestCase
from harness import have

NUMBER = re.compile(rb"X-Number: (\d+)\r\n")
COUNT = 1000


# Flags of one message after the other, with a pause of so many seconds behind each.
RENAMER = """
import os, sys, time
os.chdir(sys.argv[1])
pause = float(sys.argv[2])
names = sorted(os.listdir("."))
while True:
    for flags in ("", "F", "FS", "R", "S"):
        for i, name in enumerate(names):
            names[i] = name.split(":")[0] + ":2," + flags
            try:
                os.rename(name, names[i])
            except FileNotFoundError:  # it was deleted
                pass
            if pause:
                time.sleep(pause)
"""


def numbered(number):
    return b"From: a@example.org\nX-Number: %d\nSubject: delivery\n\n" % number + b".line\n" * (number % 50)


class Deliverer(threading.Thread):
    """One agent after the other, as many at a time as there are of these."""

    def __init__(self, user, agents, numbers):
        super().__init__(daemon=True)  # a test that fails does not wait for it
        self.user, self.agents, self.numbers, self.problem = user, agents, numbers, None
        self.start()

    def run(self):
        try:
            for agent, number in zip(self.agents, self.numbers):
                agent(self.user, numbered(number))
        except Exception as e:  # told by the test
            self.problem = e


class Collector:
    """A client that keeps what it has by unique-id, and deletes."""

    def __init__(self, test, user):
        self.test, self.user = test, user
        self.kept = {}  # unique-id -> number
        self.sessions = 0

    def session(self, leave):
        """Fetch what is new, delete what is there (half of it in every third session), and leave by QUIT or without."""
        client = self.test.session(self.user)
        self.sessions += 1
        listing = [line.split(b" ") for line in client.listing(b"UIDL")]
        self.test.assertEqual(len({uid for _, uid in listing}), len(listing), "a message listed twice")
        for n, uid in listing:
            known = uid in self.kept
            body = client.multi((b"TOP %s 0" if known else b"RETR %s") % n)
            number = int(NUMBER.search(body).group(1))
            if known:
                self.test.assertEqual(self.kept[uid], number, "one unique-id for two messages")
            else:
                self.test.assertEqual(body, mailbox.wire(numbered(number)))
                self.kept[uid] = number
        for n, _ in listing[::2] if self.sessions % 3 == 0 else listing:
            client.ok(b"DELE " + n)
        client.quit() if leave else client.reset()
        return len(listing)


class Deliveries(TestCase):
    limit = 300

    def agents(self, dovecot):
        agents = []
        if have("maildrop"):
            agents += [peers.maildrop, peers.deliverquota]
        if have("procmail"):
            agents += [peers.procmail]
        if dovecot:
            agents += [peers.dovecot_lda(dovecot)]
        if not agents:
            self.skipTest("no delivery agent")
        return agents

    def dovecot(self):
        """A Dovecot, or None where it cannot be had."""
        if peers.missing("dovecot"):
            return None
        dovecot = peers.Dovecot(peers.FAST)
        self.addCleanup(dovecot.stop)
        self.addCleanup(lambda: self.assertEqual(dovecot.complaints(), []))
        return dovecot

    def test_nothing_lost_nothing_doubled(self):
        user, dovecot = self.user(), self.dovecot()
        agents = self.agents(dovecot)
        changes = peers.Changes(dovecot.imap(user)) if dovecot else None
        collector, numbers = Collector(self, user), iter(range(COUNT))
        numbers_lock = threading.Lock()

        def each():
            while True:
                with numbers_lock:
                    number = next(numbers, None)
                if number is None:
                    return
                yield number
        threads = [Deliverer(user, itertools.cycle(agents[i:] + agents[:i]), each()) for i in range(3)]
        for turn in itertools.count():
            running = any(thread.is_alive() for thread in threads)
            found = collector.session(leave=turn % 5 != 4)
            if not running and not found:
                break
        for thread in threads:
            thread.join()
        flags = changes.stop() if changes else 0
        self.assertEqual([thread.problem for thread in threads], [None] * 3)
        self.assertEqual(sorted(collector.kept.values()), list(range(COUNT)))
        self.assertEqual(user.maildir.paths(), [])
        self.note = "%d messages by %d agents, %d sessions, %d changes of flags" % (COUNT, len(agents), collector.sessions, flags)

    def names(self, user):
        """The unique-ids there must be: base names."""
        return sorted(os.path.basename(path).split(":")[0].encode() for path in user.maildir.paths())

    def login(self, user, while_waiting):
        """A session's unique-ids; while_waiting() is done while its login is under way."""
        client = self.connect()
        client.ok(b"USER " + user.name_octets)
        client.send(b"PASS " + user.password_octets + b"\r\n")
        while_waiting()
        line = client.response()
        self.assertTrue(line.startswith(b"+OK "), line)
        uids = [line.split(b" ")[1] for line in client.listing(b"UIDL")]
        return client, uids

    def one_tick(self, user):
        """Mail comes before, during and after each login: every login sees what was there before it."""
        deliver = user.maildir.deliver
        late = [lambda: deliver(numbered(0)), lambda: deliver(numbered(0), "cur", "S"),
                lambda: [deliver(numbered(0)), deliver(numbered(0), "cur")], lambda: self.rename(user)]
        for turn in range(240):
            deliver(numbered(turn))
            deliver(numbered(turn), "cur" if turn % 2 else "new")
            want = self.names(user)
            client, uids = self.login(user, late[turn % len(late)])
            self.assertEqual(set(want) - set(uids), set(), "turn %d" % turn)
            client.quit()
            client, uids = self.login(user, lambda: None)
            self.assertEqual(sorted(uids), self.names(user), "turn %d" % turn)
            if turn % 12 == 11:
                for n in range(1, len(uids) + 1):
                    client.ok(b"DELE %d" % n)
                deliver(numbered(turn))
                client.quit()
                self.assertEqual(len(user.maildir.paths()), 1)
            else:
                client.quit()

    @staticmethod
    def rename(user):
        """Flags of one message, as an IMAP server sets them."""
        path = user.maildir.paths()[0]
        base = os.path.basename(path).split(":")[0]
        os.rename(path, os.path.join(user.maildir.path, "cur", base + ":2,FS"))

    def test_MDR_06_a_large_mailbox_renamed_all_the_time(self):
        # reading a large directory takes several calls, between which a name can go to where it was read already
        user = self.user(numbered(i) for i in range(3000))
        self.assertEqual(len(self.listing(user)), 3000)
        with self.renamer(user, 0):
            for turn in range(60):
                uids = self.listing(user)
                self.assertEqual((len(uids), len(set(uids))), (3000, 3000), "login %d" % turn)
        self.assertEqual(self.listing(user), uids)

    def test_MDR_05_a_few_messages_renamed_all_the_time(self):
        # the name that was looked up a moment ago is an old one already: it is looked up again
        user = self.user(numbered(i) for i in range(4))
        for path in user.maildir.paths():
            os.rename(path, os.path.join(user.maildir.path, "cur", os.path.basename(path).split(":")[0] + ":2,"))
        with self.renamer(user, 0.0001):
            for _ in range(30):
                client = self.session(user)
                for n in range(200):
                    self.assertEqual(client.multi(b"RETR %d" % (n % 4 + 1)), mailbox.wire(numbered(n % 4)))
                client.quit()
            client = self.session(user)
            for n in range(1, 4):
                client.ok(b"DELE %d" % n)
            client.quit()
        self.assertEqual(user.maildir.stored(), [numbered(3)])

    @contextlib.contextmanager
    def renamer(self, user, pause):
        """Flags in cur/ change while this lasts."""
        process = subprocess.Popen([sys.executable, "-c", RENAMER, os.path.join(user.maildir.path, "cur"), str(pause)])
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def listing(self, user):
        client, uids = self.login(user, lambda: None)
        client.quit()
        return uids

    def test_MDR_06_deliveries_and_logins_in_one_tick(self):
        # the directory's time stamps may be the same before and after a delivery
        self.one_tick(self.user())

    def test_MDR_06_time_stamps_in_seconds(self):
        # an old file system: many deliveries and logins have one time stamp
        image, folder = harness.world().path("image"), harness.world().path("coarse")
        os.mkdir(folder)
        with open(image, "wb") as f:
            f.truncate(32 << 20)
        for command in (["mkfs.ext4", "-q", "-I", "128", image], ["mount", "-o", "loop", image, folder]):
            made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if made.returncode != 0:
                self.skipTest("%s: %s" % (command[0], made.stdout.decode(errors="replace")))
        harness.world().registry.add("mount", folder)
        user = harness.User(home=os.path.join(folder, "home"))
        os.mkdir(user.home, 0o700)
        os.chown(user.home, user.uid, user.gid)
        user.maildir.make()
        self.one_tick(user)
