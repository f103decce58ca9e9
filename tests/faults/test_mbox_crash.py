"""A session killed at each system call of rewriting an mbox, while mail is delivered to it.

Afterwards no message may be lost, doubled or damaged.  Where mail can come:
while the session rewrites, and between its death and the next login.
"""

import os
import subprocess
import unittest

import harness
import mailbox
import mboxes
from client import Eof, TestCase
from test_update import Injected


def letters(lines):
    return [mailbox.letter("m%d" % i, b"line of message %d\n" % i * (i * lines)) for i in range(1, 11)]


MESSAGES = letters(37)
MARKED = (2, 4, 6, 8, 10)
KEPT = [m for i, m in enumerate(MESSAGES, 1) if i not in MARKED]
LATE = mailbox.letter("late", b"came late\n" * 50)


class Case(TestCase):
    """The filter stays on: a signal needs no other call than the program's own."""

    limit = 550
    messages, gone, kept = MESSAGES, MARKED, KEPT
    calls_at_least = 40  # in UPDATE

    def marked(self, user):
        client = self.session(user)
        for n in self.gone:
            client.ok(b"DELE %d" % n)
        # the session before may still be ending
        self.assertTrue(harness.wait_for(lambda: len(self.daemon.session_of(user)) == 1, 60))
        return client, self.daemon.session_of(user)[0]

    def quit_calls(self, user, box):
        """The system calls of a whole UPDATE, from the reading of QUIT on."""
        box.fill(self.messages)
        client, pid = self.marked(user)
        with Injected([pid], None) as trace:
            client.quit()
            harness.wait_for(lambda: harness.start_time(pid) is None, 10)
        return trace.sequence(pid)

    def quit_killed(self, client, pid, call, begin=None):
        """QUIT, with the session killed at a system call.  What it said, and whether it was killed."""
        with Injected([pid], "%s:signal=KILL:when=%d" % call) as trace:
            if begin:
                begin()
            try:
                client.send(b"QUIT\r\n")
                response = client.response()
            except (Eof, OSError):
                response = b""
            client.rest()
            client.close()
            harness.wait_for(lambda: harness.start_time(pid) is None, 10)
        return response, "killed by SIGKILL" in trace.calls()

    def check(self, user, box, said_ok, late):
        """What the next login shows, and what is in the file.  How many marked ones are left."""
        client = self.session(user)
        got = [mailbox.unstuff(client.multi(b"RETR %d" % n)) for n in range(1, len(client.listing(b"LIST")) + 1)]
        client.quit()
        stored = [mailbox.plain(m) for m in self.messages]
        kept = [mailbox.plain(m) for m in self.kept]
        texts = [m for m in got if m in stored]
        self.assertEqual([m for m in got if m not in stored], [mailbox.plain(LATE)] * late, "damaged, lost or doubled")
        self.assertEqual(len(set(texts)), len(texts), "a message is there twice")
        self.assertEqual([m for m in texts if m in kept], kept, "a message that was not marked is gone")
        self.assertEqual(texts, [m for m in stored if m in texts], "order")
        if said_ok:
            self.assertEqual(texts, kept, "+OK was said and a message is still there")
        self.assertEqual(box.leftovers(), [])
        return len(texts)

    def set_right(self, user):
        """The next login finishes what was cut off, and frees what an agent waits for."""
        self.session(user).quit()

    def walk(self, user, box, agent, between):
        """Kill at the first call, the second … of UPDATE."""
        seen, points = set(), 0
        for call in self.quit_calls(user, box):
            with self.subTest(call=call):
                box.fill(self.messages)
                client, pid = self.marked(user)
                delivery = []
                response, killed = self.quit_killed(client, pid, call, None if between else lambda: delivery.append(agent(box, LATE)))
                if between:
                    self.assertEqual(agent(box, LATE).wait(60), 0)
                self.set_right(user)
                for process in delivery:
                    self.assertEqual(process.wait(60), 0, "delivery failed")
                seen.add(self.check(user, box, response.startswith(b"+OK "), 1))
                points += killed
        # the walk really went through UPDATE: nothing removed, all removed, and nothing else
        self.assertEqual(seen, {len(self.messages), len(self.kept)})
        self.assertGreater(points, self.calls_at_least)
        return points

    def tell(self, points):
        self.note = "killed at each of %d system calls: nothing lost, doubled or damaged" % points


