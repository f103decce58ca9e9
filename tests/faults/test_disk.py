"""Full, read-only and odd file systems below a mailbox."""

import os
import subprocess
import unittest

import harness
import mailbox
import mboxes
from client import TestCase
from control import Control
from harness import ALL_KINDS, TLS
from test_update import Injected

MESSAGES = mailbox.simple(4)


def mount(path, *options):
    done = subprocess.run(["mount", *options, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


class Case(TestCase):
    settings = None

    def small_home(self, size, inodes=200, **settings):
        """A user whose home is a small file system, and a daemon that sees it."""
        user = harness.User()
        if not mount(user.home, "-t", "tmpfs", "-o", "size=%s,nr_inodes=%d,mode=700,uid=%d,gid=%d" % (size, inodes, user.uid, user.gid), "tmpfs"):
            raise unittest.SkipTest("cannot mount a tmpfs")
        self.forget_mount(user)
        return user, self.own_daemon(**settings)

    def forget_mount(self, user):
        harness.world().registry.add("mount", user.home)
        self.addCleanup(subprocess.run, ["umount", "-l", user.home])

    def fill_up(self, user, inodes=True):
        """Take every octet and, unless told otherwise, every inode."""
        path = os.path.join(user.home, "filler")
        with open(path, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        try:
            for i in range(100000 if inodes else 0):
                open(os.path.join(user.home, "inode%d" % i), "x").close()
        except OSError:
            pass

    def make_room(self, user):
        for name in os.listdir(user.home):
            if name.startswith(("filler", "inode")):
                os.unlink(os.path.join(user.home, name))


class Disk(Case):
    def test_full_disk_at_login_and_quit(self):
        user, daemon = self.small_home("256k", 40)
        for kind in ALL_KINDS:
            user.maildir.fill(MESSAGES)
            self.fill_up(user)
            client = self.session(user, kind, daemon)
            for n, message in enumerate(MESSAGES, 1):
                self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(message))
            other = self.connect(TLS, daemon)
            self.assertTrue(other.try_login(user).startswith(b"-ERR [IN-USE] "), "no lock on a full disk")
            client.ok(b"DELE 1")
            client.ok(b"DELE 4")
            client.quit()
            self.assertEqual(user.maildir.stored(), MESSAGES[1:3])
            for name in os.listdir(user.home):
                if name != "Maildir":
                    os.unlink(os.path.join(user.home, name))

    def test_disk_fills_up_during_the_session(self):
        user, daemon = self.small_home("256k")
        user.maildir.fill(MESSAGES)
        client = self.session(user, TLS, daemon)
        self.fill_up(user)
        client.ok(b"DELE 2")
        client.quit()
        self.assertEqual(len(user.maildir.paths()), 3)

    def test_read_only(self):
        user, daemon = self.small_home("256k")
        user.maildir.fill(MESSAGES)
        client = self.session(user, TLS, daemon)
        uids = client.multi(b"UIDL")
        client.quit()
        if not mount(user.home, "-o", "remount,ro"):
            self.skipTest("cannot remount")
        for kind in ALL_KINDS:
            client = self.session(user, kind, daemon)
            self.assertEqual(client.multi(b"UIDL"), uids)
            self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
            client.ok(b"DELE 1")
            self.assertRegex(client.command(b"QUIT"), rb"\A-ERR \[SYS/(TEMP|PERM)\] ")
            client.eof()
            self.assertEqual(user.maildir.stored(), MESSAGES)

    def test_becomes_read_only_during_the_session(self):
        user, daemon = self.small_home("256k")
        user.maildir.fill(MESSAGES)
        client = self.session(user, TLS, daemon)
        client.ok(b"DELE 1")
        client.ok(b"DELE 3")
        subprocess.run(["mount", "-o", "remount,ro", user.home], stderr=subprocess.DEVNULL)
        response = client.command(b"QUIT")
        client.eof()
        if response.startswith(b"-ERR "):
            self.assertRegex(response, rb"\A-ERR \[SYS/(TEMP|PERM)\] ")
            self.assertEqual(user.maildir.stored(), MESSAGES)
        else:  # the session kept the file system from the remount
            self.assertEqual(user.maildir.stored(), [MESSAGES[1], MESSAGES[3]])

    def test_home_is_unmounted(self):
        user, daemon = self.small_home("256k")
        user.maildir.fill(MESSAGES)
        subprocess.run(["umount", "-l", user.home], check=True)
        client = self.connect(TLS, daemon)
        # the directory below is there and empty: an empty mailbox by the default setting
        self.assertRegex(client.try_login(user), rb"\A(\+OK |-ERR \[SYS/PERM\] )")
        client.close()


class FullMbox(Case):
    """An mbox on a full disk: whoever is to make room by deleting mail must be able to."""

    STORAGE = "mbox:%h/mail/inbox"

    def full(self, **settings):
        """A disk that was full before the first login, so that nothing stands beside the mbox."""
        user, daemon = self.small_home("512k", storage=self.STORAGE, **settings)
        box = mboxes.home_box(user).fill(MESSAGES)
        self.fill_up(user)
        return user, daemon, box

    def without(self, box, gone):
        """What the mbox is to be when these messages are deleted."""
        return b"".join(mboxes.block(m, i % 60) for i, m in enumerate(MESSAGES) if i + 1 not in gone)

    def delete(self, user, daemon, numbers):
        """The answer to QUIT."""
        client = self.session(user, TLS, daemon)
        for n in numbers:
            client.ok(b"DELE %d" % n)
        answer = client.command(b"QUIT")
        client.eof()
        return answer

    def test_first_login_and_its_lock(self):
        user, daemon, box = self.full()
        client = self.session(user, TLS, daemon)
        for n, message in enumerate(MESSAGES, 1):
            self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(message))
        other = self.connect(TLS, daemon)
        self.assertRegex(other.try_login(user), rb"\A-ERR \[IN-USE\] ")
        # a lock file can be made now, and is not what the first session has
        self.make_room(user)
        other = self.connect(TLS, daemon)
        self.assertRegex(other.try_login(user), rb"\A-ERR \[IN-USE\] ")
        client.quit()
        self.assertEqual(box.stored(), self.without(box, ()))
        self.session(user, TLS, daemon).quit()

    def test_messages_at_the_end(self):
        user, daemon, box = self.full()
        self.assertRegex(self.delete(user, daemon, (4,)), rb"\A\+OK ")
        self.assertEqual(box.stored(), self.without(box, (4,)))
        self.fill_up(user)
        self.assertRegex(self.delete(user, daemon, (2, 3)), rb"\A\+OK ")
        self.assertEqual(box.stored(), self.without(box, (2, 3, 4)))

    def test_all_messages(self):
        user, daemon, box = self.full()
        self.assertRegex(self.delete(user, daemon, (1, 2, 3, 4)), rb"\A\+OK ")
        self.assertEqual(box.stored(), b"")
        self.assertEqual(box.leftovers(), [])

    def test_other_messages_are_refused_with_a_way_out(self):
        user, daemon, box = self.full()
        words = rb"\A-ERR \[SYS/TEMP\] disk full or over quota: .*the last ones alone, needs no room\Z"
        self.assertRegex(self.delete(user, daemon, (2,)), words)
        self.assertEqual(box.stored(), self.without(box, ()))
        # the same where only the journal has no room
        self.make_room(user)
        self.session(user, TLS, daemon).quit()
        os.unlink(os.path.join(box.state, "mbox.reserve"))
        self.fill_up(user)
        self.assertRegex(self.delete(user, daemon, (2,)), words)
        self.assertEqual(box.stored(), self.without(box, ()))
        self.assertEqual(box.leftovers(), [])
        self.make_room(user)
        self.assertRegex(self.delete(user, daemon, (2, 4)), rb"\A\+OK ")
        self.assertEqual(box.stored(), self.without(box, (2, 4)))

    def test_deleting_at_the_end_makes_room_for_the_rest(self):
        messages = mailbox.simple(3) + [mailbox.letter("big", b"x" * 70 + b"\n" * 60000)]
        user, daemon = self.small_home("512k", storage=self.STORAGE)
        box = mboxes.home_box(user).fill(messages)
        self.session(user, TLS, daemon).quit()
        os.unlink(os.path.join(box.state, "mbox.reserve"))
        self.fill_up(user, False)
        self.assertRegex(self.delete(user, daemon, (1,)), rb"\A-ERR \[SYS/TEMP\] disk full ")
        self.assertRegex(self.delete(user, daemon, (1, 3, 4)), rb"\A\+OK ")
        self.assertEqual(box.stored(), mboxes.block(messages[1], 1))

    def test_what_is_gone_is_not_told_as_kept(self):
        """Those at the end go first; the journal for the rest has no room all the same."""
        big = mailbox.letter("big", b"x" * 70 + b"\n" * 300000)
        user, daemon = self.small_home("512k", storage=self.STORAGE)
        messages = [MESSAGES[0], big, MESSAGES[1]]
        box = mboxes.home_box(user).fill(messages)
        self.fill_up(user)
        self.assertRegex(self.delete(user, daemon, (1, 3)), rb"\A-ERR \[SYS/TEMP\] disk full ")
        self.assertEqual(box.stored(), mboxes.block(messages[0]) + mboxes.block(big, 1))
        daemon.log_fields("session-end", user=user.name, deleted="1")

    def test_the_reserve_is_room_for_the_journal(self):
        user, daemon = self.small_home("512k", storage=self.STORAGE)
        box = mboxes.home_box(user).fill(MESSAGES)
        reserve = os.path.join(box.state, "mbox.reserve")
        self.session(user, TLS, daemon).quit()
        self.assertEqual((os.stat(reserve).st_size, os.stat(reserve).st_blocks), (65536, 128))
        self.fill_up(user, False)
        self.assertRegex(self.delete(user, daemon, (2,)), rb"\A\+OK ")
        self.assertEqual(box.stored(), self.without(box, (2,)))
        self.make_room(user)
        self.session(user, TLS, daemon).quit()
        self.assertTrue(os.path.exists(reserve), "not made anew")

    def test_the_reserve_is_room_for_a_mailbox_of_any_size(self):
        """What moves is many times what the reserve has room for; every other message is removed."""
        messages = [mailbox.letter("n%d" % i, b"y" * 70 + b"\n" * (i % 7) + b"z" * 4000 + b"\n") for i in range(400)]
        user, daemon = self.small_home("2560k", storage=self.STORAGE)
        box = mboxes.home_box(user).fill(messages)
        self.session(user, TLS, daemon).quit()
        self.fill_up(user, False)
        self.assertRegex(self.delete(user, daemon, range(1, 401, 2)), rb"\A\+OK ")
        self.assertEqual(box.stored(), b"".join(mboxes.block(m, i % 60) for i, m in enumerate(messages) if i % 2 == 1))
        self.assertEqual(box.leftovers(), [])

    def test_a_long_table_leaves_room_for_the_reserve(self):
        """What the table's file has no room for is in memory; 552 KiB are enough for it, or for a page of it and the reserve."""
        messages = [b"N: %d\n\n" % n for n in range(9000)]
        octets = sum(len(mboxes.block(m)) for m in messages)
        for room in (552, 300):
            with self.subTest(room=room):
                user, daemon = self.small_home("%dk" % (octets // 4096 * 4 + 4 + room), storage=self.STORAGE)
                box = mboxes.home_box(user).fill(messages)
                for full in (False, True):
                    if full:
                        self.session(user, TLS, daemon).quit()
                        self.fill_up(user, False)
                    client = self.session(user, TLS, daemon)
                    self.assertEqual(os.stat(os.path.join(box.state, "mbox.reserve")).st_size, 65536)
                    uids = client.listing(b"UIDL")
                    self.assertEqual(len(set(line.split()[1] for line in uids)), 9000 - full)
                    self.assertEqual(client.multi(b"RETR %d" % len(uids)), mailbox.wire(messages[-1]))
                    client.quit()
                    self.assertRegex(self.delete(user, daemon, (2,)), rb"\A\+OK ")
                left = [(m, i % 60) for i, m in enumerate(messages) if i not in (1, 2)]
                self.assertEqual(box.stored(), b"".join(mboxes.block(*m) for m in left))
                self.assertEqual(box.leftovers(), [])

    def test_journal_on_another_file_system(self):
        user, daemon, box = self.full(mbox_journal=mboxes.journals())
        self.assertRegex(self.delete(user, daemon, (2, 4)), rb"\A\+OK ")
        self.assertEqual(box.stored(), self.without(box, (2, 4)))
        own = os.path.join(mboxes.journals(), str(user.uid))
        self.assertEqual((os.listdir(own), os.stat(own).st_uid, os.stat(own).st_mode & 0o7777), ([], user.uid, 0o700))

    def test_the_name_there_is_taken(self):
        user, daemon, box = self.full(mbox_journal=mboxes.journals())
        own = os.path.join(mboxes.journals(), str(user.uid))
        for make in (os.mkdir, lambda path: open(path, "x").close(), lambda path: os.symlink(user.home, path)):
            make(own)
            self.assertRegex(self.delete(user, daemon, (1,)), rb"\A-ERR \[SYS/TEMP\] disk full ")
            (os.rmdir if os.path.isdir(own) and not os.path.islink(own) else os.unlink)(own)
        self.assertEqual(box.stored(), self.without(box, ()))
        self.assertEqual(self.delete(user, daemon, (4,))[:4], b"+OK ")

    def test_the_directory_there_is_missing(self):
        user, daemon, box = self.full(mbox_journal="/nonexistent/journals")
        client = self.connect(TLS, daemon)
        self.assertRegex(client.try_login(user), rb"\A-ERR \[SYS/PERM\] ")
        daemon.log_wait(r"mbox_journal: No such file or directory")
        self.assertEqual(box.stored(), self.without(box, ()))

    def test_box_locked_tells_of_a_session_without_lock_file(self):
        user, daemon, _ = self.full()
        ctl = Control(daemon)
        self.assertEqual(ctl.done("box", "locked", "secure", user.name), "0")
        client = self.session(user, TLS, daemon)
        self.assertEqual(ctl.done("box", "locked", "secure", user.name), "1")
        client.quit()


@unittest.skipUnless(harness.have("strace"), "no strace")
class StateDirectory(TestCase):
    """A disk that answers after minutes, below state_dir."""

    settings = None

    def test_nobody_waits_for_the_last_logins(self):
        users = [self.user(MESSAGES) for _ in range(5)]
        daemon = self.own_daemon()
        path = os.path.join(daemon.settings["state_dir"], "last-logins")
        with Injected([daemon.pid], "fsync,fdatasync:delay_enter=600000000", "fsync,fdatasync"):
            self.session(users[0], TLS, daemon).quit()
            self.assertTrue(harness.wait_for(lambda: os.path.exists(path + ".new") and os.path.getsize(path + ".new") > 0, 60))
            for user in users:
                client = self.session(user, TLS, daemon)
                self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
                client.quit()
            self.assertEqual(len(Control(daemon).json("last")), len(users))
            self.assertFalse(os.path.exists(path))
