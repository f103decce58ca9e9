"""The user file, back end file:PATH."""

import contextlib
import os
import secrets
import shutil
import subprocess
import time
import unittest

import harness
import mailbox
import test_proxy
from client import TestCase
from harness import PLAIN, STLS, TLS

MESSAGES = mailbox.simple(2)


class Virtual:
    """A user of a user file, with a home of its own below a directory."""

    def __init__(self, owner, name=None, password=None, plain=False, box=""):
        self.owner = owner
        self.name = name or "v-" + secrets.token_hex(4)
        self.password = password or secrets.token_hex(8)
        self.plain = plain
        self.home = harness.world().path("home-" + secrets.token_hex(4))
        os.mkdir(self.home, 0o700)
        os.chown(self.home, owner.uid, owner.gid)
        self.box = os.path.join(self.home, box) if box else ""
        self.maildir = mailbox.Maildir(self.box or os.path.join(self.home, "Maildir"), owner.uid, owner.gid)
        self.maildir.counter = 0
        self.maildir.make()
        harness.world().passwords.add(self.password.encode())

    @property
    def name_octets(self):
        return self.name.encode()

    @property
    def password_octets(self):
        return self.password.encode()

    def line(self, ids=None):
        secret = "{plain}" + self.password if self.plain else harness.crypt_password(self.password)
        uid, gid = ids or (self.owner.uid, self.owner.gid)
        fields = [self.name, secret, str(uid), str(gid), self.home] + ([self.box] if self.box else [])
        return ":".join(fields) + "\n"


def write(path, text, mode=0o600, owner=None):
    """Replace a user file as an administrator should."""
    temporary = path + ".new"
    with open(temporary, "w") as f:
        os.fchmod(f.fileno(), mode)
        f.write(text)
    if owner is not None:
        os.chown(temporary, *owner)
    os.rename(temporary, path)


