"""pop3ctl uidl: unique-ids taken over from other servers.

The files of Dovecot and Courier here have the form, and the listings expected
are the ones, that Dovecot 2.3.19 and Courier 1.0.16 gave for such files.
"""

import hashlib
import os
import subprocess

from client import TestCase
from control import DONE, FAILED, USAGE, Control, answer_of

NAMES = ["1700000097.a.host,S=14", "1700000098.b.host,S=14", "1700000099.c.host,S=14", "1700000100.d.host,S=14", "1700000101.e.host,S=14",
         "1700000102.f.host,S=14"]
DOVECOT = """3 V1420113600 N120 Gdeadbeefdeadbeefdeadbeefdeadbeef
10 W99 :1700000102.f.host,S=14
11 Pold-uidl-1 W12 :1700000101.e.host,S=14
12 :1600000000.gone.host
100 Gguid-of-d :1700000100.d.host,S=14:2,S
101 O3 :1700000099.c.host,S=14
102 O1 :1700000098.b.host,S=14
"""
COURIER = """/3 103 1500000000
1700000099.c.host,S=14:2, 35 1:0:0
1700000100.d.host,S=14:2,S 35 2:1400000000:1
1700000097.a.host,S=14:2,S 35 0:1400000000:0
1600000000.gone.host:2, 35 99:1500000000:0
1700000101.e.host,S=14:2, 35 100:1500000000:0
"""
A, B, C, D, E, F = (name.encode() for name in NAMES)


