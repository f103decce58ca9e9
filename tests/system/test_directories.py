"""The directory store: one file a message (storage = "dir:…")."""

import hashlib
import os
import shutil

import harness
import mailbox
from client import Ok, TestCase
from harness import PLAIN, TLS


def base():
    path = harness.world().path("dirs")
    if not os.path.isdir(path):
        os.mkdir(path, 0o755)
    return path


class Directories(TestCase):
    settings = {"storage": "dir:" + base()}  # no %: a directory a user below it

    def box(self, user, messages=(), names=None):
        self.path = os.path.join(base(), user.name)
        shutil.rmtree(self.path, ignore_errors=True)
        os.mkdir(self.path, 0o700)
        os.chown(self.path, user.uid, user.gid)
        for i, octets in enumerate(messages):
            self.write(user, names[i] if names else str(i + 1), octets)
        return self.path

    def write(self, user, name, octets):
        path = os.path.join(self.path, name)
        with open(path, "wb") as f:
            f.write(octets)
        os.chown(path, user.uid, user.gid)

    def names(self):
        return sorted(n for n in os.listdir(self.path) if not n.startswith("."))

    def test_REG_14_natural_order_and_snapshot(self):
        user = self.user()
        self.box(user, [b"ten\n", b"two\n", b"b2\n", b"b10\n", b"no\n"], ["10", "2", "b2.eml", "b10.eml", ".hidden"])
        os.mkdir(os.path.join(self.path, "folder"))
        os.symlink("/etc/passwd", os.path.join(self.path, "3"))
        os.mkfifo(os.path.join(self.path, "4"))
        client = self.session(user)
        self.write(user, "1", b"late\n")
        bodies = [client.multi(b"RETR %d" % n) for n in range(1, 5)]
        self.assertEqual(bodies, [b"two\r\n", b"ten\r\n", b"b2\r\n", b"b10\r\n"])
        self.assertEqual(client.ok(b"STAT"), b"+OK 4 %d" % sum(map(len, bodies)))
        client.err(b"RETR 5")
        client.quit()

    def test_SIZ_09_the_table(self):
        user = self.user()
        self.box(user, [stored for stored, _, _ in mailbox.SIZ_09])
        for kind in self.each_kind((PLAIN, TLS)):
            client = self.session(user, kind)
            sizes = [int(line.split()[1]) for line in client.listing(b"LIST")]
            self.assertEqual(sizes, [octets for _, _, octets in mailbox.SIZ_09])
            for n, (_, on_wire, _) in enumerate(mailbox.SIZ_09, 1):
                self.assertEqual(client.multi(b"RETR %d" % n), on_wire)
            client.quit()

    def test_SIZ_08_random_files(self):
        messages = mailbox.random_files(150, 5)
        user = self.user()
        self.box(user, messages)
        client = self.session(user)
        for n, (line, stored) in enumerate(zip(client.listing(b"LIST"), messages), 1):
            body = client.multi(b"RETR %d" % n)
            self.assertEqual(body, mailbox.wire(stored))
            self.assertEqual(len(mailbox.unstuff(body)), int(line.split()[1]))
        client.quit()

    def test_UID_02_UID_03_UID_07_sha256_with_numbers(self):
        user = self.user()
        self.box(user, [b"x\n", b"y\r\n", b"x\n", b"x\n"])
        x, y = hashlib.sha256(b"x\n").hexdigest().encode(), hashlib.sha256(b"y\r\n").hexdigest().encode()
        for _ in range(2):
            client = self.session(user)
            self.assertEqual(client.listing(b"UIDL"), [b"1 " + x, b"2 " + y, b"3 " + x + b"-2", b"4 " + x + b"-3"])
            client.quit()

    def test_UPD_02_removal_at_quit_only(self):
        messages = mailbox.simple(5)
        user = self.user()
        self.box(user, messages)
        client = self.session(user)
        client.ok(b"DELE 2")
        client.ok(b"DELE 4")
        client.send(b"QUIT")
        client.shutdown_write()
        client.rest()
        self.assertEqual(self.names(), ["1", "2", "3", "4", "5"])
        client = self.session(user)
        client.ok(b"DELE 2")
        client.ok(b"DELE 4")
        client.quit()
        self.assertEqual(self.names(), ["1", "3", "5"])

    def test_UPD_03_UPD_04_gone_and_replaced(self):
        user = self.user()
        self.box(user, mailbox.simple(4))
        client = self.session(user)
        for n in (1, 2, 3):
            client.ok(b"DELE %d" % n)
        self.write(user, ".new", b"another message that gets the name\n")
        os.unlink(os.path.join(self.path, "1"))
        os.rename(os.path.join(self.path, ".new"), os.path.join(self.path, "2"))
        client.quit()
        self.assertEqual(self.names(), ["2", "4"])

    def test_UPD_03_written_to_in_the_session(self):
        messages = mailbox.simple(3)
        user = self.user()
        self.box(user, messages)
        client = self.session(user)
        sizes = client.multi(b"LIST")
        client.ok(b"DELE 1")
        client.ok(b"DELE 2")
        with open(os.path.join(self.path, "1"), "ab") as f:
            f.write(b"more\n")
        client.ok(b"RSET")
        self.assertEqual(client.multi(b"LIST"), sizes)
        self.assertRegex(client.command(b"RETR 1"), rb"\A-ERR \[SYS/TEMP\] ")
        client.ok(b"DELE 1")
        client.ok(b"DELE 2")
        self.assertRegex(client.command(b"QUIT"), rb"\A-ERR \[SYS/TEMP\] ")
        self.assertEqual(self.names(), ["1", "3"])

    def test_LCK_01_one_session(self):
        user = self.user()
        self.box(user, [b"x\n"])
        first = self.session(user)
        second = self.connect()
        self.assertRegex(second.try_login(user), rb"\A-ERR \[IN-USE\] ")
        first.quit()
        self.session(user).quit()
        self.assertEqual(self.names(), ["1"])

    def test_MDR_11_missing_is_empty_and_unreadable_is_not(self):
        user = harness.User()  # who never had mail here
        shutil.rmtree(self.box(user))
        self.transcript([("STAT", Ok(b"0 0")), ("LIST", Ok(body=b""))], user=user)
        self.box(user, [b"x\n"])
        os.chmod(self.path, 0)
        self.assertRegex(self.connect().try_login(user), rb"\A-ERR \[SYS/PERM\] ")


class Templates(TestCase):
    settings = {"storage": "dir:%h/mail"}

    def test_template_and_no_storage_at_all(self):
        user = self.user()
        path = os.path.join(user.home, "mail")
        os.mkdir(path)
        os.chown(path, user.uid, user.gid)
        with open(os.path.join(path, "a"), "wb") as f:
            f.write(b"x\n")
        client = self.session(user)
        self.assertEqual(client.multi(b"RETR 1"), b"x\r\n")
        client.quit()
        shutil.rmtree(path)
        daemon = self.own_daemon(storage="")
        client = self.session(user, daemon=daemon)
        self.assertEqual(client.ok(b"STAT"), b"+OK 0 0")
        self.assertEqual(client.multi(b"UIDL"), b"")
        client.err(b"RETR 1")
        client.quit()
        self.assertRegex(self.connect(daemon=daemon).try_login(user, b"wrong"), rb"\A-ERR \[AUTH\] ")
