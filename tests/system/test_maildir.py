"""CONFORMANCE group MDR: Maildir."""

import os
import stat
import time

import harness
import mailbox
from client import TestCase
from harness import PLAIN, TLS

MESSAGES = mailbox.simple(4)


class Maildirs(TestCase):
    def listing(self, user, **options):
        client = self.session(user, **options)
        out = client.listing(b"LIST")
        client.quit()
        return out

    def test_MDR_01_new_and_cur_only(self):
        user = self.user(MESSAGES)
        maildir = user.maildir
        maildir.write("tmp", "1700000000.M1P1.tmp", b"not yet\n")
        for where in ("new", "cur"):
            maildir.write(where, ".hidden", b"hidden\n")
        for folder in (".Sent", ".Trash"):
            for sub in ("", "new", "cur", "tmp"):
                path = os.path.join(maildir.path, folder, sub)
                os.mkdir(path)
                os.chown(path, user.uid, user.gid)
            maildir.write("tmp", "x", b"in a folder\n")
            os.rename(os.path.join(maildir.path, "tmp", "x"), os.path.join(maildir.path, folder, "cur", "1700000000.M2P2.x"))
        for name in ("maildirfolder", "subscriptions", "dovecot.index", "dovecot-uidlist"):
            with open(os.path.join(maildir.path, name), "w") as f:
                f.write("x\n")
        client = self.session(user)
        self.assertEqual(len(client.listing(b"LIST")), 4)
        for n in range(1, 5):
            client.ok(b"DELE %d" % n)
        client.quit()
        self.assertTrue(os.path.exists(os.path.join(maildir.path, "tmp", "1700000000.M1P1.tmp")))
        self.assertTrue(os.path.exists(os.path.join(maildir.path, ".Sent", "cur", "1700000000.M2P2.x")))
        self.assertTrue(os.path.exists(os.path.join(maildir.path, "new", ".hidden")))

    def test_MDR_02_raw_content(self):
        message = b"From someone Mon Jan  1 00:00:00 2023\n>From quoted\n\nFrom here\n>From there"
        user = self.user([message])
        client = self.session(user)
        self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(message))
        client.quit()

    def test_MDR_03_REG_14_order_is_by_delivery_time(self):
        user = self.user()
        names = ["10.M1P1.h", "2.M1P1.h", "30.M1P1.h", "1700000002.M5P1.h", "1700000001.M9P1.h", "1700000002.M1P1.h:2,S", "999999999.M1P1.h", "1600000000.M1P1.h:2,"]
        for name in names:
            user.maildir.write("cur" if ":" in name else "new", name, name.encode() + b"\n")
        client = self.session(user)
        got = [client.multi(b"RETR %d" % n).strip().split(b".")[0] for n in range(1, len(names) + 1)]
        client.quit()
        self.assertEqual(got, [b"2", b"10", b"30", b"999999999", b"1600000000", b"1700000001", b"1700000002", b"1700000002"])

    def test_MDR_03_same_order_each_session(self):
        user = self.user()
        for name in ("noseconds", "alsonone", "5", "5.a", "5.b", "x5", "-1", "05.c"):
            user.maildir.write("new", name, name.encode() + b"\n")
        orders = set()
        for _ in range(3):
            client = self.session(user)
            orders.add(client.multi(b"UIDL"))
            client.quit()
        self.assertEqual(len(orders), 1)
        self.assertEqual(orders.pop().count(b"\r\n"), 8)

    def test_MDR_04_renaming_changes_neither_numbers_nor_uids(self):
        user = self.user()
        for message in MESSAGES:
            user.maildir.deliver(message)
        client = self.session(user)
        uids = client.multi(b"UIDL")
        for n in range(1, 5):
            self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(MESSAGES[n - 1]))
        self.assertEqual(client.multi(b"UIDL"), uids)
        client.quit()
        client = self.session(user)
        self.assertEqual(client.multi(b"UIDL"), uids)
        client.quit()
        self.assertEqual(user.maildir.stored(), MESSAGES)

    def imap(self, user, n, flags):
        """Do what an IMAP server does to a message's name."""
        path = user.maildir.paths()[n - 1]
        base = os.path.basename(path).split(":")[0]
        os.rename(path, os.path.join(user.maildir.path, "cur", base + ":2," + flags))

    def test_MDR_05_renamed_while_the_session_runs(self):
        for kind in self.each_kind():
            user = self.user(MESSAGES)
            client = self.session(user, kind)
            client.multi(b"LIST")
            for n in range(1, 5):
                self.imap(user, n, "RS")
            self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
            self.assertEqual(client.multi(b"TOP 2 0"), mailbox.top(MESSAGES[1], 0))
            client.ok(b"DELE 1")
            self.imap(user, 1, "FRS")
            client.ok(b"DELE 2")
            self.imap(user, 2, "T")
            client.quit()
            self.assertEqual(user.maildir.stored(), MESSAGES[2:])

    def test_MDR_05_renamed_between_dele_and_quit_back_to_new(self):
        user = self.user(MESSAGES)
        client = self.session(user)
        client.ok(b"DELE 2")
        path = user.maildir.paths()[1]
        os.rename(path, os.path.join(user.maildir.path, "new", os.path.basename(path).split(":")[0]))
        client.quit()
        self.assertEqual(user.maildir.stored(), [MESSAGES[0]] + MESSAGES[2:])

    def test_MDR_07_young_files_in_tmp_stay(self):
        user = self.user(MESSAGES)
        path = user.maildir.write("tmp", "young", b"x\n")
        old = user.maildir.write("tmp", "middle", b"x\n")
        hours = time.time() - 30 * 3600
        os.utime(old, (hours, hours))
        self.listing(user)
        self.assertTrue(os.path.exists(path))
        self.assertTrue(os.path.exists(old))

    def test_MDR_09_maildirsize(self):
        user = self.user(MESSAGES)
        size_file = os.path.join(user.maildir.path, "maildirsize")
        with open(size_file, "w") as f:
            f.write("1000000S\n%d 4\n" % sum(map(len, MESSAGES)))
        os.chown(size_file, user.uid, user.gid)
        client = self.session(user)
        client.ok(b"DELE 2")
        client.ok(b"DELE 3")
        client.quit()
        with open(size_file) as f:
            lines = f.read().splitlines()
        gone = [tuple(map(int, line.split())) for line in lines[2:]]
        self.assertEqual(sum(size for size, _ in gone), -len(MESSAGES[1]) - len(MESSAGES[2]))
        self.assertEqual(sum(count for _, count in gone), -2)

    def test_MDR_09_maildirsize_is_not_created_nor_made_long(self):
        user = self.user(MESSAGES)
        size_file = os.path.join(user.maildir.path, "maildirsize")
        client = self.session(user)
        client.ok(b"DELE 1")
        client.quit()
        self.assertFalse(os.path.exists(size_file))
        long = "1000000S\n" + "100 1\n" * 1000
        with open(size_file, "w") as f:
            f.write(long)
        os.chown(size_file, user.uid, user.gid)
        client = self.session(user)
        client.ok(b"DELE 1")
        client.quit()
        with open(size_file) as f:
            self.assertEqual(f.read(), long)

    @harness.needs_root
    def test_MDR_10_what_is_no_regular_file(self):
        secret = harness.world().path("secret-%d" % time.monotonic_ns())
        with open(secret, "w") as f:
            f.write("secret octets\n")
        user = self.user(MESSAGES)
        cur = os.path.join(user.maildir.path, "cur")
        os.mkfifo(os.path.join(cur, "1700000001.fifo"))
        os.mkdir(os.path.join(cur, "1700000002.dir"))
        os.symlink(secret, os.path.join(cur, "1700000003.link"))
        os.symlink(user.maildir.paths()[0], os.path.join(cur, "1700000004.link"))
        os.symlink("/nonexistent", os.path.join(cur, "1700000005.dangling"))
        os.mknod(os.path.join(cur, "1700000006.null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        for kind in self.each_kind():
            self.assertEqual(len(self.listing(user, kind=kind)), 4)

    def test_MDR_10_message_replaced_while_the_session_runs(self):
        secret = harness.world().path("secret-%d" % time.monotonic_ns())
        with open(secret, "w") as f:
            f.write("secret octets\n")

        def fifo(path):
            os.mkfifo(path)

        def symlink(path):
            os.symlink(secret, path)

        def folder(path):
            os.mkdir(path)

        for replace in (fifo, symlink, folder):
            for kind in self.each_kind((PLAIN, TLS)):
                user = self.user(MESSAGES)
                client = self.session(user, kind)
                path = user.maildir.paths()[1]
                os.unlink(path)
                replace(path)
                for line in (b"RETR 2", b"TOP 2 5"):
                    response = client.command(line)
                    self.assertRegex(response, rb"\A-ERR \[SYS/(TEMP|PERM)\] ", replace.__name__)
                self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
                client.quit()

    def test_MDR_10_mailbox_is_a_symlink_out_of_reach(self):
        # the session sees what its owner may see, nothing else
        for target in ("/root", "/etc", "/proc/1"):
            user = self.user()
            user.maildir.remove()
            os.symlink(target, user.maildir.path)
            client = self.connect()
            response = client.try_login(user)
            if response.startswith(b"+OK"):
                self.assertEqual(client.ok(b"STAT"), b"+OK 0 0")
            else:
                self.assertRegex(response, rb"\A-ERR \[SYS/(PERM|TEMP)\] ")
            client.close()
            os.unlink(user.maildir.path)

    @harness.needs_root
    def test_MDR_10_cur_is_a_symlink_or_a_file(self):
        for what in ("symlink", "file", "fifo"):
            user = self.user(MESSAGES)
            other = harness.world().path("elsewhere-%d" % time.monotonic_ns())
            mailbox.Maildir(other, 0, 0).fill(MESSAGES)
            for name in os.listdir(os.path.join(user.maildir.path, "cur")):
                os.unlink(os.path.join(user.maildir.path, "cur", name))
            cur = os.path.join(user.maildir.path, "cur")
            os.rmdir(cur)
            if what == "symlink":
                os.symlink(os.path.join(other, "cur"), cur)
            elif what == "file":
                open(cur, "w").close()
            else:
                os.mkfifo(cur)
            client = self.connect()
            response = client.try_login(user)
            self.assertTrue(response.startswith(b"-ERR [SYS/"), (what, response))
            client.close()
            os.unlink(cur)
            os.mkdir(cur)

    @harness.needs_root
    def test_MDR_10_mailbox_owned_by_another(self):
        user, other = self.user(MESSAGES), self.user(MESSAGES)
        user.maildir.remove()
        os.symlink(other.maildir.path, user.maildir.path)
        client = self.connect()
        self.assertRegex(client.try_login(user), rb"\A-ERR \[SYS/PERM\] ")
        client.eof()
        os.unlink(user.maildir.path)
        self.assertEqual(other.maildir.stored(), MESSAGES)

    @harness.needs_root
    def test_MDR_10_what_another_user_has_put_there(self):
        user, other = self.user(MESSAGES), self.user()
        path = user.maildir.path

        def refused(why):
            client = self.connect()
            self.assertRegex(client.try_login(user), rb"\A-ERR \[SYS/PERM\] ")
            client.eof()
            self.daemon.log_wait(why)

        with self.subTest("his link to a Maildir of the user's"):
            os.rename(path, path + ".kept")
            os.symlink(path + ".kept", path)
            os.lchown(path, other.uid, other.gid)
            refused("the link %s has owner %d" % (path, other.uid))
        for owner in (user.uid, 0):
            with self.subTest("a link of the user's or of root's", owner=owner):
                os.lchown(path, owner, owner)
                self.assertEqual(len(self.listing(user)), len(MESSAGES))
        os.unlink(path)
        os.rename(path + ".kept", path)
        for folder in ("", "cur", "new"):
            with self.subTest("his directory", folder=folder):
                theirs = os.path.join(path, folder)
                os.chown(theirs, other.uid, other.gid)
                os.chmod(theirs, 0o777)
                refused("maildir .*: %s has owner %d" % (theirs.rstrip("/"), other.uid))
                os.chown(theirs, user.uid, user.gid)
                os.chmod(theirs, 0o700)
        self.assertEqual(user.maildir.stored(), MESSAGES)

    def test_MDR_10_hard_link_counts_as_any_message(self):
        user = self.user(MESSAGES)
        path = user.maildir.paths()[0]
        os.link(path, os.path.join(os.path.dirname(path), "1700000009.M1P1.link"))
        self.assertEqual(len(self.listing(user)), 5)

    def test_MDR_11_missing_directories(self):
        for gone in ("new", "cur", "tmp"):
            user = self.user(MESSAGES)
            folder = os.path.join(user.maildir.path, gone)
            for name in os.listdir(folder):
                os.unlink(os.path.join(folder, name))
            os.rmdir(folder)
            client = self.connect()
            response = client.try_login(user)
            # a part that is missing is empty; a part that is there is never hidden
            if response.startswith(b"+OK"):
                self.assertEqual(len(client.listing(b"LIST")), 4 if gone == "tmp" else 2)
            else:
                self.assertTrue(response.startswith(b"-ERR [SYS/PERM] "))
            client.close()

    def test_MDR_11_unreadable_is_never_empty(self):
        for gone in ("", "new", "cur"):
            user = self.user(MESSAGES)
            folder = os.path.join(user.maildir.path, gone)
            for mode in (0o000, 0o300):
                os.chmod(folder, mode)
                for kind in self.each_kind((PLAIN, TLS)):
                    client = self.connect(kind)
                    self.assertRegex(client.try_login(user), rb"\A-ERR \[SYS/(PERM|TEMP)\] ", "%r %o" % (gone, mode))
                    client.eof()
            os.chmod(folder, 0o700)

    def test_MDR_10_unreadable_message_is_not_hidden(self):
        user = self.user(MESSAGES)
        path = user.maildir.paths()[2]
        os.chmod(path, 0)
        client = self.connect()
        response = client.try_login(user)
        if response.startswith(b"+OK"):
            self.assertEqual(len(client.listing(b"LIST")), 4)
            self.assertRegex(client.command(b"RETR 3"), rb"\A-ERR \[SYS/")
        else:
            self.assertRegex(response, rb"\A-ERR \[SYS/")
        client.close()
        os.chmod(path, 0o600)

    def test_MDR_two_deliveries_in_one_tick(self):
        user = self.user(MESSAGES)
        for round_number in range(10):
            before = len(self.listing(user))
            user.maildir.deliver(b"one %d\n" % round_number)
            user.maildir.deliver(b"two %d\n" % round_number, "cur")
            self.assertEqual(len(self.listing(user)), before + 2)

    def test_MDR_clock_going_back(self):
        user = self.user(MESSAGES)
        self.listing(user)
        for name in ("new", "cur", ""):
            os.utime(os.path.join(user.maildir.path, name), (1000000000, 1000000000))
        user.maildir.write("new", "5.M1P1.old", b"old\n")
        os.utime(os.path.join(user.maildir.path, "new"), (1000000000, 1000000000))
        self.assertEqual(len(self.listing(user)), 5)
