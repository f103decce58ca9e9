"""Courier's POP3 server at work in the same Maildir."""

import os
import poplib

import mailbox
import peers
from client import TestCase
from harness import have

MESSAGES = mailbox.simple(6)


class CourierCase(TestCase):
    @classmethod
    def setUpClass(cls):
        why = peers.missing("courier")
        if why:
            cls.skipTest(cls, why)
        super().setUpClass()

    def listing(self, user):
        client = self.session(user)
        out = client.listing(b"UIDL")
        client.quit()
        return out


class Sessions(CourierCase):
    def test_MDR_05_UPD_04_its_session_beside_ours(self):
        for kind in self.each_kind():
            user = self.user()
            for message in MESSAGES:
                user.maildir.deliver(message)
            client = self.session(user, kind)
            uids = client.listing(b"UIDL")
            courier = peers.Courier(user)  # moves all of them to cur/
            self.assertEqual(b"\r\n".join(courier.retr(1)[1]) + b"\r\n", mailbox.plain(MESSAGES[0]))
            for n, message in enumerate(MESSAGES, 1):
                self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(message))
            courier.dele(2)
            courier.dele(3)
            courier.quit()
            self.assertRegex(client.command(b"RETR 2"), rb"\A-ERR \[SYS/TEMP\] ")
            for n in (3, 4):
                client.ok(b"DELE %d" % n)
            self.assertEqual(client.listing(b"UIDL"), [uids[i] for i in (0, 1, 4, 5)])
            client.quit()
            self.assertEqual(user.maildir.stored(), [MESSAGES[i] for i in (0, 4, 5)])

    def test_files_of_ours_do_not_disturb_it(self):
        user = self.user(MESSAGES)
        courier = peers.Courier(user)
        theirs = peers.uidl(courier)
        client = self.session(user)
        client.ok(b"DELE 3")
        client.quit()
        with self.assertRaises(poplib.error_proto):  # what we have removed
            courier.retr(3)
        courier.dele(4)
        courier.quit()
        self.assertEqual(user.maildir.stored(), [MESSAGES[i] for i in (0, 1, 4, 5)])
        courier = peers.Courier(user)
        self.assertEqual(peers.uidl(courier), [theirs[i] for i in (0, 1, 4, 5)])
        log = courier.quit()
        self.assertNotIn("ERR", log)
        self.assertEqual(len(self.listing(user)), 4)

    def test_MDR_09_one_maildirsize_for_all(self):
        if not have("maildrop"):
            self.skipTest("no maildrop")
        user = self.user()
        for octets in MESSAGES:
            peers.deliverquota(user, octets, ["1000000S"])
        sizes = sorted(os.path.getsize(path) for path in user.maildir.paths())
        self.assertEqual(peers.quota_used(user), (sum(sizes), 6))
        courier = peers.Courier(user)
        courier.dele(1)
        courier.quit()
        client = self.session(user)
        client.ok(b"DELE 1")
        client.quit()
        peers.deliverquota(user, MESSAGES[0])
        left = sum(os.path.getsize(path) for path in user.maildir.paths())
        self.assertEqual(peers.quota_used(user), (left, 5))
