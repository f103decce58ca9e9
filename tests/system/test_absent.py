"""A mailbox that is missing: never had mail, or not there now; and what the log says of one that cannot be reached."""

import os
import shutil
import subprocess

import harness
import mailbox
from client import TestCase
from harness import PLAIN

MESSAGES = mailbox.simple(2)
TEMP, PERM = b"-ERR [SYS/TEMP] ", b"-ERR [SYS/PERM] "


class Absent(TestCase):
    settings = None

    def setUp(self):
        super().setUp()
        self.user = harness.User()  # nobody's before: what is remembered of a home is what this test did
        self.daemon = self.own_daemon()

    def answer(self, daemon=None):
        client = self.connect(PLAIN, daemon)
        response = client.try_login(self.user)
        client.close()
        return response

    def fails(self, code, why, daemon=None):
        self.assertTrue(self.answer(daemon).startswith(code))
        (daemon or self.daemon).log_wait(why)

    def has(self, count, daemon=None):
        client = self.session(self.user, PLAIN, daemon)
        self.assertEqual(len(client.listing(b"UIDL")), count)
        client.quit()

    def move_home(self):
        aside = self.user.home + ".aside"
        os.rename(self.user.home, aside)
        self.addCleanup(shutil.rmtree, aside, True)
        return aside

    def test_never_had_mail(self):
        shutil.rmtree(self.user.maildir.path, True)
        self.has(0)
        self.has(0)
        self.user.maildir.make()
        self.has(0)
        shutil.rmtree(self.user.maildir.path)
        self.has(0)  # no client has seen a message

    def test_had_mail(self):
        self.user.maildir.make()
        self.user.maildir.fill(MESSAGES)
        self.has(2)
        aside = self.user.maildir.path + ".aside"
        os.rename(self.user.maildir.path, aside)
        self.fails(TEMP, "maildir %s: missing, and not treated as empty: it had mail at an earlier login" % self.user.maildir.path)
        self.assertEqual(self.daemon.stop(), [])
        self.daemon.start()
        self.fails(TEMP, "it had mail")
        os.rename(aside, self.user.maildir.path)
        self.has(2)
        shutil.rmtree(self.user.maildir.path)
        self.user.maildir.make()  # as the log says
        self.has(0)

    @harness.needs_root
    def test_home_is_not_mounted(self):
        """Nothing is remembered by this daemon; the place tells."""
        home = self.user.home
        subprocess.run(["mount", "-t", "tmpfs", "-o", "uid=%d,mode=700" % self.user.uid, "none", home], check=True)
        try:
            self.has(0)
        finally:
            subprocess.run(["umount", home], check=True)
        os.chown(home, 0, 0)
        os.chmod(home, 0o755)
        for storage in ("maildir:%h/Maildir", "mbox:%h/mbox", "dir:%h/mail"):
            daemon = self.own_daemon(storage=storage)
            self.fails(TEMP, "its user's home is empty and another user's; is it mounted", daemon)
        os.chown(home, self.user.uid, self.user.gid)
        self.has(0)  # a new account's

    def test_home_is_missing(self):
        self.move_home()
        for storage in ("maildir:%h/Maildir", "mbox:%h/mbox", "dir:%h/mail"):
            self.fails(TEMP, "its user's home does not exist; is it mounted", self.own_daemon(storage=storage))
        self.fails(PERM, "open: No such file or directory", self.own_daemon(missing_maildir="error"))

    def test_link_that_leads_nowhere(self):
        shutil.rmtree(self.user.maildir.path, True)
        os.symlink("/nonexistent/mail", self.user.maildir.path)
        self.fails(TEMP, "it is a symbolic link that leads nowhere")

    def test_place_outside_of_the_home(self):
        base = harness.world().path("spool-" + self.user.name)
        daemon = self.own_daemon(storage="maildir:%s/%%u" % base)
        self.fails(PERM, "open: No such file or directory", daemon)
        os.mkdir(base)
        self.has(0, daemon)

    def test_file_of_who_had_mail(self):
        path = os.path.join(self.daemon.settings["state_dir"], "had-mail")
        self.assertEqual(self.daemon.stop(), [])
        with open(path, "w") as f:
            f.write("1000 /a\n\nnonsense\n1000 /cut o")
        self.daemon.start()
        self.user.maildir.make()
        self.user.maildir.fill(MESSAGES)
        for _ in range(3):
            self.has(2)
        with open(path) as f:
            self.assertEqual(f.read().splitlines()[3:], ["1000 /cut o", "%d %s" % (self.user.uid, self.user.maildir.path)])
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    @harness.needs_root
    def test_without_a_state_directory(self):
        daemon = self.own_daemon(state_dir="/nonexistent/state")
        daemon.log_wait("state_dir /nonexistent/state: No such file or directory")
        self.user.maildir.make()
        self.user.maildir.fill(MESSAGES)
        self.has(2, daemon)
        shutil.rmtree(self.user.maildir.path)
        self.fails(TEMP, "it had mail", daemon)


class Denied(TestCase):
    """The log names what denies: the component, its owner and mode."""

    @harness.needs_root
    def test_component(self):
        user = harness.User()
        user.maildir.make()
        base = harness.world().path("base-" + user.name)
        os.mkdir(base, 0o700)
        self.addCleanup(shutil.rmtree, base)
        shutil.copytree(user.maildir.path, os.path.join(base, "box"))
        for folder in ("", "new", "cur"):
            os.chown(os.path.join(base, "box", folder), user.uid, user.gid)
        for storage, denier, mode in (("maildir:%s/box", "", 0o700), ("maildir:%s/box", "box", 0o100), ("maildir:%s/box", "box/new", 0o300),
                                      ("dir:%s/box/new/%%n", "box", 0o600), ("mbox:%s/box/mbox", "", 0o710)):
            daemon = self.own_daemon(storage=storage % base)
            os.chmod(base, 0o755)
            path = os.path.join(base, denier) if denier else base
            before = os.stat(path)
            os.chmod(path, mode)
            self.assertTrue(self.connect(PLAIN, daemon).try_login(user).startswith(PERM), storage)
            daemon.log_wait(r": Permission denied: %s has owner %d, group %d, mode 0%o; this is uid %d" % (path, before.st_uid, before.st_gid, mode, user.uid))
            os.chmod(path, before.st_mode & 0o7777)