@unittest.skipUnless(harness.have("strace", "procmail"), "no strace or no procmail")
class OwnDirectory(Case):
    """In a directory of the user: dot-lock and fcntl; the lock that is left keeps delivery waiting."""

    settings = {"session_spares": 2, "storage": "mbox:%h/mail/inbox"}

    def test_MBX_04_UPD_08_procmail_while_rewriting(self):
        user = self.user()
        self.tell(self.walk(user, mboxes.home_box(user), mboxes.procmail, False))


@unittest.skipUnless(harness.have("strace", "procmail"), "no strace or no procmail")
class Spool(Case):
    """In a spool that the user may not write to: the fcntl lock only, which a kill frees."""

    settings = {"session_spares": 2, "storage": "mbox:%s/%%u" % mboxes.spool()}

    def test_MBX_04_UPD_08_procmail_before_the_next_login(self):
        user = self.user()
        self.tell(self.walk(user, mboxes.spool_box(user), mboxes.procmail, True))


@unittest.skipUnless(harness.have("strace", "maildrop"), "no strace or no maildrop")
class SpoolMaildrop(Case):
    settings = Spool.settings

    def test_MBX_04_UPD_08_maildrop_while_rewriting(self):
        user = self.user()
        self.tell(self.walk(user, mboxes.spool_box(user), mboxes.maildrop, False))


@unittest.skipUnless(harness.have("strace", "procmail"), "no strace or no procmail")
class AtTheEnd(Case):
    """What is removed stands at the end of the file, which is cut off there without a journal."""

    settings = Spool.settings
    gone, kept = (8, 9, 10), MESSAGES[:7]
    calls_at_least = 15

    def test_MBX_04_UPD_08_mail_that_comes_before_the_next_login(self):
        user = self.user()
        self.tell(self.walk(user, mboxes.spool_box(user), mboxes.procmail, True))

    def test_MBX_04_UPD_08_mail_that_comes_meanwhile(self):
        user = self.user()
        self.tell(self.walk(user, mboxes.spool_box(user), mboxes.procmail, False))


@unittest.skipUnless(harness.have("strace", "procmail"), "no strace or no procmail")
class All(Case):
    """Every message is removed, which leaves an empty file."""

    settings = OwnDirectory.settings
    gone, kept = tuple(range(1, 11)), []
    calls_at_least = 15

    def test_MBX_04_UPD_08_procmail_while_rewriting(self):
        user = self.user()
        self.tell(self.walk(user, mboxes.home_box(user), mboxes.procmail, False))


class FullCase(Case):
    def mount(self, user, options):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", user.home], stderr=subprocess.DEVNULL).returncode == 0

    def full_user(self, files):
        """A user in whose home so many files and directories can be made."""
        user = self.user()
        if not self.mount(user, "mode=700,uid=%d,gid=%d,nr_inodes=%d" % (user.uid, user.gid, files + 1)):
            self.skipTest("cannot mount a tmpfs")
        harness.world().registry.add("mount", user.home)
        self.addCleanup(subprocess.run, ["umount", "-l", user.home])
        return user


@unittest.skipUnless(harness.have("strace", "procmail"), "no strace or no procmail")
class Elsewhere(FullCase):
    """There is no room for a lock file, and the journal goes where mbox_journal says."""

    settings = dict(Spool.settings, mbox_journal=mboxes.journals())

    def test_MBX_04_UPD_08_mail_that_comes_before_the_next_login(self):
        user = self.full_user(0)
        box = mboxes.spool_box(user, mboxes.journals())
        self.tell(self.walk(user, box, mboxes.procmail, True))
        self.assertEqual(os.listdir(user.home), [])
        self.assertTrue(os.path.isdir(box.spare))


@unittest.skipUnless(harness.have("strace", "procmail"), "no strace or no procmail")
class Reserve(FullCase):
    """The journal has room in place of the reserve only; mail that comes needs none in it."""

    settings = Spool.settings
    FILES = 4  # .pop3d, and in it lock, history and reserve

    def marked(self, user):
        self.assertTrue(self.mount(user, "remount,nr_inodes=%d" % (self.FILES + 1)))
        return super().marked(user)

    def test_MBX_04_UPD_08_mail_that_comes_before_the_next_login(self):
        user = self.full_user(self.FILES)
        box = mboxes.spool_box(user)
        self.quit_calls(user, box)
        self.assertNotIn("mbox.reserve", os.listdir(box.state), "it was not needed")
        self.tell(self.walk(user, box, mboxes.procmail, True))


@unittest.skipUnless(harness.have("strace", "procmail"), "no strace or no procmail")
class Portions(Reserve):
    """The reserve has room for a part of what is to move only, which therefore moves in portions."""

    messages = letters(100)
    gone, kept = (1,), messages[1:]
    calls_at_least = 60
