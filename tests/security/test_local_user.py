"""A hostile local user: what he can do to the host by his mailbox, his processes and the control socket."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import stat
import subprocess
import unittest

import harness
import mailbox
import mboxes
from client import Eof, PLAIN, TestCase

MESSAGES = mailbox.simple(2)
SECRET = b"From root Mon Jan  2 10:00:00 2023\nSubject: root's\n\nwhat is root's\n"  # would be a mailbox of each kind
ROUNDS = 20  # logins during the race
PTRACE_ATTACH = 16

# The part of etc/quickstart that uses the demonstration account's home, the account being $1; what it does to
# the host is left out.
QUICKSTART = r"""
name=$1 script=$2
eval "$(sed -e '/^main "/d' -e "s/popdemo/$name/g" -e "s|^build=.*|build=$3|" "$script")"
system_user_make() { :; }
install() { :; }
chpasswd() { cat >/dev/null; }
getent() { [ $# = 1 ] || command getent "$@"; } # no ordinary account
mkdir -p "$demo"
host_accounts
"""


def fifo(path, _user):
    os.mkfifo(path, 0o666)


def directory(path, _user):
    os.mkdir(path, 0o777)


def device(path, _user):
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero, without end


def loop(path, _user):
    os.symlink(path, path)


def huge(path, _user):
    with open(path, "wb") as f:
        f.truncate(1 << 40)  # sparse


def as_user(user, act):
    """Run act() in a process of that user; what it returns is its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.setgroups([])
            os.setresgid(user.gid, user.gid, user.gid)
            os.setresuid(user.uid, user.uid, user.uid)
            status = act()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@unittest.skipIf(os.geteuid() != 0, "needs root")
class Quickstart(TestCase):
    """Root runs it, and the demonstration account's home is the account's."""

    settings = None

    def run_it(self, user):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../etc/quickstart")
        build = harness.world().path("quickstart-" + user.name)
        return subprocess.run(["bash", "-c", QUICKSTART, "-", user.name, script, build], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)

    def test_quickstart_in_a_home(self):
        user, target = self.user(), harness.world().path("quickstart-target")
        done = self.run_it(user)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual([uid for _, uid in self.owners(user.maildir.path)], [user.uid] * 5)
        shutil.rmtree(user.maildir.path)
        os.mkdir(target, 0o755)
        os.symlink(target, user.maildir.path)
        done = self.run_it(user)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(os.listdir(target), [])
        self.assertEqual(os.stat(target).st_mode & 0o777, 0o755)
        os.unlink(user.maildir.path)

    def owners(self, path):
        return [(p, os.lstat(p).st_uid) for folder, folders, names in os.walk(path)
                for p in [folder, *(os.path.join(folder, name) for name in names)]]


@unittest.skipIf(os.geteuid() != 0, "needs root")
class Mailboxes:
    """Something odd stands wherever a session opens a file of its own, or of the mailbox.  Of each store one."""

    settings = None
    storage = None  # None: the first one's, a Maildir
    names = ()  # below folder()
    mail = ()  # of these, which are mail: without an end they take their owner's time
    slow = ()  # of these, which a session waits for
    limit = 180

    @classmethod
    def setUpClass(cls):
        cls.settings = {"storage": cls.storage} if cls.storage else {}
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.owner, self.other = self.user(), self.user()
        self.addCleanup(self.remove, self.owner)
        self.addCleanup(self.remove, self.other)
        self.fill(self.owner)
        self.fill(self.other)
        self.secret = harness.world().path("secret")
        with open(self.secret, "wb") as f:
            f.write(SECRET)
        os.chmod(self.secret, 0o644)  # what keeps him from it is that his link is not followed

    def folder(self, user):
        return os.path.join(user.home, "mail")

    def fill(self, user):
        """A mailbox as new, of MESSAGES."""
        raise NotImplementedError

    def remove(self, user):
        shutil.rmtree(self.folder(user), ignore_errors=True)

    def base(self):
        """Where the names are."""
        return self.folder(self.owner)

    def at(self, name):
        """The path of a name of the owner's; INODE is that of his mbox, UID his own."""
        if "INODE" in name:
            name = name.replace("INODE", "%x" % os.stat(os.path.join(self.folder(self.owner), "inbox")).st_ino)
        return os.path.join(self.base(), name.replace("UID", str(self.owner.uid)))

    def link(self, path, _user):
        os.symlink(self.secret, path)

    def use(self):
        """Whatever he is answered, he is answered, and nothing of root's is read or written."""
        client = self.connect(PLAIN, timeout=60)
        login = client.try_login(self.owner)
        if login.startswith(b"+OK"):
            client.send(b"LIST\r\nUIDL\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
            self.assertNotIn(b"root's", client.rest())
        client.close()
        with open(self.secret, "rb") as f:
            self.assertEqual(f.read(), SECRET)
        return login

    def other_is_served(self):
        client = self.session(self.other)
        self.assertEqual(len(client.listing(b"LIST")), len(MESSAGES))
        client.quit()

    def put(self, thing, name):
        """The thing at that name, the owner's; what stood there is beside it."""
        path = self.at(name)
        if not os.path.isdir(os.path.dirname(path)):
            os.mkdir(os.path.dirname(path), 0o700)
            os.chown(os.path.dirname(path), self.owner.uid, self.owner.gid)
        if os.path.lexists(path):
            os.rename(path, path + ".old")
        thing(path, self.owner)
        os.lchown(path, self.owner.uid, self.owner.gid)

    def test_odd_things_at_every_name(self):
        for name in self.names:
            things = (self.link,) if name in self.slow else (fifo, directory, device, self.link, loop, huge)
            for thing in things:
                if thing is huge and name in self.mail:
                    continue
                with self.subTest(thing=thing.__name__, name=name):
                    self.fill(self.owner)
                    self.put(thing, name)
                    self.use()
                    self.other_is_served()

    def test_names_that_change_meanwhile(self):
        names = [os.path.relpath(self.at(name), self.base()) for name in self.names if name not in self.slow]
        flipper = os.fork()
        if flipper == 0:
            as_user(self.owner, lambda: self.flip(names, os.getppid()))
            os._exit(0)
        try:
            for _ in range(ROUNDS):
                self.use()
                self.other_is_served()
        finally:
            os.kill(flipper, signal.SIGKILL)
            os.waitpid(flipper, 0)

    def flip(self, names, parent):
        """Swap each name with a link to root's file, until the test ends its parent."""
        os.chdir(self.base())
        while os.getppid() == parent:
            for name in names:
                with contextlib.suppress(OSError):
                    os.symlink(self.secret, name + ".link")
                for a, b in ((name, name + ".old"), (name + ".link", name), (name, name + ".link"), (name + ".old", name)):
                    with contextlib.suppress(OSError):
                        os.rename(a, b)
        return 0


class Maildirs(Mailboxes, TestCase):
    names = ("pop3d-index", "pop3d-index.new", "pop3d-uids", "pop3d-lock", "pop3d-history", "new", "cur", "tmp")

    def folder(self, user):
        return user.maildir.path

    def fill(self, user):
        user.maildir.fill(MESSAGES)

    def remove(self, user):
        user.maildir.fill([])

    def test_a_lock_that_nobody_holds_any_more(self):
        path = os.path.join(self.owner.maildir.path, "pop3d-lock")
        with open(path, "w") as f:
            f.write("1\n")
        os.chown(path, self.owner.uid, self.owner.gid)
        self.session(self.owner).quit()


class Directories(Mailboxes, TestCase):
    storage = "dir:%h/mail"
    names = (".pop3d-lock", ".pop3d-uids", ".pop3d-history", "1", "2")
    mail = ("1", "2")

    def fill(self, user):
        folder = self.folder(user)
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder, 0o700)
        for i, message in enumerate(MESSAGES, 1):
            with open(os.path.join(folder, str(i)), "wb") as f:
                f.write(message)
            os.chown(f.name, user.uid, user.gid)
        os.chown(folder, user.uid, user.gid)


class Mboxes(Mailboxes, TestCase):
    storage = "mbox:%h/mail/inbox"
    names = ("inbox", "inbox.lock", ".inbox.pop3d-lock", ".pop3d", ".pop3d/mbox-INODE.lock", ".pop3d/mbox-INODE.journal",
             ".pop3d/mbox-INODE.journal.new", ".pop3d/mbox-INODE.uids", ".pop3d/mbox.reserve", ".pop3d/inbox.history")
    mail = ("inbox",)
    slow = ("inbox.lock",)

    def fill(self, user):
        shutil.rmtree(self.folder(user), ignore_errors=True)
        mboxes.home_box(user).fill(MESSAGES)


class Journals(Mailboxes, TestCase):
    """What mbox_journal names: a directory in which each user makes one of his own."""

    names = ("UID", "UID/mbox-INODE.journal", "UID/mbox-INODE.journal.new")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.settings = {"storage": "mbox:%h/mail/inbox", "mbox_journal": mboxes.journals()}
        cls.daemon = harness.shared_daemon(**cls.settings)

    def fill(self, user):
        Mboxes.fill(self, user)
        path = os.path.join(mboxes.journals(), str(user.uid))
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)

    def base(self):
        return mboxes.journals()


@unittest.skipIf(os.geteuid() != 0, "needs root")
class Processes(TestCase):
    settings = {}

    def setUp(self):
        super().setUp()
        self.owner = self.user(MESSAGES)

    def session_pid(self):
        pid, = harness.wait_for(lambda: self.daemon.session_of(self.owner))
        return pid

    def test_he_cannot_trace_his_session_or_read_its_memory(self):
        client = self.session(self.owner)
        pid = self.session_pid()

        def attack():
            libc = ctypes.CDLL(None, use_errno=True)
            got = int(libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0)
            for name in ("mem", "environ", "maps", "fd"):
                path = "/proc/%d/%s" % (pid, name)
                with contextlib.suppress(OSError):
                    if name == "fd":
                        os.listdir(path)
                    else:
                        with open(path, "rb") as f:
                            f.read(1)
                    got += 1
            return got
        self.assertEqual(as_user(self.owner, attack), 0)
        client.quit()

    def test_killing_his_session_deletes_nothing(self):
        other = self.session(self.user(MESSAGES))
        for signum in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGALRM):
            with self.subTest(signal=signum):
                user = self.owner = self.user(MESSAGES)
                client = self.session(user)
                client.ok(b"DELE 1")
                pid = self.session_pid()
                self.assertEqual(as_user(user, lambda pid=pid, signum=signum: os.kill(pid, signum) or 0), 0)
                with contextlib.suppress(Eof, OSError):
                    client.command(b"NOOP")
                client.close()
                self.assertEqual(user.maildir.stored(), MESSAGES)
        other.ok(b"NOOP")
        other.quit()
        self.daemon.may_crash = True  # SIGSEGV was his

    def test_he_cannot_signal_other_processes(self):
        client = self.session(self.owner)
        victims = [pid for pid, _ in self.daemon.processes() if pid not in self.daemon.session_of(self.owner)]

        def attack():
            got = 0
            for pid in victims:
                with contextlib.suppress(PermissionError):
                    os.kill(pid, signal.SIGKILL)
                    got += 1
            return got
        self.assertEqual(as_user(self.owner, attack), 0)
        client.quit()

    def test_he_cannot_use_the_control_socket(self):
        path = os.path.join(self.daemon.settings["runtime_dir"], "control")

        def attack():
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as s:
                try:
                    s.connect(path)
                except OSError:
                    return 0
            return 1
        self.assertEqual(as_user(self.owner, attack), 0)
        self.assertEqual(as_user(self.owner, lambda: subprocess.run([harness.program("pop3ctl"), "status"], stdout=subprocess.DEVNULL,
                                                                    stderr=subprocess.DEVNULL).returncode == 0), 0)


if __name__ == "__main__":
    unittest.main()
