"""Full, read-only and odd file systems below a mailbox."""

import os
import subprocess
import unittest

import harness
import mailbox
from client import TestCase
from harness import ALL_KINDS, TLS

MESSAGES = mailbox.simple(4)


def mount(path, *options):
    done = subprocess.run(["mount", *options, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


class Disk(TestCase):
    settings = None

    def small_home(self, size, inodes=200):
        """A user whose home is a small file system, and a daemon that sees it."""
        user = harness.User()
        if not mount(user.home, "-t", "tmpfs", "-o", "size=%s,nr_inodes=%d,mode=700,uid=%d,gid=%d" % (size, inodes, user.uid, user.gid), "tmpfs"):
            raise unittest.SkipTest("cannot mount a tmpfs")
        harness.world().registry.add("mount", user.home)
        self.addCleanup(subprocess.run, ["umount", "-l", user.home])
        return user, self.own_daemon()

    def fill_up(self, user):
        """Take every octet and every inode."""
        path = os.path.join(user.home, "filler")
        with open(path, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        try:
            for i in range(100000):
                open(os.path.join(user.home, "inode%d" % i), "x").close()
        except OSError:
            pass

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
