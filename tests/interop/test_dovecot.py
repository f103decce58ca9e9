"""Dovecot at work in the same Maildir: IMAP clients, its delivery agent, its quota."""

import contextlib
import os
import threading

import mailbox
import peers
from client import TestCase
from peers import done

MESSAGES = mailbox.simple(5)


class DovecotCase(TestCase):
    """A Dovecot that all tests of the class share; whatever it complains of fails the test."""

    @classmethod
    def setUpClass(cls):
        why = peers.missing("dovecot")
        if why:
            cls.skipTest(cls, why)
        super().setUpClass()
        cls.dovecot = peers.Dovecot(peers.FAST + cls.more())
        cls.addClassCleanup(cls.dovecot.stop)

    @staticmethod
    def more():
        """Settings of the class."""
        return ""

    def setUp(self):
        super().setUp()
        self.addCleanup(lambda: self.assertEqual(self.dovecot.complaints(), []))

    def imap(self, user):
        connection = self.dovecot.imap(user)

        def leave():
            with contextlib.suppress(OSError):  # it may have logged out
                connection.shutdown()
        self.addCleanup(leave)
        return connection

    def listing(self, user):
        client = self.session(user)
        out = client.listing(b"UIDL")
        client.quit()
        return out


class Imap(DovecotCase):
    def test_MDR_05_flags_set_while_a_session_runs(self):
        for kind in self.each_kind():
            user = self.user()
            for message in MESSAGES:
                user.maildir.deliver(message)
            client = self.session(user, kind)
            client.multi(b"LIST")
            imap = self.imap(user)  # moves all of them to cur/
            done(imap.store("1:*", "+FLAGS", r"(\Seen \Answered)"))
            for n in range(1, 5):
                self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(MESSAGES[n - 1]))
            done(imap.store("1:*", "FLAGS", r"(\Flagged $Forwarded)"))
            self.assertEqual(client.multi(b"TOP 5 0"), mailbox.top(MESSAGES[4], 0))
            client.ok(b"DELE 1")
            client.ok(b"DELE 3")
            done(imap.store("1:*", "FLAGS", r"(\Draft \Deleted)"))
            client.quit()
            self.assertEqual(user.maildir.stored(), [MESSAGES[1], MESSAGES[3], MESSAGES[4]])
            done(imap.noop())
            self.assertEqual(done(imap.search(None, "ALL")), [b"1 2 3"])
            imap.logout()

    def test_UPD_04_TRX_07_expunged_while_a_session_runs(self):
        for kind in self.each_kind():
            user = self.user(MESSAGES)
            client = self.session(user, kind)
            listing, uids = client.multi(b"LIST"), client.multi(b"UIDL")
            imap = self.imap(user)
            done(imap.store("2:3", "+FLAGS", r"\Deleted"))
            client.ok(b"DELE 3")
            done(imap.expunge())
            self.assertRegex(client.command(b"RETR 2"), rb"\A-ERR \[SYS/TEMP\] ")
            self.assertRegex(client.command(b"TOP 2 1"), rb"\A-ERR \[SYS/TEMP\] ")
            client.ok(b"RSET")
            self.assertEqual((client.multi(b"LIST"), client.multi(b"UIDL")), (listing, uids))
            self.assertEqual(client.multi(b"RETR 4"), mailbox.wire(MESSAGES[3]))
            for n in (2, 3, 5):
                client.ok(b"DELE %d" % n)
            client.quit()
            self.assertEqual(user.maildir.stored(), [MESSAGES[0], MESSAGES[3]])
            imap.logout()

    def test_MDR_06_flags_changed_all_the_time(self):
        # no session misses a message, none fails to find one, and what it deletes is gone
        count = 200
        messages = mailbox.simple(3) + [mailbox.letter("n%d" % i, b"x\n" * i) for i in range(3, count)]
        user = self.user(messages)
        uids = self.listing(user)
        imap = self.imap(user)
        changes = peers.Changes(imap)
        try:
            for turn in range(40):
                client = self.session(user)
                self.assertEqual(client.listing(b"UIDL"), uids)
                for n in range(1 + turn, count, 17):
                    self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(messages[n - 1]))
                client.quit()
            client = self.session(user)
            for n in range(1, count, 2):
                client.ok(b"DELE %d" % n)
            client.quit()
        finally:
            count_of_changes = changes.stop()
        self.assertGreater(count_of_changes, 0)
        self.note = "%d renamings of each" % count_of_changes
        self.assertEqual(user.maildir.stored(), messages[1::2])
        left = [uid.split(b" ")[1] for uid in self.listing(user)]
        self.assertEqual(left, [uid.split(b" ")[1] for uid in uids[1::2]])

    def test_UPD_04_both_delete_at_once(self):
        # each of them removes what it finds, and neither fails for what the other was faster with
        messages = mailbox.simple(200)
        user = self.user(messages)
        client = self.session(user)
        for n in range(1, 201):
            client.ok(b"DELE %d" % n)
        imap = self.imap(user)
        done(imap.store("1:*", "+FLAGS", r"\Deleted"))
        expunge = threading.Thread(target=imap.expunge)
        expunge.start()
        client.quit()
        expunge.join()
        self.assertEqual(user.maildir.paths(), [])

    def test_filed_away_while_sessions_delete(self):
        # an IMAP client moves messages to a folder; each is there or was fetched by the client of ours, or both
        messages = {b"X-Number: %d" % i: mailbox.letter("f%d" % i, b"x\n" * i) for i in range(400)}
        user = self.user([number + b"\n" + octets for number, octets in messages.items()])
        imap = self.imap(user)
        done(imap.create("Filed"))
        moves = threading.Thread(target=self.move_all, args=(imap,))
        moves.start()
        fetched = set()
        while self.fetch_and_delete(user, fetched):
            pass
        moves.join()
        self.assertEqual(user.maildir.paths(), [])
        done(imap.select("Filed"))
        count = int(done(imap.status("Filed", "(MESSAGES)"))[0].rpartition(b" ")[2].rstrip(b")"))
        headers = done(imap.fetch("1:*", "(BODY[HEADER.FIELDS (X-Number)])")) if count else []
        filed = {part[1].split(b"\r\n")[0] for part in headers if isinstance(part, tuple)}
        self.assertEqual(fetched | filed, set(messages))
        self.note = "%d fetched, %d filed" % (len(fetched), len(filed))

    @staticmethod
    def move_all(imap):
        while done(imap.search(None, "ALL")) != [b""]:
            done(imap._simple_command("MOVE", "1:3", "Filed"))
            done(imap.noop())

    def fetch_and_delete(self, user, fetched):
        """One session; returns how many messages it saw."""
        client = self.session(user)
        count = len(client.listing(b"LIST"))
        for n in range(1, min(count, 20) + 1):
            response = client.command(b"RETR %d" % n)
            if response.startswith(b"+OK"):
                fetched.add(client.body().split(b"\r\n")[0])
                client.ok(b"DELE %d" % n)
            else:
                self.assertRegex(response, rb"\A-ERR \[SYS/TEMP\] ")
        client.quit()
        return count

    def test_UID_02_uids_outlive_what_dovecot_does(self):
        user = self.user(MESSAGES)
        uids = self.listing(user)
        imap = self.imap(user)
        done(imap.store("1:*", "FLAGS", r"(\Seen $Label1 $Label2)"))
        done(imap.create("Elsewhere"))
        done(imap.copy("1:2", "Elsewhere"))
        self.assertEqual(self.listing(user), uids)
        done(imap.append("INBOX", None, None, b"From: a@example.org\r\n\r\nappended\r\n"))
        self.assertEqual(self.listing(user)[:5], uids)
        done(imap.copy("1", "INBOX"))
        now = self.listing(user)
        self.assertEqual((now[:5], len({uid.split(b" ")[1] for uid in now})), (uids, 7))

    def test_files_of_ours_do_not_disturb_it(self):
        # it lists no folder, loses no message and keeps its own numbers whatever we write into the Maildir
        user = self.user(MESSAGES)
        imap = self.imap(user)
        numbers = done(imap.fetch("1:*", "(UID)"))
        before = set(os.listdir(user.maildir.path))
        client = self.session(user)
        client.multi(b"UIDL")
        client.multi(b"LIST")
        client.ok(b"DELE 5")
        client.quit()
        self.assertEqual({name for name in set(os.listdir(user.maildir.path)) - before if not name.startswith("pop3d-")}, set())
        imap.logout()
        imap = self.imap(user)
        self.assertEqual(done(imap.fetch("1:*", "(UID)")), numbers[:4])
        self.assertEqual([line.rsplit(b" ", 1)[1] for line in done(imap.list())], [b"INBOX"])

    def test_SIZ_06_sizes_of_what_dovecot_stored(self):
        # its names carry ,S= and ,W=; LIST tells the octets that RETR sends, for each of them
        user = self.user()
        imap = self.imap(user)
        for octets in (b"From: a\n\nx\n.\n..y", b"From: a\r\n\r\nx\r\n.\r\n", b"From: a\n\n\0nul\xff\r\r\n", b"From: b\n\n" + b"\n" * 5000):
            peers.dovecot_lda(self.dovecot)(user, octets.replace(b"\0", b"0"))
            done(imap.append("INBOX", None, None, octets.replace(b"\0", b"0")))
        client = self.session(user)
        sizes = [int(line.split(b" ")[1]) for line in client.listing(b"LIST")]
        stored = user.maildir.stored()
        self.assertTrue(all(",W=" in path for path in user.maildir.paths()), user.maildir.paths())
        self.assertEqual(sorted(sizes), sorted(mailbox.size(octets) for octets in stored))
        for n, octets in enumerate(sizes, 1):
            self.assertEqual(len(mailbox.unstuff(client.multi(b"RETR %d" % n))), octets)
        client.quit()


