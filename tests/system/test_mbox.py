"""mbox: CONFORMANCE section 21, and what other sections ask of every store."""

import fcntl
import hashlib
import os
import shutil
import signal
import threading
import time
import unittest

import control
import harness
import mailbox
import mboxes
import test_userfile
from client import Ok, TestCase
from harness import PLAIN, TLS

FROM = mboxes.FROM % 0

# From_ lines that programs have been seen to write, each without its end.
DATES = [b"From " + line for line in (
    b"a@example.org Mon Jan  2 10:00:00 2023",
    b"- Mon Jan 02 10:00:00 2023",
    b"a@example.org Mon Jan  2 10:00:00 CET 2023",
    b"a@example.org Mon Jan  2 10:00:00 2023 +0100",
    b"a@example.org Mon, 2 Jan 2023 10:00:00 +0100",
    b"a!b Mon Jan  2 10:00 2023 remote from c",
    b"- Sat Apr 12 2025 15:59:28",
    b"- Sat Apr 12 2025 15:59:28 GMT+0200 (CEST)",
    b"a@example.org 2 Jan 2023 10:00:00 +0100",
    b"a@example.org 2023-01-02 10:00:00",
    b"a@example.org 2023-01-02T10:00:00Z",
    b"a@example.org 02-Jan-2023 10:00:00 +0100",
    b"a@example.org Mon Jan  2 10:00:00 97",
    b"a@example.org Mo Jan  2 10:00:00 2023",
    b"a at example.org  1/2/2023, 10:00:00 AM",
    b"???@???",
    b"- ",
    b"")]

# What programs write into the messages of an mbox, before and after the user did something.
NOTES = {
    "none": (b"",),
    "alpine": (b"Status: O\nX-Status: \nX-Keywords: \nX-UID: 1\n", b"Status: RO\nX-Status: A\nX-Keywords: a\n b\nX-UID: 1\n"),
    "mutt": (b"Status: O\nContent-Length: 9\nLines: 1\n", b"X-Label: later\n"),
    "Thunderbird": (b"X-Account-Key: account1\nX-UIDL: 17\nX-Mozilla-Status: 0000\nX-Mozilla-Status2: 00000000\nX-Mozilla-Keys:     \n",
                    b"X-Mozilla-Status: 0001\nX-Mozilla-Status2: 10000000\nX-Mozilla-Keys: $label1\n"),
    "Evolution": (b"X-Evolution-Source: pop://a@b\nX-Evolution: 0000001a-0010\n", b"X-Evolution: 0000001a-0011\n"),
    "KMail": (b"X-KMail-EncryptionState: N\nX-KMail-SignatureState: N\nX-KMail-MDN-Sent: \nX-Length: 77\nX-UID: 5\n",
              b"X-KMail-MDN-Sent: I\nX-KMail-Tag: t\n"),
    "Claws Mail, Sylpheed": (b"X-Claws-Account-Id: 1\nX-Sylpheed-Account-Id: 1\n", b"X-LibEtPan-UID: 3\n"),
    "Emacs": (b"X-VM-v5-Data: ([nil t]\n\t[\"9\"])\nX-VM-Labels: nil\n", b"X-RMAIL-ATTRIBUTES: -------U\nX-RMAIL-KEYWORDS: a\n",
              b"X-Gnus-Newsgroup: mail:17   Mon Jan  2\nX-Gnus-Article-Number: 17\n"),
    "Opera": (b"X-Opera-Status: 00\nX-Opera-Location: a\n",),
}