class UserFile(TestCase):
    settings = None

    @classmethod
    def setUpClass(cls):
        cls.owner = harness.User()

    def serve(self, text="", mode=0o600, **settings):
        """A daemon over a new user file; its path."""
        path = harness.world().path("users-" + secrets.token_hex(4))
        write(path, text, mode)
        return self.own_daemon(auth="file:" + path, **settings), path

    def write(self, path, text, mode=0o600):
        """As one does who may."""
        write(path, text, mode)

    def refused(self, daemon, user, password=None, kind=PLAIN, code=b"AUTH"):
        client = self.connect(kind, daemon)
        answer = client.try_login(user, password)
        self.assertTrue(answer.startswith(b"-ERR [%s] " % code), answer)
        client.quit()

    def served(self, daemon, user, messages=MESSAGES, kind=PLAIN):
        client = self.session(user, kind, daemon)
        self.assertEqual([client.multi(b"RETR %d" % (i + 1)) for i in range(len(messages))], [mailbox.wire(m) for m in messages])
        client.quit()

    @harness.needs_root
    def test_users_that_share_a_uid(self):
        users = [Virtual(self.owner), Virtual(self.owner, plain=True), Virtual(self.owner, "Ann-%Bee@example.org", "two words"),
                 Virtual(self.owner, box="Mail box:1")]
        for i, user in enumerate(users):
            user.maildir.fill(MESSAGES[i % 2:])
        daemon, _ = self.serve("# users\n\n" + "".join(u.line() for u in users))
        for kind in (PLAIN, STLS, TLS):
            for i, user in enumerate(users):
                self.served(daemon, user, MESSAGES[i % 2:], kind)
        for user, other in zip(users, users[1:]):
            self.refused(daemon, user, other.password_octets)
        # at the same time: each sees and deletes in its own mailbox only
        clients = [self.session(user, PLAIN, daemon) for user in users]
        self.assertGreaterEqual(len(daemon.session_of(self.owner)), len(users))
        clients[0].ok(b"DELE 1")
        for client in clients:
            client.quit()
        self.assertEqual(users[0].maildir.stored(), MESSAGES[1:])
        self.assertEqual(users[1].maildir.stored(), MESSAGES[1:])
        fields = daemon.log_fields("login", user=users[0].name)
        self.assertEqual(fields["uid"], str(self.owner.uid))

    def test_USR_08_a_wrong_password_or_no_user(self):
        user = Virtual(self.owner)
        daemon, _ = self.serve(user.line())
        self.refused(daemon, user, user.password_octets[:-1])
        self.refused(daemon, user, user.password_octets + b" ")
        self.refused(daemon, b"nobody-here", user.password_octets)
        self.refused(daemon, user.name_octets.upper(), user.password_octets)
        daemon.log_fields("login-failed", user=user.name, reason="password")
        daemon.log_fields("login-failed", user="unknown", reason='"no such user"')

    def test_locked_and_empty_passwords(self):
        names = {"star": "*", "bang": "!", "empty": "{plain}", "odd": "$9$x$y", "none": ""}
        home = Virtual(self.owner).home
        daemon, _ = self.serve("".join("%s:%s:%d:%d:%s\n" % (n, p, self.owner.uid, self.owner.gid, home) for n, p in names.items()))
        for name, password in names.items():
            for attempt in {password or "x", "x", "*", "*0", "{plain}"}:
                self.refused(daemon, name.encode(), attempt.encode())

    def test_networks(self):
        """An account is used from where it may be, and refused elsewhere as with a wrong password."""
        lists = {":allow=127.0.0.0/8": True, ":allow=192.0.2.0/24": False, ":allow=192.0.2.0/24,127.0.0.1": True, ":deny=127.0.0.1": False,
                 ":deny=2001:db8::/32": True, ":allow=127.0.0.1:deny=127.0.0.0/8": False, ":allow=localhost": False}
        users = {Virtual(self.owner): words for words in lists}
        daemon, path = self.serve("".join(user.line().rstrip() + words + "\n" for user, words in users.items()))
        for user, words in users.items():
            if lists[words]:
                self.served(daemon, user, ())
                continue
            self.refused(daemon, user)
            daemon.log_fields("login-failed", user=user.name,
                              reason='"locked in the user file"' if "localhost" in words else '"not from this network"')
        self.assertIn("%s:7: nobody can log in: allow and deny" % path, daemon.log())

    def test_networks_of_an_announced_client(self):
        user = Virtual(self.owner)
        daemon, _ = self.serve(user.line().rstrip() + ":allow=192.0.2.0/24\n", servers=test_proxy.servers(cleartext_login="always"))
        for source, word in (("192.0.2.7", b"+OK"), ("198.51.100.9", b"-ERR [AUTH]")):
            client = self.connect(PLAIN, daemon, header=test_proxy.v1(source))
            answer = client.try_login(user)
            self.assertTrue(answer.startswith(word), answer)
            client.close()

    def test_changes_are_taken_up(self):
        first, second = Virtual(self.owner), Virtual(self.owner)
        daemon, path = self.serve(first.line())
        self.served(daemon, first, ())
        open_session = self.session(first, PLAIN, daemon)
        self.write(path, second.line())
        self.served(daemon, second, ())
        self.refused(daemon, first)
        open_session.ok(b"STAT")  # what is open stays open
        open_session.quit()
        # in place, within one second, and to another mailbox
        second.box = os.path.join(second.home, "Other")
        mailbox.Maildir(second.box, self.owner.uid, self.owner.gid).fill(MESSAGES)
        with open(path, "w") as f:
            f.write(second.line() + first.line())
        self.served(daemon, second, MESSAGES)
        self.served(daemon, first, ())
        os.unlink(path)
        self.refused(daemon, first, code=b"SYS/TEMP")
        daemon.log_wait(r"user file: .*No such file")
        self.write(path, first.line())
        self.served(daemon, first, ())

    @harness.needs_root
    def test_owner_and_mode(self):
        user = Virtual(self.owner)
        daemon, path = self.serve(user.line(), mode=0o644)
        self.refused(daemon, user, code=b"SYS/TEMP")
        daemon.log_wait("user file: .*may be read by others")
        for mode, good in ((0o660, False), (0o602, False), (0o640, True), (0o400, True)):
            self.write(path, user.line(), mode)
            if good:
                self.served(daemon, user, ())
            else:
                self.refused(daemon, user, code=b"SYS/TEMP")
        write(path, user.line(), owner=(self.owner.uid, self.owner.gid))
        self.refused(daemon, user, code=b"SYS/TEMP")
        daemon.log_wait("user file: .*belongs neither to root")
        os.unlink(path)
        os.mkfifo(path, 0o600)
        self.refused(daemon, user, code=b"SYS/TEMP")
        daemon.log_wait("user file: .*not a regular file")

    @harness.needs_root
    def test_SYS_03_ids_that_are_refused(self):
        root, low, good = Virtual(self.owner), Virtual(self.owner), Virtual(self.owner)
        daemon, path = self.serve(root.line((0, 0)) + low.line((33, 33)) + good.line())
        for user in (root, low):
            self.refused(daemon, user)
        self.served(daemon, good, ())
        daemon.log_wait(r"%s:1: uid is not a number above 0" % path)
        daemon.log_fields("login-failed", user=low.name, reason='"uid not allowed"')

    def test_faulty_lines_harm_no_other(self):
        good = Virtual(self.owner)
        lines = ["no colon", "a:b", ":x:1000:1000:/", "b:x:y:1000:/", "c:x:1000:1000:relative", "d\x01:x:1000:1000:/", good.line().rstrip(),
                 "x" * 300 + ":y:1000:1000:/", good.name + ":{plain}other:%d:%d:/" % (self.owner.uid, self.owner.gid)]
        daemon, path = self.serve("\n".join(lines))
        self.served(daemon, good, ())
        self.refused(daemon, good, b"other")  # the first line counts
        for number in (1, 2, 3, 4, 5, 6, 8):
            daemon.log_wait("%s:%d: " % (path, number))
        self.assertNotIn("{plain}", daemon.log())

    def test_children_have_no_privilege(self):
        user = Virtual(self.owner)
        daemon, _ = self.serve(user.line())
        self.served(daemon, user, ())
        children = daemon.auth_children()
        self.assertTrue(children)
        for pid in children:
            status = harness.status(pid)
            self.assertNotIn("0", status["Uid"].split())
            self.assertEqual(int(status["CapPrm"], 16) | int(status["CapEff"], 16), 0)
            self.assertEqual(status["NoNewPrivs"], "1")

    @staticmethod
    def ticks(daemon):
        """Processor time of the children (proc(5): utime and stime)."""
        return sum(sum(map(int, harness.proc_octets(pid, "stat").rsplit(b")", 1)[1].split()[11:13])) for pid in daemon.auth_children())

    def test_USR_09_unknown_user_costs_the_same(self):
        user = Virtual(self.owner)
        daemon, path = self.serve()
        hashed = "$6$rounds=400000$" + harness.crypt_password(user.password).split("$", 3)[3]
        self.write(path, "%s:%s:%d:%d:%s\n" % (user.name, hashed, user.owner.uid, user.owner.gid, user.home))
        ticks = {user.name_octets: 0, b"nobody-here": 0}  # of processor time, which a busy host does not change
        for name in list(ticks) * 8:
            client = self.connect(PLAIN, daemon)
            client.ok(b"USER " + name)
            before = self.ticks(daemon)
            client.err(b"PASS wrong")
            ticks[name] += self.ticks(daemon) - before
            client.quit()
        known, unknown = ticks.values()
        self.assertGreater(known, 8)
        self.assertLess(abs(known - unknown), known / 2)