class Quota(DovecotCase):
    more = staticmethod(peers.quota)

    def asked(self, user):
        """Octets and limit in KiB as Dovecot tells its clients."""
        imap = self.imap(user)
        answer = done(imap.getquotaroot("INBOX"))[1][0]
        imap.logout()
        return answer

    def test_MDR_09_dovecot_reads_what_we_count(self):
        messages = [mailbox.letter("q%d" % i, b"0123456789abcde\n" * 640) for i in range(8)]
        user = self.user(messages)
        total = sum(map(len, messages))
        self.assertIn(b"STORAGE %d 1024" % -(-total // 1024), self.asked(user).replace(b"(", b""))
        self.assertEqual(peers.quota_used(user), (total, 8))
        for gone in range(1, 8):
            client = self.session(user)
            client.ok(b"DELE 1")
            client.quit()
            left = sum(map(len, messages[gone:]))
            self.assertEqual(peers.quota_used(user), (left, 8 - gone))
            self.assertRegex(self.asked(user), rb"STORAGE (%d|%d) 1024" % (left // 1024, -(-left // 1024)))

    def test_MDR_09_a_full_mailbox_takes_mail_again_after_a_deletion(self):
        message = mailbox.letter("full", b"0123456789abcde\n" * 3200)
        agents = [lambda user, octets: peers.deliverquota(user, octets, ["1048576S"]), peers.dovecot_lda(self.dovecot)]
        for agent in agents:
            user = self.user()
            with self.assertRaisesRegex(AssertionError, "(?i)quota"):
                for _ in range(40):
                    agent(user, message)
            count = len(user.maildir.paths())
            self.assertGreater(count, 15)
            client = self.session(user)
            client.ok(b"DELE 1")
            client.ok(b"DELE 2")
            client.quit()
            agent(user, message)
            self.assertEqual(len(user.maildir.paths()), count - 1)
            self.assertEqual(peers.quota_used(user)[1], count - 1)