class Spool(TestCase):
    """A file in a spool that the user may not make files in."""

    settings = {"storage": "mbox:%s/%%u" % mboxes.spool()}

    def box(self, user, messages=()):
        return mboxes.spool_box(user).fill(messages)

    def texts(self, user, kind=PLAIN):
        client = self.session(user, kind)
        out = [client.multi(b"RETR %d" % n) for n in range(1, len(client.listing(b"LIST")) + 1)]
        client.quit()
        return out

    def test_MBX_05_where_messages_begin_and_end(self):
        user = self.user()
        box = self.box(user)
        for stored, want in (
                (b"", []),
                (FROM + b"A: b\n\nx\n\n" + FROM + b"\n", [b"A: b\r\n\r\nx\r\n", b""]),
                (FROM + b"A: b\n\nx\n\n\n\n" + FROM + b"y", [b"A: b\r\n\r\nx\r\n\r\n\r\n", b"y\r\n"]),
                (FROM + b"A: b\n\nx\n" + FROM + b"\nFrom me to you\n", [b"A: b\r\n\r\nx\r\n" + FROM[:-1] + b"\r\n\r\nFrom me to you\r\n"]),
                ((FROM + b"A: b\n\nx\n\n" + FROM + b"C: d\n\n").replace(b"\n", b"\r\n"), [b"A: b\r\n\r\nx\r\n", b"C: d\r\n"]),
                (FROM + b"\n>From x\n>>From y\n>Fromage\n.dot\n\n", [b"\r\nFrom x\r\n>From y\r\n>Fromage\r\n..dot\r\n"]),
                (FROM + b"Content-Length: 70\n\nx\n\n" + FROM + b"\ny\n\n", [b"\r\nx\r\n", b"\r\ny\r\n"])):
            box.write(stored)
            for kind in self.each_kind((PLAIN, TLS)):
                self.assertEqual(self.texts(user, kind), want)
            self.assertEqual(box.stored(), stored)

    def test_MBX_07_SIZ_08_sizes_are_those_of_what_is_sent(self):
        messages = [b"A: b\nStatus: RO\n\n" + m.replace(b"\r", b"").replace(b"\0", b"From ") + b"\n" for m in mailbox.random_files(100, 9)]
        messages += [b"A: b\n\n" + m.replace(b"\r\n", b"\n") for m in mailbox.edges()]
        user = self.user()
        self.box(user, messages)
        client = self.session(user)
        sizes = [int(line.split()[1]) for line in client.listing(b"LIST")]
        self.assertEqual(len(sizes), len(messages))
        for n, (octets, stored) in enumerate(zip(sizes, messages), 1):
            body = mailbox.unstuff(client.multi(b"RETR %d" % n))
            self.assertEqual(len(body), octets)
            text = stored.replace(b"Status: RO\n", b"")
            self.assertEqual(body, mailbox.plain(text))
        self.assertEqual(client.ok(b"STAT"), b"+OK %d %d" % (len(sizes), sum(sizes)))
        client.quit()

    def test_MBX_08_metadata_is_hidden_everywhere(self):
        user = self.user()
        box = self.box(user)
        shown = b"A: b\r\nC: d\r\n e\r\n\r\nStatus: x\r\n"
        seen = set()
        for notes in (b"", b"Status: RO\n", b"X-Keywords: a\n b\nstatus: O\nX-UID: 7\nContent-Length: 9\nX-Status: F\n"):
            box.write(FROM + b"A: b\n" + notes + b"C: d\n e\n\nStatus: x\n\n")
            client = self.session(user)
            self.assertEqual(client.multi(b"RETR 1"), shown)
            self.assertEqual(client.multi(b"TOP 1 0"), b"A: b\r\nC: d\r\n e\r\n\r\n")
            self.assertEqual(client.ok(b"LIST 1"), b"+OK 1 %d" % len(shown))
            seen.add(client.ok(b"UIDL 1"))
            client.quit()
        self.assertEqual(len(seen), 1, "UID-06")

    def test_MBX_05_dates_that_programs_write(self):
        user = self.user()
        box = self.box(user)
        for line in DATES:
            for first in (FROM[:-1], line):
                for end in (b"\n", b"\r\n"):
                    with self.subTest(line=line, first=first, end=end):
                        stored = end.join((first, b"A: b", b"", b"x", b"", line, b"X-Mozilla-Status: 0001", b"C: d", b"", b"y", b"", b""))
                        box.write(stored)
                        self.assertEqual(self.texts(user), [b"A: b\r\n\r\nx\r\n", b"C: d\r\n\r\ny\r\n"])

    def test_MBX_04_MBX_05_deleted_behind_such_a_date(self):
        user = self.user()
        parts = [line + b"\nN: %d\n\nx\n\n" % n for n, line in enumerate(DATES)]
        box = mboxes.spool_box(user).write(b"".join(parts))
        client = self.session(user)
        for n in range(1, len(parts), 2):
            client.ok(b"DELE %d" % (n + 1))
        client.quit()
        self.assertEqual(box.stored(), b"".join(parts[::2]))

    def test_MBX_05_text_that_looks_like_a_beginning(self):
        user = self.user()
        for text, alike in (
                (b"\nFrom here on\n", 1),
                (b"\nFrom 10:30 on, in 2023\nit was so\n", 1),  # no header behind it
                (b"\nFrom a@example.org\n\nSubject: x\n", 1),
                (FROM, 1),  # no blank line before it
                (b"From - Sat Apr 12 2025 15:59:28\nA: b\n", 0),
                (b"\nFrom Alice\nTo: Bob\n\nFrom\nFromage\n>From x\n", 1)):
            with self.subTest(text):
                mboxes.spool_box(user).write(FROM + b"A: b\n\nx\n" + text + b"\n")
                start = len(self.daemon.log())
                shown = text.replace(b"\n>From", b"\nFrom").replace(b"\n", b"\r\n")
                self.assertEqual(self.texts(user), [b"A: b\r\n\r\nx\r\n" + shown])
                self.daemon.log_wait("session-end .*user=%s " % user.name, since=start)
                told = "%d lines begin with" % alike in self.daemon.log()[start:]
                self.assertEqual(told, alike > 0)

    def test_MBX_05_blank_lines_at_the_start(self):
        user = self.user()
        for blank in (b"\n", b"\r\n\r\n", b"\n" * 70000):
            box = mboxes.spool_box(user).write(blank + mboxes.block(b"A: b\n\nx\n") + mboxes.block(b"C: d\n\ny\n"))
            client = self.session(user)
            self.assertEqual(client.multi(b"RETR 1"), b"A: b\r\n\r\nx\r\n")
            client.ok(b"DELE 1")
            client.quit()
            self.assertEqual(box.stored(), mboxes.block(b"C: d\n\ny\n"))
            box.write(blank)
            self.assertEqual(self.texts(user), [])

    def test_MBX_08_UID_06_what_mail_readers_write(self):
        user = self.user()
        box = self.box(user)
        shown = b"A: b\r\nC: d\r\n\r\nX-UIDL: x\r\n"
        seen = set()
        for program, notes in NOTES.items():
            for text in notes:
                with self.subTest(program, text=text):
                    box.write(FROM + text + b"A: b\n" + text + b"C: d\n\nX-UIDL: x\n\n")
                    client = self.session(user)
                    self.assertEqual(client.multi(b"RETR 1"), shown)
                    self.assertEqual(client.ok(b"LIST 1"), b"+OK 1 %d" % len(shown))
                    seen.add(client.ok(b"UIDL 1"))
                    client.quit()
        self.assertEqual(len(seen), 1)

    def test_MBX_08_marked_in_a_session(self):
        """A mail reader writes over its fields of fixed width while the client is connected."""
        user = self.user()
        stored = b"".join(b"From - Mon Jan  2 10:00:%02d 2023\r\nX-Mozilla-Status: 0000\r\nX-Mozilla-Status2: 00000000\r\n"
                          b"X-Mozilla-Keys:      \r\nN: %d\r\n\r\nx\r\n\r\n" % (n, n) for n in range(3))
        box = mboxes.spool_box(user).write(stored)
        client = self.session(user)
        with open(box.path, "r+b") as f:
            f.write(stored.replace(b"Status: 0000", b"Status: 0001"))
        self.assertEqual(client.multi(b"RETR 2"), b"N: 1\r\n\r\nx\r\n")
        client.ok(b"DELE 1")
        client.quit()
        self.assertEqual(box.stored().count(b"X-Mozilla-Status: 0001"), 2)

    @harness.needs_root
    @unittest.skipUnless(shutil.which("mutt"), "no mutt")
    def test_MBX_08_UID_06_marked_by_mutt(self):
        user = self.user()
        box = mboxes.home_box(user).fill(mailbox.simple(3))
        daemon = self.own_daemon(storage="mbox:%h/mail/inbox")
        seen = []
        for _ in range(2):
            client = self.session(user, daemon=daemon)
            seen.append((client.listing(b"UIDL"), client.listing(b"LIST"), client.multi(b"RETR 2")))
            client.quit()
            mboxes.mutt(box, "<flag-message><next-entry><display-message><exit><sync-mailbox><quit>")
        self.assertIn(b"\nLines: ", box.stored())
        self.assertEqual(seen[1], seen[0])

    def test_MBX_08_marked_as_deleted_by_a_mail_reader(self):
        """The server does not judge: the folder has not been compacted, and the message is there."""
        user = self.user()
        mboxes.spool_box(user).write(FROM + b"X-Mozilla-Status: 0009\nA: b\n\nx\n\n")
        self.assertEqual(self.texts(user), [b"A: b\r\n\r\nx\r\n"])

    def test_MBX_08_folder_internal_data(self):
        data = b"From MAILER-DAEMON Mon Jan  2 10:00:00 2023\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n" \
               b"X-IMAP: 1672653600 0000000002\nStatus: RO\n\nThis text is part of the internal format of your mail folder.\n\n"
        user = self.user()
        first, second = mboxes.block(b"A: b\n\nx\n"), mboxes.block(b"A: c\n\ny\n")
        box = mboxes.spool_box(user).write(data + first + second)
        client = self.session(user)
        self.assertEqual(client.ok(b"STAT"), b"+OK 2 22")
        client.ok(b"DELE 1")
        client.quit()
        self.assertEqual(box.stored(), data + second)

    def test_MBX_09_what_is_no_mbox_is_left_alone(self):
        user = self.user()
        box = mboxes.spool_box(user)
        for stored in (b"\n text\n\n" + FROM, b"text\n", b"From here on\n\n", b"\0" * 1000):
            box.write(stored)
            self.assertRegex(self.connect().try_login(user), rb"\A-ERR \[SYS/PERM\] ")
            self.assertEqual(box.stored(), stored)
        box.remove()
        self.transcript([("STAT", Ok(b"0 0")), ("UIDL", Ok(body=b""))], user=user)
        os.mkdir(box.path)
        self.assertRegex(self.connect().try_login(user), rb"\A-ERR \[SYS/PERM\] ")
        os.rmdir(box.path)

    def test_UID_02_UID_06_ids_survive_rewriting_and_new_mail(self):
        messages = mailbox.simple(4) + mailbox.simple(2)[1:]  # the second one twice
        user = self.user()
        box = self.box(user, messages)
        client = self.session(user)
        before = [line.split()[1] for line in client.listing(b"UIDL")]
        self.assertEqual(len(set(before)), 5)
        client.ok(b"DELE 1")
        client.ok(b"DELE 3")
        with open(box.path, "ab") as f:
            f.write(mboxes.block(b"N: ew\n\nx\n"))
        client.quit()
        client = self.session(user)
        after = [line.split()[1] for line in client.listing(b"UIDL")]
        self.assertEqual(after[:3], [before[1], before[3], before[4]])
        client.quit()

    def test_MBX_04_UPD_08_rewriting(self):
        messages = [mailbox.letter("m%d" % i, b"From %d\n" % i * i * 900) for i in range(1, 9)]
        blocks = [mboxes.block(m, i % 60) for i, m in enumerate(messages)]
        user = self.user()
        for marked in ((1,), (8,), (1, 2, 3, 4, 5, 6, 7, 8), (2, 4, 6, 8), (1, 3, 5, 7), (4, 5)):
            box = self.box(user, messages)
            os.utime(box.path, ns=(1700000000123456789, 1700000001123456789))
            before = os.stat(box.path)
            client = self.session(user)
            for n in marked:
                client.ok(b"DELE %d" % n)
            client.quit()
            after = os.stat(box.path)
            self.assertEqual(box.stored(), b"".join(b for i, b in enumerate(blocks, 1) if i not in marked))
            for field in ("st_ino", "st_uid", "st_gid", "st_mode"):
                self.assertEqual(getattr(before, field), getattr(after, field), field)
            self.assertGreater(after.st_mtime_ns, before.st_mtime_ns, "another host would not see the change")
            self.assertEqual(box.leftovers(), [])

    @unittest.skipUnless(harness.have("procmail"), "no procmail")
    def test_MBX_02_LCK_06_delivery_in_the_session(self):
        user = self.user()
        box = self.box(user, mailbox.simple(3))
        client = self.session(user)
        client.ok(b"DELE 2")
        began = time.monotonic()
        self.assertEqual(mboxes.procmail(box, b"N: ew\n\nx\n").wait(20), 0)
        self.assertLess(time.monotonic() - began, 5, "delivery had to wait for the session")
        self.assertTrue(client.ok(b"STAT").startswith(b"+OK 2 "))  # TRX-02
        self.assertEqual(mailbox.unstuff(client.multi(b"RETR 3")), mailbox.plain(mailbox.simple(3)[2]))
        client.quit()
        self.assertEqual([mailbox.unstuff(t) for t in self.texts(user)],
                         [mailbox.plain(m) for m in (mailbox.simple(3)[0], mailbox.simple(3)[2], b"N: ew\n\nx\n")])

    def test_MBX_03_TRX_07_another_program_rewrites_it(self):
        user = self.user()
        box = self.box(user, mailbox.simple(3))
        client = self.session(user)
        sizes = client.multi(b"LIST")
        client.ok(b"DELE 1")
        now = b"".join(mboxes.block(m) for m in mailbox.simple(3)[1:])
        with open(box.path, "r+b") as f:
            f.truncate(0)
            f.write(now)
        self.assertRegex(client.command(b"RETR 2"), rb"\A-ERR \[SYS/TEMP\] ")
        client.ok(b"RSET")
        self.assertEqual(client.multi(b"LIST"), sizes)
        client.ok(b"DELE 1")
        self.assertRegex(client.command(b"QUIT"), rb"\A-ERR \[SYS/TEMP\] ")
        self.assertEqual(box.stored(), now)

    def test_MBX_01_LCK_04_fcntl_lock_of_others(self):
        user = self.user()
        box = self.box(user, mailbox.simple(1))
        with open(box.path, "r+b") as f:
            fcntl.lockf(f, fcntl.LOCK_EX)
            client = self.connect()
            client.ok(b"USER " + user.name_octets)
            client.send(b"PASS " + user.password_octets + b"\r\n")

            def waits():
                rows = control.Control(self.daemon).json("top", "--once")
                return [row["waiting"] for row in rows if row["user"] == user.name]
            self.assertTrue(harness.wait_for(lambda: waits() == ["lock"], 10), waits())
            fcntl.lockf(f, fcntl.LOCK_UN)
            self.assertRegex(client.response(), rb"\A\+OK ")
        client.quit()

    @harness.needs_root
    def test_MBX_01_a_dot_lock_of_others_counts(self):
        user = self.user()
        box = self.box(user, mailbox.simple(1))
        with open(box.path + ".lock", "w"):
            pass
        threading.Timer(1, lambda: os.unlink(box.path + ".lock")).start()
        began = time.monotonic()
        self.session(user).quit()
        self.assertGreater(time.monotonic() - began, 0.8, "it did not wait for the lock")
        self.daemon.log_wait("no dot-lock .*locked by fcntl alone")

    def test_LCK_01_LCK_07_one_session_whatever_its_name(self):
        user = self.user()
        box = self.box(user, mailbox.simple(1))
        daemon = self.own_daemon(storage="mbox:%h/alias")
        os.symlink(box.path, os.path.join(user.home, "alias"))
        first = self.session(user)
        self.assertRegex(self.connect().try_login(user), rb"\A-ERR \[IN-USE\] ")
        self.assertRegex(self.connect(daemon=daemon).try_login(user), rb"\A-ERR \[IN-USE\] ")
        first.quit()
        self.session(user, daemon=daemon).quit()
        os.unlink(os.path.join(user.home, "alias"))

    def test_RSP_08_UPD_08_more_messages_than_memory(self):
        """One whose table goes to the disk fits; one for which no file can be made does not."""
        user, daemon = self.user(), self.own_daemon(storage=self.settings["storage"], session_memory=16)
        box, count, tiny = mboxes.spool_box(user), 250000, FROM + b"\n" + b"%d\n\n"
        box.write(b"".join(tiny % n for n in range(count)))
        client = self.session(user, daemon=daemon)
        self.assertEqual(len(set(line.split()[1] for line in client.listing(b"UIDL"))), count)
        client.ok(b"DELE 2")
        client.quit()
        stored = box.stored()
        self.assertEqual(stored.count(b"\nFrom ") + 1, count - 1)
        os.chmod(box.path, 0o400)
        self.assertRegex(self.connect(daemon=daemon).try_login(user), rb"\A-ERR \[SYS/PERM\] ")
        daemon.log_wait(r"mbox .*: no memory \(session_memory\)")
        self.assertEqual(box.stored(), stored)

    def test_MBX_04_UID_03_SIZ_01_many_messages(self):
        """More than a page of the table; where the user may not write there is no file for it."""
        user = self.user()
        messages = [b"N: %d\n\n" % n + b"x" * (n % 7) + b"\n" for n in range(9000)]
        messages += messages[:3] + messages[4095:4098] + messages[8999:]
        box = self.box(user, messages)
        wire = [mailbox.plain(m) for m in messages]

        def look(want, wire):
            client = self.session(user)
            self.assertEqual([int(line.split()[1]) for line in client.listing(b"LIST")], [len(m) for m in wire])
            uids = [line.split()[1] for line in client.listing(b"UIDL")]
            self.assertEqual(len(set(uids)), len(wire))
            self.assertEqual(uids, want or uids)
            for n in (1, len(wire), 4096, 2, 4097, len(wire) // 2, 1):
                self.assertEqual(mailbox.unstuff(client.multi(b"RETR %d" % n)), wire[n - 1])
                self.assertEqual(client.ok(b"UIDL %d" % n).split()[2], uids[n - 1])
            return client, uids

        client, uids = look(None, wire)
        client.quit()
        os.chmod(box.path, 0o400)
        look(uids, wire)[0].quit()
        os.chmod(box.path, 0o600)
        client, _ = look(uids, wire)
        numbers = range(1, len(wire) + 1, 2)
        for first in range(0, len(numbers), 500):
            some = numbers[first:first + 500]
            client.send(b"".join(b"DELE %d\r\n" % n for n in some))
            for _ in some:
                self.assertRegex(client.response(), rb"\A\+OK ")
        client.quit()
        self.assertEqual(box.stored(), b"".join(mboxes.block(m, i % 60) for i, m in enumerate(messages) if i % 2))
        look(uids[1::2], wire[1::2])[0].quit()
        self.assertEqual(box.leftovers(), [])
        self.assertEqual([name for name in os.listdir(box.state) if "rows" in name], [])

    @harness.needs_root
    def test_MBX_10_what_another_user_has_put_there(self):
        user, other = self.user(), self.user()
        box = self.box(user, mailbox.simple(2))
        own = mboxes.home_box(user).fill(mailbox.simple(3))

        def refused(why):
            self.assertRegex(self.connect().try_login(user), rb"\A-ERR \[SYS/PERM\] ")
            self.daemon.log_wait(why)

        with self.subTest("his link to a file of the user's"):
            os.rename(box.path, box.path + ".kept")
            os.symlink(own.path, box.path)
            os.lchown(box.path, other.uid, other.gid)
            refused("the link %s has owner %d" % (box.path, other.uid))
        for owner in (user.uid, 0):
            with self.subTest("a link of the user's or of root's", owner=owner):
                os.lchown(box.path, owner, owner)
                client = self.session(user)
                self.assertEqual(len(client.listing(b"LIST")), 3)
                client.quit()
        os.unlink(box.path)
        os.rename(box.path + ".kept", box.path)
        with self.subTest("his file"):
            os.chmod(box.path, 0o644)
            os.chown(box.path, other.uid, other.gid)
            refused("mbox .*: %s has owner %d" % (box.path, other.uid))
        own.remove()

    @harness.needs_root
    def test_MBX_10_a_link_on_the_way(self):
        user, other = self.user(), self.user()
        own = mboxes.home_box(user).fill(mailbox.simple(3))
        daemon = self.own_daemon(storage="mbox:%h/way/inbox")
        way = os.path.join(user.home, "way")
        os.symlink("mail/../mail/", way)
        os.lchown(way, other.uid, other.gid)
        self.assertRegex(self.connect(daemon=daemon).try_login(user), rb"\A-ERR \[SYS/PERM\] ")
        os.lchown(way, user.uid, user.gid)
        client = self.session(user, daemon=daemon)
        self.assertEqual(len(client.listing(b"LIST")), 3)
        client.quit()
        os.unlink(way)
        own.remove()

    def test_MBX_09_one_that_may_only_be_read(self):
        user = self.user()
        box = self.box(user, mailbox.simple(2))
        os.chmod(box.path, 0o440)
        client = self.session(user)
        self.assertEqual(len(client.listing(b"UIDL")), 2)
        client.ok(b"DELE 1")
        before = box.stored()
        self.assertRegex(client.command(b"QUIT"), rb"\A-ERR \[SYS/PERM\] ")
        self.assertEqual(box.stored(), before)
        self.assertFalse(os.path.exists(box.state))


class Forms(TestCase):
    """The forms that mbox_format and mbox_split name; each server has its own."""

    STORED = FROM + b"Content-Length: 25\nA: b\n\n>From x\n>>From y\n\nFrom z\n" + FROM + b"C: d\n\nlast\n"

    def check(self, want, **settings):
        user = self.user()
        box = mboxes.spool_box(user).write(self.STORED)
        daemon = self.own_daemon(storage="mbox:%s/%%u" % mboxes.spool(), **settings)
        client = self.session(user, daemon=daemon)
        sizes = [int(line.split()[1]) for line in client.listing(b"LIST")]
        got = [mailbox.unstuff(client.multi(b"RETR %d" % n)) for n in range(1, len(sizes) + 1)]
        self.assertEqual(got, [m.replace(b"\n", b"\r\n") for m in want])
        self.assertEqual(sizes, [len(m) for m in got], "MBX-07")
        uids = [line.split()[1].decode() for line in client.listing(b"UIDL")]
        self.assertEqual(uids, [hashlib.sha256(m).hexdigest() for m in want], "MBX-07")
        client.ok(b"DELE %d" % len(want))
        client.quit()
        self.assertTrue(self.STORED.startswith(box.stored()))
        self.texts_after(user, daemon, want[:-1])

    def texts_after(self, user, daemon, want):
        client = self.session(user, daemon=daemon)
        self.assertEqual([mailbox.unstuff(client.multi(b"RETR %d" % (n + 1))) for n in range(len(want))],
                         [m.replace(b"\n", b"\r\n") for m in want])
        self.assertEqual(len(client.listing(b"LIST")), len(want))
        client.quit()

    # strict: the second From_ line has no blank line before it
    def test_MBX_05_MBX_06_mboxo(self):
        self.check([b"A: b\n\nFrom x\n>>From y\n\nFrom z\n" + FROM + b"C: d\n\nlast\n"], mbox_format="mboxo")

    def test_MBX_05_MBX_06_mboxrd_lax(self):
        self.check([b"A: b\n\nFrom x\n>From y\n", b"", b"C: d\n\nlast\n"], mbox_split="lax")

    def test_MBX_05_MBX_06_rfc4155_lax(self):
        self.check([b"A: b\n\n>From x\n>>From y\n", b"", b"C: d\n\nlast\n"], mbox_format="rfc4155", mbox_split="lax")

    def test_MBX_06_mboxcl(self):
        self.check([b"A: b\n\nFrom x\n>From y\n\nFrom z\n", b"C: d\n\nlast\n"], mbox_format="mboxcl")

    def test_MBX_06_mboxcl2_lax(self):
        self.check([b"A: b\n\n>From x\n>>From y\n\nFrom z\n", b"C: d\n\nlast\n"], mbox_format="mboxcl2", mbox_split="lax")


class Shared(TestCase):
    """Users of a user file with one uid, whose homes differ, share a file in a spool."""

    def daemon_with(self, *users, **settings):
        path = harness.world().path("users-%d" % time.monotonic_ns())
        with open(path, "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write("".join(u.line() for u in users))
        return self.own_daemon(auth="file:" + path, storage="mbox:%s/shared" % mboxes.spool(), **settings)

    def setUp(self):
        super().setUp()
        self.owner = self.user()
        self.box = mboxes.Mbox(os.path.join(mboxes.spool(), "shared"), self.owner, self.owner.home).fill(mailbox.simple(3))
        self.users = [test_userfile.Virtual(self.owner) for _ in range(2)]

    @harness.needs_root
    def test_LCK_07_two_homes_one_session(self):
        daemon = self.daemon_with(*self.users)
        for one, other in (self.users, self.users[::-1], (self.users[0], self.users[0])):
            first = self.session(one, daemon=daemon)
            refused = self.connect(daemon=daemon)
            self.assertRegex(refused.try_login(other), rb"\A-ERR \[IN-USE\] ")
            refused.close()
            self.assertEqual(mboxes.maildrop(self.box, b"N: ew\n\nx\n").wait(20), 0)  # LCK-06
            first.ok(b"DELE 1")
            first.quit()
            second = self.session(other, daemon=daemon)  # at once
            self.assertEqual(len(second.listing(b"LIST")), 3)
            self.assertTrue(harness.wait_for(lambda: len(daemon.session_of(self.owner)) == 1))
            os.kill(daemon.session_of(self.owner)[0], signal.SIGKILL)  # LCK-04
            second.eof()
            self.session(one, daemon=daemon).quit()

    def test_LCK_07_race_has_one_winner(self):
        daemon = self.daemon_with(*self.users)
        for _ in range(5):
            clients = [self.connect(daemon=daemon) for _ in range(8)]
            answers = [None] * len(clients)

            def go(i):
                answers[i] = clients[i].try_login(self.users[i % 2])
            threads = [threading.Thread(target=go, args=(i,)) for i in range(len(clients))]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            good = [c for c, a in zip(clients, answers) if a.startswith(b"+OK ")]
            self.assertEqual(len(good), 1, answers)
            self.assertEqual(sum(a.startswith(b"-ERR [IN-USE] ") for a in answers), len(clients) - 1, answers)
            good[0].quit()


class Home(TestCase):
    """A file in a directory of the user's own: dot-lock, and state beside it."""

    settings = {"storage": "mbox:%h/mail/inbox"}

    def test_MBX_01_both_locks_and_nothing_left(self):
        user = self.user()
        box = mboxes.home_box(user).fill(mailbox.simple(2))
        mark = len(self.daemon.log())
        client = self.session(user)
        self.assertEqual(box.leftovers(), [], "MBX-02: locks are held in the session")
        client.ok(b"DELE 1")
        client.quit()
        self.assertEqual(box.stored(), mboxes.block(mailbox.simple(2)[1], 1))
        self.assertEqual(box.leftovers(), [])
        self.assertEqual(sorted(os.listdir(os.path.dirname(box.path))), [".pop3d", "inbox"])
        self.assertNotIn("no dot-lock", self.daemon.log()[mark:])

    def test_MBX_01_stale_after_five_minutes(self):
        user = self.user()
        box = mboxes.home_box(user).fill(mailbox.simple(1))
        lock = box.path + ".lock"
        with open(lock, "w"):
            pass
        os.utime(lock, (time.time() - 310,) * 2)
        began = time.monotonic()
        self.session(user).quit()
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(box.leftovers(), [])

    def test_RSP_06_locked_for_long(self):
        user = self.user()
        box = mboxes.home_box(user).fill(mailbox.simple(1))
        with open(box.path + ".lock", "w"):
            pass
        client = self.connect(timeout=40)
        self.assertRegex(client.try_login(user), rb"\A-ERR \[IN-USE\] ")
        os.unlink(box.path + ".lock")
        self.session(user).quit()

    @unittest.skipUnless(harness.have("procmail", "maildrop"), "no procmail or no maildrop")
    def test_UPD_08_many_deliveries_and_sessions_at_once(self):
        user = self.user()
        box = mboxes.home_box(user).fill([])
        agents = []
        for i in range(40):
            agents.append((mboxes.procmail, mboxes.maildrop)[i % 2](box, b"N: %d\n\nx\n" % i))
        got = []
        deadline = time.monotonic() + 50
        while time.monotonic() < deadline:
            delivering = any(agent.poll() is None for agent in agents)
            client = self.session(user, timeout=30)
            for n in range(1, len(client.listing(b"LIST")) + 1):
                got.append(client.multi(b"RETR %d" % n))
                client.ok(b"DELE %d" % n)
            client.quit()
            if not delivering:
                break
        self.assertEqual([agent.wait(20) for agent in agents], [0] * len(agents))
        self.assertEqual(sorted(got), sorted(b"N: %d\r\n\r\nx\r\n" % i for i in range(40)))
        self.assertEqual(box.stored(), b"")
