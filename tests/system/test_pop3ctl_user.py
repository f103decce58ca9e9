"""pop3ctl user: the user file and its administration."""

import os
import pty
import re
import secrets
import select
import subprocess
import threading
import time

import harness
from control import answer_of
import mailbox
from client import TestCase
from harness import PLAIN

MESSAGES = mailbox.simple(1)
USAGE, FAILED, DONE = 2, 1, 0


class User(TestCase):
    settings = None

    def setUp(self):
        super().setUp()
        self.dir = harness.world().path("user-" + secrets.token_hex(4))
        os.mkdir(self.dir)
        self.path = os.path.join(self.dir, "users")

    def ctl(self, *words, data=b"", status=DONE, path=None, **more):
        done = subprocess.run([harness.program("pop3ctl"), "user", "-f", path or self.path, *words], input=data,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, **more)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        self.complaint = done.stderr.decode()
        if status != DONE:
            self.assertTrue(self.complaint.startswith("pop3ctl: "), self.complaint)
            self.assertEqual(done.stdout, b"")
        return done.stdout.decode()

    def add(self, name, password=b"se cret", *options, **more):
        return self.ctl("add", *options, name, "1000", "1001", "/home/x", data=password + b"\n", **more)

    def text(self, path=None):
        with open(path or self.path, "rb") as f:
            return f.read()

    def lines(self):
        return self.text().decode().splitlines()

    @harness.needs_root
    def test_add(self):
        self.add("joe")
        info = os.stat(self.path)
        self.assertEqual((info.st_mode & 0o7777, info.st_uid), (0o600, 0))
        self.assertRegex(self.lines()[0], r"\Ajoe:\$(y|6)\$[^:]+:1000:1001:/home/x\Z")
        self.add("ann@example.org", b" lead and trail ", "--plain")
        self.assertEqual(self.lines()[1], "ann@example.org:{plain} lead and trail :1000:1001:/home/x")
        self.ctl("add", "--plain", "bob", "7", "8", "/h", "/var/mail/a:b", data=b"x")
        self.assertEqual(self.lines()[2], "bob:{plain}x:7:8:/h:/var/mail/a:b")
        self.add("joe", b"other", "--plain")  # replaced in its place
        self.assertEqual(self.lines()[0], "joe:{plain}other:1000:1001:/home/x")
        self.assertEqual(len(self.lines()), 3)
        self.add("eve", b"y", "--apop")
        self.assertEqual(self.lines()[3], "eve:{apop}y:1000:1001:/home/x")
        self.assertEqual(self.ctl("lookup", "eve").splitlines()[1], "password apop")
        self.assertEqual(sorted(os.listdir(self.dir)), ["users", "users.lock"])

    @harness.needs_root
    def test_add_keeps_the_rest(self):
        with open(self.path, "wb") as f:
            f.write(b"# mine\n\na faulty line\njoe:{plain}a:1:1:/\nann:*:1:1:/\njoe:{plain}b:1:1:/\n#joe:x\nlast:*:1:1:/")
        os.chmod(self.path, 0o640)
        os.chown(self.path, 0, 12345)
        self.add("joe", b"c", "--plain")
        self.add("new", b"d", "--plain")
        self.assertEqual(self.text(), b"# mine\n\na faulty line\njoe:{plain}c:1000:1001:/home/x\nann:*:1:1:/\n#joe:x\nlast:*:1:1:/\n"
                                      b"new:{plain}d:1000:1001:/home/x\n")
        info = os.stat(self.path)
        self.assertEqual((info.st_mode & 0o7777, info.st_uid, info.st_gid), (0o640, 0, 12345))

    @harness.needs_root
    def test_add_of_what_is_wrong(self):
        self.add("joe", b"right", "--plain")
        before = self.text()
        for words in (["a:b", "1", "1", "/"], ["#a", "1", "1", "/"], ["a\nb", "1", "1", "/"], ["x" * 256, "1", "1", "/"], ["a", "0", "1", "/"],
                      ["a", "1", "0", "/"], ["a", "-1", "1", "/"], ["a", "1x", "1", "/"], ["a", "", "1", "/"], ["a", "4294967295", "1", "/"],
                      ["a", "1", "1", "home"], ["a", "1", "1", "/a:b"], ["a", "1", "1", "/a\nb:*:1:1:/"], ["a", "1", "1", "/", "box"],
                      ["a", "1", "1", "/", "/b\nc"], ["a\x01", "1", "1", "/"], ["", "1", "1", "/"]):
            self.ctl("add", *words, data=b"x\n", status=FAILED)
        for password in (b"", b"\n", b"a\0b\n", b"x" * 256 + b"\n", b"a\rb\n"):
            self.ctl("add", "a", "1", "1", "/", data=password, status=FAILED)
        self.add("a", b"co:lon", "--plain", status=FAILED)
        self.assertIn("colon", self.complaint)
        self.assertEqual(self.text(), before)
        self.add("a", b"co:lon")

    def test_usage(self):
        self.add("joe")
        before = self.text()
        for words in ([], ["add"], ["add", "a"], ["add", "a", "1", "1"], ["add", "a", "1", "1", "/", "/b", "password"], ["remove"], ["remove", "a", "b"],
                      ["rename", "a"], ["rename", "a", "b", "c"], ["lookup"], ["lookup", "a", "b"], ["exists"], ["who", "x"], ["save", "a", "b"], ["read"],
                      ["read", "a", "b"], ["passwd", "a"]):
            self.ctl(*words, status=USAGE, data=b"x\n")
        self.assertIn("must be add, exists, lookup, read, remove, rename, save, or who", self.complaint)
        self.assertEqual(self.text(), before)
        done = subprocess.run([harness.program("pop3ctl"), "--help"], stdout=subprocess.PIPE, check=True)
        self.assertIn(b"user -f file", done.stdout)

    def test_remove(self):
        for name in ("a", "ab", "b"):
            self.add(name)
        self.ctl("remove", "a")
        self.assertEqual([line.split(":")[0] for line in self.lines()], ["ab", "b"])
        self.ctl("remove", "a", status=FAILED)
        self.assertIn('user "a" not known', self.complaint)
        self.ctl("remove", "", status=FAILED)
        self.ctl("remove", "ab")
        self.ctl("remove", "b")
        self.assertEqual(self.text(), b"")

    def test_rename(self):
        self.add("a", b"secret")
        self.add("b")
        line = self.lines()[0]
        self.ctl("rename", "a", "c")
        self.assertEqual(self.lines()[0], "c" + line[1:])
        for old, new, what in (("a", "d", 'user "a" not known'), ("c", "b", 'user "b" is known'), ("c", "c", 'user "c" is known'), ("c", "", "missing"),
                               ("", "d", "missing"), ("c", "x:y", "cannot be a name"), ("c", "#d", "cannot be a name"), ("c", "d\ne", "cannot be a name")):
            self.ctl("rename", old, new, status=FAILED)
            self.assertIn(what, self.complaint)
        self.assertEqual(self.lines()[0], "c" + line[1:])

    def test_networks_stay(self):
        """A new password or name opens no account to more than before."""
        self.add("joe")
        with open(self.path, "a") as f:
            f.write("bob:{plain}faulty:x:8:/h\nbob:{plain}x:7:8:/h:/m:deny=192.0.2.0/24:allow=2001:db8::/32\n")
        self.ctl("add", "--plain", "bob", "7", "8", "/h", data=b"new\n")
        self.assertEqual(self.lines()[1], "bob:{plain}new:7:8:/h:allow=2001:db8::/32:deny=192.0.2.0/24")
        self.ctl("rename", "bob", "ann")
        self.assertEqual(self.ctl("lookup", "ann").splitlines()[5:], ["mailbox", "allow 2001:db8::/32", "deny 192.0.2.0/24"])

    def test_lookup_exists_who(self):
        self.add("joe", b"hidden-secret", "--plain")
        self.add("ann", b"hidden-secret")
        self.ctl("add", "bob", "7", "8", "/h", "/m", data=b"hidden-secret\n")
        self.assertEqual(self.ctl("lookup", "joe"), "name joe\npassword plain\nuid 1000\ngid 1001\nhome /home/x\nmailbox\nallow\ndeny\n")
        self.assertEqual(answer_of(self.ctl("lookup", "bob", "--json")),
                         {"name": "bob", "password": "hash", "uid": 7, "gid": 8, "home": "/h", "mailbox": "/m", "allow": "", "deny": ""})
        self.ctl("lookup", "nobody", status=FAILED)
        self.assertIn('user "nobody" not known', self.complaint)
        self.assertEqual(self.ctl("exists", "joe"), "1\n")
        self.assertEqual(self.ctl("exists", "jo"), "0\n")
        self.assertEqual(self.ctl("who"), "ann\nbob\njoe\n")
        self.assertEqual(answer_of(self.ctl("who", "--json")), ["ann", "bob", "joe"])
        for verb in (["lookup", "joe"], ["lookup", "ann"], ["who"], ["exists", "joe"]):
            out = self.ctl(*verb)
            self.assertNotIn("hidden", out)
            self.assertNotIn("$", out)

    @harness.needs_root
    def test_files_that_are_refused(self):
        for verb in (["who"], ["exists", "a"], ["lookup", "a"], ["remove", "a"], ["rename", "a", "b"], ["save"]):
            self.ctl(*verb, status=FAILED)
            self.assertIn("No such file", self.complaint)
        self.assertFalse(os.path.exists(self.path))
        self.add("a")
        for mode, owner, what in ((0o644, 0, "read by others"), (0o620, 0, "may be written"), (0o600, 1234, "belongs")):
            os.chmod(self.path, mode)
            os.chown(self.path, owner, -1)
            for verb in (["who"], ["remove", "a"], ["save"], ["add", "b", "1", "1", "/"]):
                self.ctl(*verb, status=FAILED, data=b"x\n")
                self.assertIn(what, self.complaint)
        self.add("a", path=os.path.join(self.dir, "missing", "users"), status=FAILED)

    def test_save(self):
        copy = os.path.join(self.dir, "copy")
        self.add("a")
        first = self.text()
        os.umask(0)
        self.ctl("save", copy)
        self.assertEqual(self.text(copy), first)
        self.assertEqual(os.stat(copy).st_mode & 0o7777, 0o600)
        self.assertFalse(os.path.exists(copy + ".old"))
        self.add("b")
        self.ctl("save", copy)
        self.assertEqual(self.text(copy), self.text())
        self.assertEqual(self.text(copy + ".old"), first)
        self.ctl("save", copy)
        self.assertEqual(self.text(copy + ".old"), self.text())
        self.ctl("save")
        self.assertEqual(self.text(self.path + ".old"), self.text())
        self.assertNotEqual(os.stat(self.path).st_ino, os.stat(self.path + ".old").st_ino)
        self.ctl("save", self.dir, status=FAILED)
        self.ctl("save", os.path.join(self.dir, "no", "where"), status=FAILED)
        self.assertEqual(sorted(os.listdir(self.dir)), ["copy", "copy.old", "users", "users.lock", "users.old"])

    @harness.needs_root
    def test_read(self):
        other = os.path.join(self.dir, "other")
        self.add("a")
        self.add("b", path=other)
        self.ctl("read", other)
        self.assertEqual(self.text(), self.text(other))
        self.assertEqual(self.ctl("who"), "b\n")
        for text, mode in ((b"faulty\n", 0o600), (b"a:*:1:1:/\na:*:1:1:/\n", 0o600), (b"a:*:0:1:/\n", 0o600), (b"a:*:1:1:/\n", 0o644)):
            with open(other, "wb") as f:
                f.write(text)
            os.chmod(other, mode)
            self.ctl("read", other, status=FAILED)
            self.assertEqual(self.ctl("who"), "b\n")
        self.ctl("read", os.path.join(self.dir, "none"), status=FAILED)
        os.unlink(self.path)
        os.chmod(other, 0o600)
        self.ctl("read", other)
        self.assertEqual(self.ctl("who"), "a\n")
        self.assertEqual(os.stat(self.path).st_mode & 0o7777, 0o600)

    def test_a_symbolic_link_stays_one(self):
        real = os.path.join(self.dir, "real")
        self.add("a", path=real)
        os.symlink(real, self.path)
        self.add("b")
        self.assertTrue(os.path.islink(self.path))
        self.assertEqual(self.ctl("who", path=real), "a\nb\n")

    def test_many_at_once(self):
        def one(i):
            self.add("user%d" % i, b"x", "--plain")
        threads = [threading.Thread(target=one, args=(i,)) for i in range(24)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sorted(self.ctl("who").split()), sorted("user%d" % i for i in range(24)))
        self.assertEqual(sorted(os.listdir(self.dir)), ["users", "users.lock"])

    def test_a_full_disk_changes_nothing(self):
        self.add("a")
        before = self.text()

        def little():
            import resource
            import signal
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        self.add("b", status=FAILED, preexec_fn=little)
        self.assertEqual(self.text(), before)
        self.assertEqual(sorted(os.listdir(self.dir)), ["users", "users.lock"])

    def type_at_terminal(self, *answers):
        """Run `add joe` at a terminal; (exit status, what it showed)."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(harness.program("pop3ctl"), ["pop3ctl", "user", "-f", self.path, "add", "joe", "1000", "1000", "/"])
        seen, todo = b"", list(answers)
        while True:
            if not select.select([fd], [], [], 10)[0]:
                raise AssertionError("nothing came behind %r" % seen)
            try:
                piece = os.read(fd, 4096)
            except OSError:
                break
            if not piece:
                break
            seen += piece
            if todo and re.search(rb"(Password|Again): \Z", seen):
                time.sleep(0.05)
                os.write(fd, todo.pop(0) + b"\n")
        os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen

    def test_password_from_the_terminal(self):
        status, seen = self.type_at_terminal(b"typed secret", b"typed secret")
        self.assertEqual(status, DONE, seen)
        self.assertNotIn(b"typed", seen)
        before = self.text()
        status, seen = self.type_at_terminal(b"typed secret", b"typed secre")
        self.assertEqual(status, FAILED)
        self.assertIn(b"the passwords differ", seen)
        self.assertEqual(self.text(), before)
        self.assertEqual(self.type_at_terminal(b"", b"")[0], FAILED)

    @harness.needs_root
    def test_an_ordinary_user_edits_his_own(self):
        owner = harness.User()
        path = os.path.join(owner.home, "users")
        who = {"user": owner.uid, "group": owner.gid, "extra_groups": []}
        self.ctl("add", "me", "", "", "/", data=b"x\n", path=path, **who)
        self.assertRegex(self.text(path).decode(), r"\Ame:\$[^:]+:::/\n\Z")
        self.assertEqual(os.stat(path).st_uid, owner.uid)
        self.ctl("add", "me", "1", "1", "/", data=b"x\n", path=self.path, status=FAILED, **who)

    def test_the_daemon_takes_it_up(self):
        owner = harness.User()
        owner.maildir.make()
        owner.maildir.fill(MESSAGES)
        self.add("joe")
        daemon = self.own_daemon(auth="file:" + self.path)
        for options in ((), ("--plain",)):
            for password in (b"first one", b"second", b" a b" * 40):
                self.ctl("add", *options, "joe", str(owner.uid), str(owner.gid), owner.home, data=password + b"\n")
                client = self.connect(PLAIN, daemon)
                self.assertTrue(client.try_login(b"joe", b"wrong").startswith(b"-ERR [AUTH] "))
                client.ok(b"USER joe")
                client.ok(b"PASS " + password)
                client.quit()
        self.ctl("remove", "joe")
        client = self.connect(PLAIN, daemon)
        self.assertTrue(client.try_login(b"joe", password).startswith(b"-ERR [AUTH] "))
        client.quit()