class Uidl(TestCase):
    def setUp(self):
        super().setUp()
        self.ctl = Control(self.daemon)
        self.server = next(iter(self.daemon.servers))

    def mailbox(self, names=NAMES):
        """A user with these messages, new and read in turn."""
        user = self.user()
        for i, name in enumerate(names):
            if i % 2:
                user.maildir.write("cur", name + ":2,S", b"Subject: %d\n\nx\n" % i)
            else:
                user.maildir.write("new", name, b"Subject: %d\n\nx\n" % i)
        return user

    def put(self, user, name, text):
        path = os.path.join(user.maildir.path, name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chown(path, user.uid, user.gid)
        return path

    def imported(self, user, source, *options):
        return self.ctl.run("uidl", "import", "--from", source, *options, self.server, user.name)

    def listing(self, user, **options):
        client = self.session(user, **options)
        lines = client.listing(b"UIDL")
        client.quit()
        self.assertEqual([line.split()[0] for line in lines], [b"%d" % i for i in range(1, len(lines) + 1)])
        return [line.split()[1] for line in lines]

    def taken(self, user, source, count, *options):
        """It is taken over, this many messages of all."""
        answer = self.imported(user, source, *options)
        self.assertEqual((answer.status, answer.err), (DONE, ""), answer)
        self.assertRegex(answer.out, r"\A%d of \d+ messages: unique-id and place taken over from " % count)
        return answer.out

    def refused(self, user, source, *options, status=FAILED):
        """It is refused, and nothing has changed."""
        path = os.path.join(user.maildir.path, "pop3d-uids")
        before = open(path, "rb").read() if os.path.exists(path) else None
        answer = self.imported(user, source, *options)
        self.assertEqual((answer.status, answer.out), (status, ""), answer)
        self.assertEqual(open(path, "rb").read() if os.path.exists(path) else None, before)
        self.assertFalse(os.path.exists(path + ".new"))
        return answer.err


class Import(Uidl):
    def test_UID_02_dovecot(self):
        user = self.mailbox()
        self.put(user, "dovecot-uidlist", DOVECOT)
        out = self.taken(user, "dovecot", 5)
        self.assertIn("\n1 of 6 messages: behind the others", out)
        self.assertIn("\n1 messages of dovecot-uidlist are not here", out)
        self.assertEqual(self.listing(user), [b"0000006654a536c0", b"0000006554a536c0", b"0000000a54a536c0", b"old-uidl-1", b"0000006454a536c0", A])
        self.assertEqual(os.stat(os.path.join(user.maildir.path, "pop3d-uids")).st_uid, user.uid)

    def test_UID_02_a_file_twice(self):
        """As Dovecot 2.3.19 has it: the later entry is the message's, with its place."""
        user = self.mailbox(NAMES[:3])
        self.put(user, "dovecot-uidlist", "3 V1420113600 N120\n10 :%s\n11 :%s\n12 :%s:2,S\n13 :%s:2,S\n" % (NAMES[0], NAMES[1], NAMES[2], NAMES[0]))
        self.taken(user, "dovecot", 3)
        self.assertEqual(self.listing(user), [b"0000000b54a536c0", b"0000000c54a536c0", b"0000000d54a536c0"])

    def test_UID_02_lines_that_end_with_CR_LF(self):
        for source, name, text in (("dovecot", "dovecot-uidlist", DOVECOT), ("courier", "courierpop3dsizelist", COURIER)):
            user = self.mailbox()
            self.put(user, name, text)
            self.imported(user, source)
            expected = self.listing(user)
            self.put(user, name, text.replace("\n", "\r\n"))
            self.assertEqual(self.imported(user, source, "--force").status, DONE)
            self.assertEqual(self.listing(user), expected, source)

    def test_UID_02_a_cut_last_line_is_left_out(self):
        for source, name, text, last in (("dovecot", "dovecot-uidlist", DOVECOT, 7), ("courier", "courierpop3dsizelist", COURIER, 6)):
            whole, _, line = text[:-1].rpartition("\n")
            for octets in (1, len(line) - 20, len(line) - 1, len(line)):  # of the last, a line without its end may lack more
                with self.subTest(source=source, octets=octets):
                    user = self.mailbox()
                    self.put(user, name, whole + "\n")
                    self.imported(user, source)
                    expected = self.listing(user)
                    self.put(user, name, whole + "\n" + line[:octets])
                    answer = self.imported(user, source, "--force")
                    self.assertEqual((answer.status, answer.err), (FAILED, "pop3ctl: %s: line %d is cut off: not taken over\n" % (name, last)))
                    self.assertRegex(answer.out, r"\A%d of 6 messages: unique-id and place taken over" % (4 if source == "dovecot" else 3))
                    self.assertEqual(self.listing(user), expected)
        self.put(user, "dovecot-uidlist", "3 V14201136")
        self.assertIn("line 1 is cut off; nothing was taken over", self.refused(user, "dovecot", "--force"))

    def test_UID_02_formats_of_dovecot(self):
        user = self.mailbox()
        self.put(user, "dovecot-uidlist", "".join(line + "\n" for line in DOVECOT.splitlines() if " O" not in line and " P" not in line))
        md5 = [hashlib.md5(name).hexdigest().encode() for name in (F, D)]
        for wanted, expected in (("%u", [b"10", b"100"]), ("%v.%u", [b"1420113600.10", b"1420113600.100"]), ("UID%u-%v", [b"UID10-1420113600", b"UID100-1420113600"]),
                                 ("%08Xv%08Xu", [b"54a536c00000000a", b"54a536c000000064"]), ("%f", [F, D]), ("%g", [F, b"guid-of-d"]), ("%Mf", md5),
                                 ("%{uid | hex(8)}%{uidvalidity | hex(8)}", [b"0000000a54a536c0", b"0000006454a536c0"]), ("%{uidvalidity}.%{uid}", [b"1420113600.10", b"1420113600.100"]),
                                 ("%{filename | md5}", md5), ("%{guid}", [F, b"guid-of-d"])):
            self.taken(user, "dovecot:" + wanted, 2, "--force")
            self.assertEqual(self.listing(user), expected + [A, B, C, E], wanted)

    def test_UID_02_courier(self):
        user = self.mailbox()
        self.put(user, "courierpop3dsizelist", COURIER)
        self.taken(user, "courier", 4)
        self.assertEqual(self.listing(user), [b"UID1", b"UID2-1400000000", A, b"UID100-1500000000", B, F])

    def test_UID_02_courier_old_versions(self):
        user = self.mailbox(NAMES[:2] + ["1700000100.+'odd'"])
        for text, expected in (("/2 99 1500000000\n%s 3 7:1400000000\n" % NAMES[1], [b"UID7-1400000000", A, b"1700000100.+'odd'"]), ("/1 99\n%s:2,S 3 7\n" % NAMES[1], [b"UID7", A, b"1700000100.+'odd'"]),
                               ("1700000100.+'odd':2,S 3\n%s 14\n" % NAMES[1], [b"1700000100.+2B+27odd+27", B, A])):
            self.put(user, "courierpop3dsizelist", text)
            self.assertEqual(self.imported(user, "courier", "--force").status, DONE)
            self.assertEqual(self.listing(user), expected)

    def test_UID_02_names_and_digests_of_names(self):
        # qmail-pop3d and tpop3d have the order of the files' times
        user = self.mailbox(NAMES[:4])
        for path, when in zip(user.maildir.paths(), (400, 300, 100, 300)):
            os.utime(path, (when, when))
        self.taken(user, "basename", 4)
        self.assertEqual(self.listing(user), [C, B, D, A])
        self.taken(user, "md5", 4, "--force")
        self.assertEqual(self.listing(user), [hashlib.md5(name).hexdigest().encode() for name in (C, B, D, A)])

    def test_UID_02_they_stay(self):
        user = self.mailbox()
        self.put(user, "dovecot-uidlist", DOVECOT)
        self.taken(user, "dovecot", 5)
        first = self.listing(user)
        self.assertEqual(self.listing(user), first)
        # flags, new/ to cur/
        for path in user.maildir.paths():
            os.rename(path, os.path.join(user.maildir.path, "cur", os.path.basename(path).split(":")[0] + ":2,FRS"))
        self.assertEqual(self.listing(user), first)
        # new mail, older by its name too, comes behind
        user.maildir.write("new", "1000000000.old.host", b"x\n")
        user.maildir.write("new", "1900000000.new.host", b"x\n")
        first = first[:-1] + [b"1000000000.old.host", first[-1], b"1900000000.new.host"]
        self.assertEqual(self.listing(user), first)
        # the index, and the other server's own file, are gone
        for name in ("pop3d-index", "dovecot-uidlist"):
            if os.path.exists(os.path.join(user.maildir.path, name)):
                os.unlink(os.path.join(user.maildir.path, name))
        self.assertEqual(self.listing(user), first)
        daemon = self.own_daemon()
        self.assertEqual(self.listing(user, daemon=daemon), first)
        # a message goes
        client = self.session(user)
        client.ok(b"DELE 3")
        client.quit()
        del first[2]
        self.assertEqual(self.listing(user), first)

    def test_UID_05_new_mail_with_a_name_that_is_a_unique_id(self):
        user = self.mailbox(NAMES[:2])
        self.put(user, "dovecot-uidlist", "3 V1420113600 N120\n1 P1700000500.evil :%s\n2 :%s\n" % (NAMES[0], NAMES[1]))
        self.taken(user, "dovecot", 2)
        user.maildir.write("new", "1700000500.evil", b"x\n")
        uids = self.listing(user)
        self.assertEqual(uids[0], b"1700000500.evil")
        self.assertEqual(len(set(uids)), 3)
        self.assertEqual(self.listing(user), uids)

    def test_UID_05_one_that_cannot_be_taken_over(self):
        user = self.mailbox(NAMES[:4])
        self.put(user, "dovecot-uidlist", "3 V1420113600 N120\n1 Psame :%s\n2 Psame :%s\n3 P%s :%s\n4 P\xc3\xa4 :%s\n" % (NAMES[0], NAMES[1], "x" * 71, NAMES[2], NAMES[3]))
        answer = self.imported(user, "dovecot")
        self.assertEqual(answer.status, FAILED)
        self.assertRegex(answer.out, r"\A1 of 4 messages: .*\n3 of 4 messages: behind the others")
        self.assertIn('%s: the unique-id "same" is that of an earlier message' % NAMES[1], answer.err)
        self.assertEqual(answer.err.count("not taken over"), 3)
        self.assertEqual(self.listing(user), [b"same", B, C, D])

    def test_nothing_is_overwritten(self):
        user = self.mailbox()
        self.put(user, "dovecot-uidlist", DOVECOT)
        self.put(user, "courierpop3dsizelist", COURIER)
        self.taken(user, "dovecot", 5)
        self.assertIn("--force", self.refused(user, "courier"))
        self.taken(user, "courier", 4, "--force")
        self.assertEqual(self.listing(user)[0], b"UID1")

    def test_what_was_fetched_already(self):
        user = self.mailbox()
        client = self.session(user)
        client.multi(b"RETR 2")
        client.quit()
        self.put(user, "dovecot-uidlist", DOVECOT)
        self.assertIn("1 messages that were fetched from this server already", self.refused(user, "dovecot"))
        self.assertEqual(self.listing(user), [A, B, C, D, E, F])
        self.taken(user, "dovecot", 5, "--force")
        # what keeps its unique-id is no matter
        other = self.mailbox()
        client = self.session(other)
        client.multi(b"RETR 2")
        client.quit()
        self.taken(other, "basename", 6)

    def test_broken_files(self):
        user = self.mailbox()
        for source, name, text, message in (
                ("dovecot", "dovecot-uidlist", None, "there is no dovecot-uidlist in "), ("dovecot", "dovecot-uidlist", DOVECOT + "13 :x\n", "line 8 "),
                ("dovecot", "dovecot-uidlist", DOVECOT.replace("3 V", "4 V"), "line 1 "), ("dovecot", "dovecot-uidlist", b"\x00" * 70000, "line 1 "),
                ("dovecot", "dovecot-uidlist", "x" * 300000, "line 1 "),
                ("dovecot", "dovecot-uidlist", DOVECOT + "103 P" + 70000 * "x" + " :" + NAMES[0] + "\n", "line 8 "), ("courier", "courierpop3dsizelist", None, "there is no courierpop3dsizelist in "),
                ("courier", "courierpop3dsizelist", COURIER + "cut off 35\n", "line 7 ")):
            if text is not None:
                self.put(user, name, text)
            self.assertIn(message, self.refused(user, source))
        self.assertEqual(self.listing(user), [A, B, C, D, E, F])

    def test_only_a_regular_file_of_the_mailbox(self):
        user = self.mailbox()
        path = os.path.join(user.maildir.path, "dovecot-uidlist")
        os.symlink("/etc/passwd", path)
        self.assertNotIn("root:", self.refused(user, "dovecot"))
        os.unlink(path)
        os.mkfifo(path)
        self.assertIn("not a regular file", self.refused(user, "dovecot"))
        os.unlink(path)
        os.mkdir(path)
        self.refused(user, "dovecot")

    def test_words(self):
        user = self.mailbox()
        self.assertIn("mbox files alone", self.refused(user, "dovecot:%m"))
        self.assertIn("known are %u, %v, %f and %g", self.refused(user, "dovecot:%{user}"))
        self.assertIn("a % that begins no %{variable}", self.refused(user, "dovecot:%u%{uid}"))
        self.assertIn('bad source "cyrus"', self.refused(user, "cyrus", status=USAGE))
        self.assertIn('bad source "courier:%u"', self.refused(user, "courier:%u", status=USAGE))
        self.assertEqual(self.ctl.run("uidl", "import", self.server, user.name).status, USAGE)
        self.assertEqual(self.ctl.run("uidl", "import", "--from", "courier").status, USAGE)
        self.assertEqual(self.ctl.run("uidl", "nothing", self.server, user.name).status, USAGE)
        self.assertEqual(self.imported(user, "courier", "--nothing").status, USAGE)

    def test_mailbox_in_use(self):
        user = self.mailbox()
        self.put(user, "dovecot-uidlist", DOVECOT)
        client = self.session(user)
        self.assertIn("in use", self.refused(user, "dovecot"))
        client.quit()
        self.taken(user, "dovecot", 5)

    def test_no_maildir(self):
        daemon = self.own_daemon(storage="dir:%h/Maildir/new")
        self.ctl, self.server = Control(daemon), next(iter(daemon.servers))
        self.assertIn("is no Maildir", self.refused(self.mailbox(), "basename"))

    def test_hostile_file_during_a_session(self):
        user = self.mailbox()
        self.put(user, "dovecot-uidlist", DOVECOT)
        self.taken(user, "dovecot", 5)
        path = os.path.join(user.maildir.path, "pop3d-uids")
        good = open(path, "rb").read()
        expected = self.listing(user)
        client = self.session(user)
        os.truncate(path, 7)
        self.assertEqual(client.ok(b"UIDL 1"), b"+OK 1 " + expected[0])
        self.assertEqual([line.split()[1] for line in client.listing(b"UIDL")], expected)
        client.quit()
        # nonsense harms the messages that it is about, and nothing else
        for text in (b"\0" * 100000, b"x" * 100000, b"# " + good, good.replace(b"old-uidl-1", b"0000006654a536c0"), os.urandom(50000)):
            self.put(user, "pop3d-uids", text)
            uids = self.listing(user)
            self.assertEqual((len(uids), len(set(uids))), (6, 6))
        self.put(user, "pop3d-uids", good)
        self.assertEqual(self.listing(user), expected)

    def test_many_messages(self):
        user = self.user()
        count = 3000
        with open(os.path.join(user.maildir.path, "courierpop3dsizelist"), "w") as f:
            f.write("/3 9999 1500000000\n")
            for i in range(count):
                name = "%d.M%dP1.host" % (1700000000 + i, i)
                user.maildir.write("cur", name + ":2,S", b"x\n")
                f.write("%s:2, 3 %d:1500000000:0\n" % (name, count - i))
        self.taken(user, "courier", count)
        self.assertTrue(self.listing(user) == [b"UID%d-1500000000" % (count - i) for i in range(count)])


class Verify(Uidl):
    def verify(self, user, text):
        path = self.put(user, "saved-listing", text)
        answer = self.ctl.run("uidl", "verify", self.server, user.name, path)
        os.unlink(path)
        return answer

    def test_the_same(self):
        user = self.mailbox()
        uids = self.listing(user)
        for begin, line, end in (("", "%d %s\n", ""), ("+OK\r\n", "%d %s\r\n", ".\r\n"), ("+OK 6 messages\n", "%d %s\n", ".\n")):
            answer = self.verify(user, begin + "".join(line % (i, uid.decode()) for i, uid in enumerate(uids, 1)) + end)
            self.assertEqual(answer, (DONE, "0 of 6 messages would be fetched again\n0 of 6 messages of the listing are not here any more\nthe order is the same\n", ""))

    def test_standard_input(self):
        user = self.mailbox(NAMES[:2])
        for words in ((), ("-",)):
            done = subprocess.run(self.ctl.argv("uidl", "verify", self.server, user.name, *words), input=b"1 %s\n2 %s\n" % (A, B), stdout=subprocess.PIPE, timeout=30)
            self.assertEqual((done.returncode, done.stdout.splitlines()[0]), (DONE, b"0 of 2 messages would be fetched again"))

    def test_differences(self):
        user = self.mailbox()
        uids = [uid.decode() for uid in self.listing(user)]
        answer = self.verify(user, "".join("%d %s\n" % (i, uid) for i, uid in enumerate([uids[1], uids[0], "gone", *uids[3:]], 1)))
        self.assertEqual(answer, (FAILED, "not in the listing: %s\n1 of 6 messages would be fetched again\n1 of 6 messages of the listing are not here any more\n"
                                  "the order is not the same\n" % uids[2], ""))
        answer = self.verify(user, "")
        self.assertEqual(answer.status, FAILED)
        self.assertIn("6 of 6 messages would be fetched again", answer.out)

    def test_new_mail_is_counted_apart(self):
        user = self.mailbox()
        uids = [uid.decode() for uid in self.listing(user)]
        saved = "".join("%d %s\n" % (i, uid) for i, uid in enumerate(uids, 1))
        user.maildir.write("new", "1800000000.new.host", b"x\n")
        self.assertEqual(self.verify(user, saved), (DONE, "not in the listing: 1800000000.new.host\n0 of 7 messages would be fetched again\n"
                                                    "1 of 7 messages are new since the listing\n0 of 6 messages of the listing are not here any more\nthe order is the same\n", ""))
        # one that got another unique-id is missed
        answer = self.verify(user, saved.replace(uids[5], "other"))
        self.assertEqual(answer.status, FAILED)
        self.assertIn("1 of 7 messages would be fetched again\n1 of 7 messages are new", answer.out)

    def test_json(self):
        user = self.mailbox(NAMES[:2])
        path = self.put(user, "saved-listing", "1 %s\n" % NAMES[1])
        answer = self.ctl.run("--json", "uidl", "verify", self.server, user.name, path)
        self.assertEqual((answer.status, answer.err), (FAILED, ""))
        self.assertEqual(answer_of(answer.out), ["not in the listing: " + NAMES[0], "1 of 2 messages would be fetched again",
                                                  "0 of 1 messages of the listing are not here any more", "the order is the same"])
        self.assertEqual(self.ctl.json("uidl", "import", "--from", "basename", self.server, user.name), ["2 of 2 messages: unique-id and place taken over from their names"])

    def test_after_an_import(self):
        user = self.mailbox()
        self.put(user, "dovecot-uidlist", DOVECOT)
        saved = "1 0000006654a536c0\n2 0000006554a536c0\n3 0000000a54a536c0\n4 old-uidl-1\n5 0000006454a536c0\n"
        self.assertEqual(self.verify(user, saved).status, FAILED)
        self.taken(user, "dovecot", 5)
        answer = self.verify(user, saved + "6 %s\n" % NAMES[0])
        self.assertEqual((answer.status, answer.out.splitlines()[-1]), (DONE, "the order is the same"))

    def test_what_is_no_listing(self):
        user = self.mailbox()
        for text, number in (("1 a\n-ERR no\n", 2), ("a\n", 1), ("1 a\n2 b c\n", 2), ("1 %s\n" % ("x" * 71), 1)):
            answer = self.verify(user, text)
            self.assertEqual((answer.status, answer.out), (FAILED, ""))
            self.assertIn("line %d of the listing" % number, answer.err)
        self.assertEqual(self.ctl.run("uidl", "verify", self.server, user.name, "/nonexistent/listing").status, FAILED)