@unittest.skipUnless(shutil.which("setpriv"), "needs setpriv")
class Forms(TestCase):
    settings = None

    @classmethod
    def setUpClass(cls):
        cls.owner = harness.User()

    def test_forms_of_the_password_and_of_the_file(self):
        """What other servers and editors write: marks before hashes, a byte order mark, CRLF line ends."""
        secret = "a secret " + secrets.token_hex(6)
        sha512, sha256 = harness.crypt_password(secret), harness.crypt_password(secret, "-5")
        good = ["{SHA512-CRYPT}" + sha512, "{SHA256-CRYPT}" + sha256, "{CRYPT}" + sha512, sha512,
                "{PLAIN}" + secret, "{plain}" + secret]
        bad = ["{SSHA}n3xSzRyVEwjWPLHKzCvSPZ3UjTvZ", secret, "{SHA512-CRYPT}" + secret, "$9$x$y"]
        home = Virtual(self.owner).home
        text = "".join("u%d:%s:%d:%d:%s\r\n" % (i, p, self.owner.uid, self.owner.gid, home) for i, p in enumerate(good + bad))
        daemon, path = UserFile.serve(self, "\ufeff" + text)
        for i in range(len(good)):
            self.assertTrue(self.connect(PLAIN, daemon).try_login(b"u%d" % i, secret.encode()).startswith((b"+OK ", b"-ERR [IN-USE] ")), good[i])
        checked = subprocess.run([harness.program(), "-t", "-c", daemon.conf_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        for i in range(len(good), len(good + bad)):
            UserFile.refused(self, daemon, b"u%d" % i, secret.encode())
            fault = "%s:%d: nobody can log in: " % (path, i + 1)
            daemon.log_wait(fault)
            self.assertIn("\n" + fault, "\n" + checked.stderr)
        self.assertEqual(checked.stderr.count(path), len(bad))
        self.assertNotIn(secret, checked.stderr)
        daemon.log_fields("login-failed", reason='"locked in the user file"')

    def test_check_names_a_file_that_cannot_be_used(self):
        daemon = harness.Daemon(start=False, auth="file:/nonexistent/users")
        checked = subprocess.run([harness.program(), "-t", "-c", daemon.conf_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(checked.returncode, 0)  # it may come, and then serves
        self.assertIn("user file: /nonexistent/users: No such file or directory\n", checked.stderr)


class Rootless(UserFile):
    """The whole daemon as an ordinary user: its users are all that one."""

    def serve(self, text="", mode=0o600, **settings):
        path = os.path.join(self.owner.home, "users-" + secrets.token_hex(4))
        write(path, text, mode, (self.owner.uid, self.owner.gid))
        certificate, key = harness.world().certificate()
        for source in (certificate, key):
            shutil.copy(source, self.owner.home)
            copy = os.path.join(self.owner.home, os.path.basename(source))
            os.chown(copy, self.owner.uid, self.owner.gid)
            os.chmod(copy, 0o600)
        daemon = self.own_daemon(
            start=False, auth="file:" + path, certificate=os.path.join(self.owner.home, os.path.basename(certificate)),
            certificate_key=os.path.join(self.owner.home, os.path.basename(key)),
            wrap=harness.as_ids(self.owner.uid, self.owner.gid), **settings)
        os.chown(daemon.dir, self.owner.uid, self.owner.gid)
        daemon.start()
        return daemon, path

    def write(self, path, text, mode=0o600):
        write(path, text, mode, (self.owner.uid, self.owner.gid))

    def test_ids_may_be_left_out(self):
        user = Virtual(self.owner, plain=True)
        user.maildir.fill(MESSAGES)
        daemon, _ = self.serve(user.line(("", "")))
        for kind in (PLAIN, STLS, TLS):
            self.served(daemon, user, MESSAGES, kind)
        for pid, started in daemon.processes():
            with contextlib.suppress(FileNotFoundError):  # it may be ending
                if harness.start_time(pid) == started:
                    self.assertEqual(harness.status(pid)["Uid"].split(), [str(self.owner.uid)] * 4)

    @harness.needs_root
    def test_owner_and_mode(self):
        user = Virtual(self.owner)
        mine = (self.owner.uid, self.owner.gid)
        daemon, path = self.serve(user.line(), mode=0o604)
        self.refused(daemon, user, code=b"SYS/TEMP")
        write(path, user.line(), 0o660, mine)
        self.refused(daemon, user, code=b"SYS/TEMP")
        write(path, user.line(), 0o600, (1, 1))  # cannot even be opened
        self.refused(daemon, user, code=b"SYS/TEMP")
        write(path, user.line(), 0o640, (0, self.owner.gid))  # root's
        self.served(daemon, user, ())

    def test_SYS_03_ids_that_are_refused(self):
        other, good = Virtual(self.owner), Virtual(self.owner)
        daemon, _ = self.serve(other.line((self.owner.uid + 1, self.owner.gid)) + good.line())
        self.refused(daemon, other)
        self.served(daemon, good, ())
