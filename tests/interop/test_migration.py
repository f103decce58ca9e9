"""From another server to ours, and back: each message keeps its unique-id and its place."""

import os

import mailbox
import peers
from client import TestCase
from control import Control
from harness import have

MESSAGES = mailbox.simple(4)


class Migration(TestCase):
    """A user's mailbox that changes hands."""

    peer = None  # its name

    @classmethod
    def setUpClass(cls):
        why = peers.missing(cls.peer)
        if why:
            cls.skipTest(cls, why)
        super().setUpClass()

    def ours(self, user):
        """The unique-ids that we tell, in order; each message is fetched, as a client does that sees it first."""
        client = self.session(user)
        listing = [line.split(b" ") for line in client.listing(b"UIDL")]
        self.assertEqual([int(n) for n, _ in listing], list(range(1, len(listing) + 1)))
        for n, _ in listing:
            client.multi(b"RETR " + n)
        client.quit()
        return [uid for _, uid in listing]

    def remove(self, user, *numbers):
        client = self.session(user)
        for n in numbers:
            client.ok(b"DELE %d" % n)
        client.quit()

    def take_over(self, user, source, theirs):
        """Take their unique-ids over; the listing that a client has saved says what that was good for."""
        control, saved = Control(self.daemon), os.path.join(user.home, "saved")
        with open(saved, "wb") as f:
            f.writelines(b"%d %s\n" % pair for pair in enumerate(theirs, 1))
        control.done("uidl", "import", "--from", source, "clear", user.name)
        answer = control.done("uidl", "verify", "clear", user.name, saved)
        self.assertIn("0 of %d messages would be fetched again" % len(theirs), answer)
        self.assertIn("the order is the same", answer)

    @staticmethod
    def out_of_order(user):
        """Messages whose names sort otherwise than they came, and one that was sent by an agent."""
        user.maildir.write("new", "7.early.test", b"From: a\n\nan early name, delivered late\n")
        user.maildir.write("cur", "1700000000.later.test:2,S", b"From: a\n\nlate\n")
        if have("maildrop"):
            peers.maildrop(user, b"From: a\n\nby maildrop\n")


class FromDovecot(Migration):
    peer = "dovecot"

    def served(self, user, dovecot):
        session = dovecot.pop3(user)
        uids = peers.uidl(session)
        session.quit()
        return uids

    def there_and_back(self, uidl_format, save):
        user = self.user(MESSAGES)
        dovecot = peers.Dovecot(peers.FAST + peers.uidl_format(uidl_format, save))
        try:
            self.served(user, dovecot)
            self.out_of_order(user)
            self.served(user, dovecot)
            peers.dovecot_lda(dovecot)(user, b"From: a\n\nby dovecot-lda\n")
            theirs = self.served(user, dovecot)
            self.take_over(user, "dovecot:" + uidl_format, theirs)
            self.assertEqual(self.ours(user), theirs)
            user.maildir.deliver(b"From: a\n\nwhile we serve\n")
            now = self.ours(user)
            self.assertEqual(now[:-1], theirs)
            self.remove(user, 2, 5)
            theirs = theirs[:1] + theirs[2:4] + theirs[5:]
            self.assertEqual(self.ours(user), theirs + now[-1:])
            again = self.served(user, dovecot)
            self.assertEqual(again[:-1], theirs)
            if uidl_format == "%f":
                self.assertEqual(again[-1:], now[-1:])
            self.assertEqual(self.ours(user), theirs + now[-1:])
            self.assertEqual(dovecot.complaints(), [])
        finally:
            dovecot.stop()

    def test_there_and_back(self):
        for uidl_format, save in (("%08Xu%08Xv", False), ("UID%u-%v", True), ("%f", True), ("%g", False), ("%Mf", False)):
            with self.subTest(uidl_format=uidl_format, save=save):
                self.there_and_back(uidl_format, save)

    def test_saved_unique_ids_outlive_a_change_of_format(self):
        # they are fields of dovecot-uidlist, whatever the format says now
        user = self.user(MESSAGES)
        for uidl_format in ("%v.%u", "%f"):
            dovecot = peers.Dovecot(peers.FAST + peers.uidl_format(uidl_format, save=True))
            theirs = self.served(user, dovecot)
            self.assertEqual(dovecot.complaints(), [])
            dovecot.stop()
            user.maildir.deliver(b"From: a\n\nbetween the two\n")
        self.remove_unknown(user)
        self.take_over(user, "dovecot:%f", theirs)
        self.assertEqual(self.ours(user), theirs)

    @staticmethod
    def remove_unknown(user):
        """What came after Dovecot's last look."""
        os.unlink(user.maildir.paths()[-1])


class FromCourier(Migration):
    peer = "courier"

    def served(self, user):
        session = peers.Courier(user)
        uids = peers.uidl(session)
        session.quit()
        return uids

    def test_there_and_back(self):
        user = self.user(MESSAGES)
        self.served(user)
        self.out_of_order(user)
        theirs = self.served(user)
        self.take_over(user, "courier", theirs)
        self.assertEqual(self.ours(user), theirs)
        user.maildir.deliver(b"From: a\n\nwhile we serve\n")
        now = self.ours(user)
        self.assertEqual(now[:-1], theirs)
        self.remove(user, 2, 5)
        theirs = theirs[:1] + theirs[2:4] + theirs[5:]
        self.assertEqual(self.ours(user), theirs + now[-1:])
        again = self.served(user)  # by name, so that what came meanwhile may stand anywhere
        self.assertEqual([uid for uid in again if uid in theirs], theirs)
        self.assertEqual(len(again), len(theirs) + 1)
        self.assertEqual(self.ours(user), theirs + now[-1:])
