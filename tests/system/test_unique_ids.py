"""CONFORMANCE group UID: UIDL."""

import os
import re

import harness
import mailbox
from client import Err, Ok, TestCase
from harness import PLAIN

MESSAGES = mailbox.simple(4)


class Uids(TestCase):
    def uids(self, user, end="quit", **options):
        client = self.session(user, **options)
        listing = client.listing(b"UIDL")
        out = {}
        for i, line in enumerate(listing, 1):
            found = re.fullmatch(rb"(\d+) ([\x21-\x7e]{1,70})", line)
            self.assertTrue(found, line)
            self.assertEqual(int(found.group(1)), i)
            out[i] = found.group(2)
        client.quit() if end == "quit" else client.reset()
        return out

    def test_UID_01_04_form(self):
        seen = []
        self.transcript([("UIDL", Ok(body=seen.append)), ("UIDL 2", Ok(rb"2 [\x21-\x7e]{1,70}")), ("UIDL 5", Err()), ("UIDL 0", Err()), ("DELE 2", Ok()),
                         ("UIDL 2", Err()), ("UIDL", Ok(body=lambda b: self.assertRegex(b, rb"\A1 \S+\r\n3 \S+\r\n4 \S+\r\n\Z"))), ("RSET", Ok())], MESSAGES)
        for body in seen:
            self.assertRegex(body, rb"\A(\d+ [\x21-\x7e]{1,70}\r\n){4}\Z")

    def test_UID_04_listing_and_single_answer_agree(self):
        user = self.user(MESSAGES)
        client = self.session(user)
        for line in client.listing(b"UIDL"):
            self.assertEqual(client.ok(b"UIDL " + line.split()[0]), b"+OK " + line)
        client.quit()

    def test_UID_02_same_in_every_session(self):
        user = self.user(MESSAGES)
        first = self.uids(user)
        self.assertEqual(self.uids(user, end="reset"), first)
        self.assertEqual(self.uids(user), first)
        for kind in self.each_kind():
            self.assertEqual(self.uids(user, kind=kind), first)

    def test_UID_02_new_to_cur_and_flags(self):
        user = self.user(MESSAGES)
        first = self.uids(user)
        for path in user.maildir.paths():
            base = os.path.basename(path).split(":")[0]
            os.rename(path, os.path.join(user.maildir.path, "cur", base + ":2,FS"))
        self.assertEqual(self.uids(user), first)
        for path in user.maildir.paths():
            os.rename(path, path.split(":")[0] + ":2,")
        self.assertEqual(self.uids(user), first)

    def test_UID_02_after_a_restart(self):
        user = self.user(MESSAGES)
        first = self.uids(user)
        daemon = self.own_daemon()
        self.assertEqual(self.uids(user, daemon=daemon), first)

    def test_UID_02_deleting_one_leaves_the_others(self):
        user = self.user(MESSAGES)
        first = self.uids(user)
        client = self.session(user)
        client.ok(b"DELE 2")
        client.quit()
        self.assertEqual(list(self.uids(user).values()), [first[1], first[3], first[4]])

    def test_UID_03_identical_copies_differ(self):
        user = self.user([MESSAGES[0]] * 5)
        self.assertEqual(len(set(self.uids(user).values())), 5)

    def test_UID_03_new_mail_never_has_an_old_uid(self):
        user = self.user(MESSAGES)
        seen = set(self.uids(user).values())
        client = self.session(user)
        for n in range(1, 5):
            client.ok(b"DELE %d" % n)
        client.quit()
        for message in MESSAGES:
            user.maildir.deliver(message)
        self.assertFalse(seen & set(self.uids(user).values()))

    def test_UID_05_base_name(self):
        user = self.user()
        user.maildir.write("cur", "1700000001.M1P1.host:2,S", b"a\n")
        user.maildir.write("new", "1700000002.V801I3f.host,S=2", b"b\n")
        user.maildir.write("cur", "1700000003." + "x" * 59 + ":2,", b"c\n")
        names = self.uids(user)
        self.assertEqual(names, {1: b"1700000001.M1P1.host", 2: b"1700000002.V801I3f.host,S=2", 3: b"1700000003." + b"x" * 59})

    def test_UID_05_odd_names_get_a_digest(self):
        user = self.user()
        names = [b"1700000001." + b"y" * 100, b"1700000002." + b"y" * 60, b"1700000003.with blank", b"1700000004.\xc3\xa9", b"1700000005.tab\there", b"1700000006.del\x7f",
                 b"1700000007.nl\nx", b"1700000008." + b"y" * 100, b"no-number-at-all", b"1700000009.normal"]
        for name in names:
            path = os.path.join(user.maildir.path.encode(), b"cur", name)
            with open(path, "wb") as f:
                f.write(b"same\n")
            os.chown(path, user.uid, user.gid)
        got = self.uids(user)
        self.assertEqual(len(got), len(names))
        self.assertEqual(len(set(got.values())), len(names))
        self.assertIn(b"1700000009.normal", got.values())
        self.assertEqual(self.uids(user), got)
        os.rename(os.path.join(user.maildir.path.encode(), b"cur", names[0]), os.path.join(user.maildir.path.encode(), b"cur", names[0] + b":2,S"))
        self.assertEqual(self.uids(user), got)

    def test_UID_02_no_index_can_be_written(self):
        # a mailbox on a full or read-only disk still has its uids
        user = self.user(MESSAGES)
        first = self.uids(user)
        os.chmod(user.maildir.path, 0o500)
        try:
            self.assertEqual(self.uids(user), first)
        finally:
            os.chmod(user.maildir.path, 0o700)
        self.assertTrue(harness.SANDBOX)
        self.assertEqual(self.uids(user, kind=PLAIN), first)
