"""Mailbox jobs: what pop3ctl has a session do as the mailbox's owner."""

import contextlib
import os
import secrets
import re
import shutil
import signal
import socket
import subprocess
import unittest

import harness
import mailbox
from client import TestCase
from control import DONE, FAILED, UNREACHABLE, USAGE, Control, packed
from harness import PLAIN
from test_quit import Traced

MESSAGES = mailbox.simple(2)
JOBS_MAX = 16


def writable_base():
    """A base directory in which every user may make a mailbox."""
    path = harness.world().path("base-" + secrets.token_hex(4))
    os.mkdir(path)
    os.chmod(path, 0o1777)
    return path


_big = []


def big_base():
    """One with more mailboxes than pop3ctl can be told of before somebody reads; everybody's."""
    if not _big:
        _big.append(writable_base())
        for i in range(4000):
            path = os.path.join(_big[0], "%0200d" % i)
            os.mkdir(path)
            os.chmod(path, 0o777)
    return _big[0]


class JobCase(TestCase):
    def setUp(self):
        super().setUp()
        self.ctl = Control(self.daemon)

    def job_line(self, daemon=None, **want):
        return (daemon or self.daemon).log_fields("job", **want)

    def slow(self, ctl, server, user):
        """A job that has more to say than anybody reads, over big_base(); pop3ctl and the session's pid."""
        asker = ctl.start("box", "list", server, user.name)
        self.addCleanup(asker.communicate)
        self.addCleanup(asker.kill)
        harness.wait_for(lambda: ctl.daemon.session_of(user))
        return asker, ctl.daemon.session_of(user)[-1]


class Maildir(JobCase):
    """The usual servers: pam, and a Maildir in each home."""

    def test_exists(self):
        user = self.user()
        self.assertEqual(self.ctl.done("box", "exists", "clear", user.name), "1")
        self.assertEqual(self.ctl.json("box", "exists", "clear", user.name), True)
        user.maildir.remove()
        self.assertEqual(self.ctl.done("box", "exists", "-", user.name), "0")
        fields = self.job_line(user=user.name, server="clear", job='"box exists"')
        self.assertEqual(sorted(fields), ["conn", "duration", "job", "server", "status", "user"])
        self.assertEqual(fields["status"], "0")

    def test_no_line_of_a_login(self):
        user, mark = self.user(MESSAGES), len(self.daemon.log())
        self.ctl.done("box", "locked", "clear", user.name)
        self.job_line(user=user.name, job='"box locked"')
        for kind in ("login", "session-end", "login-failed", "disconnect"):
            self.assertNotRegex(self.daemon.log()[mark:], r"\b%s .*user=%s" % (kind, user.name))

    @harness.needs_root
    def test_who_is_no_user(self):
        mark = len(self.daemon.log())
        self.assertEqual(self.ctl.refused(FAILED, "box", "exists", "clear", "nobody-there"), "no such account")
        self.assertEqual(self.ctl.refused(FAILED, "box", "exists", "clear", "root"), "uid 0 is never served")
        for name in ("", "a\nb", "x" * 300):
            self.assertEqual(self.ctl.refused(FAILED, "box", "exists", "clear", name), "no user has such a name")
        self.assertIn("no such server", self.ctl.refused(FAILED, "box", "exists", "nowhere", "x"))
        self.assertEqual(self.job_line(user="nobody-there")["reason"], '"no such account"')
        self.assertNotIn("login-failed", self.daemon.log()[mark:])

    @harness.needs_root
    def test_a_uid_below_the_minimum(self):
        user = self.user()
        ctl = Control(self.own_daemon(minimum_uid=user.uid + 1))
        self.assertEqual(ctl.refused(FAILED, "box", "exists", "clear", user.name),
                         "uid %d is below minimum_uid (%d)" % (user.uid, user.uid + 1))

    def test_usage(self):
        user = self.user()
        for words in (["box"], ["box", "exist", "clear", user.name], ["box", "exists"], ["box", "exists", "clear"],
                      ["box", "exists", "clear", user.name, "more"], ["box", "locked", "clear", user.name, "more"],
                      ["box", "move", "clear", user.name]):
            with self.subTest(words=words):
                self.ctl.refused(USAGE, *words)
        self.assertIn("too long", self.ctl.refused(FAILED, "box", "exists", "clear", user.name, "x" * 4000))
        self.assertIn("box exists server user", self.ctl.refused(USAGE, "box", "exists", "clear", user.name, "x"))

    def test_requests_that_pop3ctl_does_not_make(self):
        user = self.user().name.encode()
        for words in ([b"job"], [b"job", b"clear"], [b"job", b"clear", user, b""]):
            self.assertEqual(self.ctl.send_raw(packed(*words))[:1], b"2")
        with self.ctl.raw() as s:  # no word that a session knows
            s.sendall(packed(b"job", b"clear", user, b"", b"rm"))
            octets, fds, _, _ = socket.recv_fds(s, 100, 1)
            self.assertEqual(octets[:1], b"0")
        with socket.socket(fileno=fds[0]) as stream:
            stream.settimeout(5)
            self.assertEqual(stream.recv(100), b"!no such job\n=1\n")
        self.assertEqual(self.job_line(job="rm")["status"], "1")

    def test_locked_and_busy(self):
        user = self.user(MESSAGES)
        self.assertEqual(self.ctl.done("box", "locked", "clear", user.name), "0")
        client = self.session(user)
        self.assertEqual(self.ctl.done("box", "locked", "secure", user.name), "1")
        client.quit()
        self.assertEqual(self.ctl.done("box", "locked", "secure", user.name), "0")
        user.maildir.remove()
        self.assertIn("does not exist", self.ctl.refused(FAILED, "box", "locked", "clear", user.name))

    def test_add_makes_a_maildir(self):
        user = self.user()
        user.maildir.remove()
        self.assertEqual(self.ctl.done("box", "add", "clear", user.name), "")
        for name in ("", "cur", "new", "tmp"):
            st = os.stat(os.path.join(user.maildir.path, name))
            self.assertEqual((st.st_mode & 0o7777, st.st_uid, st.st_gid), (0o700, user.uid, user.gid))
        self.assertEqual(self.ctl.refused(FAILED, "box", "add", "clear", user.name),
                         'cannot add "%s", mailbox already in existence' % user.name)
        user.maildir.deliver(MESSAGES[0])
        client = self.session(user)
        self.assertEqual(client.ok(b"STAT"), b"+OK 1 %d" % mailbox.size(MESSAGES[0]))
        client.quit()

    def test_what_is_for_directories_only(self):
        user = self.user()
        for words in (["list"], ["remove"], ["move"]):
            more = ["other"] if words == ["move"] else []
            self.assertIn("dir: storage", self.ctl.refused(FAILED, "box", *words, "clear", user.name, *more))
        self.assertTrue(os.path.isdir(user.maildir.path))

    @harness.needs_root
    def test_who_may(self):
        member, stranger = self.user(), self.user()
        group = harness.pwd.getpwnam(member.name).pw_gid
        name = subprocess.run(["getent", "group", str(group)], stdout=subprocess.PIPE, check=True).stdout.decode().split(":")[0]
        ctl = Control(self.own_daemon(control_group=name))
        who = {"user": member.uid, "group": member.gid, "extra_groups": []}
        ctl.done("list", **who)
        self.assertEqual(ctl.refused(FAILED, "box", "exists", "clear", member.name, **who), "only root may do that")
        self.assertEqual(ctl.run("box", "exists", "clear", stranger.name, user=stranger.uid, group=stranger.gid,
                                 extra_groups=[]).status, UNREACHABLE)
        self.assertEqual(ctl.done("box", "exists", "clear", member.name), "1")


class Mbox(JobCase):
    settings = {"storage": "mbox:%h/mbox"}

    def test_locked_under_another_name(self):
        user = self.user()
        path = os.path.join(user.home, "mbox")
        with open(path, "wb") as f:
            f.write(b"From a@example.org Mon Jan  2 10:00:00 2023\nSubject: x\n\nbody\n")
        os.chown(path, user.uid, user.gid)
        self.addCleanup(os.unlink, path)
        os.link(path, path + "2")
        self.addCleanup(os.unlink, path + "2")
        self.ctl.server("second", auth=self.daemon.settings["auth"], storage="mbox:%h/mbox2")
        self.addCleanup(self.ctl.done, "destroy", "second")
        client = self.session(user)
        for name in ("clear", "second"):
            self.assertIn("maildrop is in use since", self.ctl.refused(FAILED, "uidl", "verify", name, user.name))
        client.quit()
        self.assertNotIn("in use", self.ctl.run("uidl", "verify", "second", user.name).err)
        for words in (["list"], ["remove"], ["move"], ["add"]):
            more = ["other"] if words == ["move"] else []
            self.assertIn(" storage", self.ctl.refused(FAILED, "box", *words, "clear", user.name, *more))
        self.assertEqual(self.ctl.done("box", "locked", "clear", user.name), "0")


    def test_locked_by_a_lock_in_another_home(self):
        owner, path, spool = self.user(), harness.world().path("users-" + secrets.token_hex(4)), writable_base()
        box, text = os.path.join(spool, "box"), ""
        with open(box, "wb") as f:
            f.write(b"From a@example.org Mon Jan  2 10:00:00 2023\nSubject: x\n\nbody\n")
        os.chown(box, owner.uid, owner.gid)
        os.chmod(spool, 0o755)  # nothing beside the mbox can be locked
        for name in ("ann", "bob"):
            home = harness.world().path("home-%s-%s" % (name, secrets.token_hex(4)))
            os.mkdir(home, 0o700)
            os.chown(home, owner.uid, owner.gid)
            text += "%s:{plain}secret-word:%d:%d:%s:%s\n" % (name, owner.uid, owner.gid, home, box)
        with open(path, "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write(text)
        daemon = self.own_daemon(auth="file:" + path, storage="mbox:%h/mbox")
        ctl, client = Control(daemon), self.connect(PLAIN, daemon)
        self.assertTrue(client.try_login(b"ann", b"secret-word").startswith(b"+OK"))
        self.assertIn("by a session of another user name", ctl.refused(FAILED, "uidl", "verify", "clear", "bob"))
        self.assertIn("in use since", ctl.refused(FAILED, "uidl", "verify", "clear", "ann"))
        client.quit()
        self.assertNotIn("in use", ctl.run("uidl", "verify", "clear", "bob").err)


class Directories(JobCase):
    """storage = dir:BASE, where every user may make his mailbox."""

    base = writable_base()
    settings = {"storage": "dir:" + base, "shutdown_timeout": 1}

    def box(self, user, messages=()):
        path = os.path.join(self.base, user.name)
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path, 0o700)
        os.chown(path, user.uid, user.gid)
        for i, octets in enumerate(messages):
            with open(os.path.join(path, str(i + 1)), "wb") as f:
                f.write(octets)
            os.chown(f.name, user.uid, user.gid)
        self.addCleanup(shutil.rmtree, path, True)
        return path

    def own_base(self, **settings):
        base = writable_base()
        return base, Control(self.own_daemon(storage="dir:" + base, **settings))

    def own_big(self, **settings):
        return Control(self.own_daemon(storage="dir:" + big_base(), **settings))

    def test_add_move_remove(self):
        user, ctl = self.user(), self.ctl
        path, new = os.path.join(self.base, user.name), os.path.join(self.base, user.name + ".old")
        self.assertEqual(ctl.done("box", "exists", "clear", user.name), "0")
        self.assertEqual(ctl.done("box", "add", "clear", user.name), "")
        st = os.stat(path)
        self.assertEqual((st.st_mode & 0o7777, st.st_uid, st.st_gid), (0o700, user.uid, user.gid))
        self.assertIn("already in existence", ctl.refused(FAILED, "box", "add", "clear", user.name))
        self.assertEqual(ctl.lines("box", "list", "clear", user.name), [user.name])
        self.assertEqual(ctl.json("box", "list", "clear", user.name), [user.name])
        self.assertEqual(ctl.done("box", "move", "clear", user.name, user.name + ".old"), "")
        self.assertFalse(os.path.exists(path))
        self.assertEqual(ctl.lines("box", "list", "clear", user.name), [user.name + ".old"])
        ctl.done("box", "add", "clear", user.name)
        self.assertEqual(ctl.refused(FAILED, "box", "move", "clear", user.name, user.name + ".old"),
                         'cannot move "%s", destination "%s.old" already exists' % (user.name, user.name))
        self.assertEqual(ctl.done("box", "remove", "clear", user.name), "")
        self.assertFalse(os.path.exists(path))
        self.assertIn("does not exist", ctl.refused(FAILED, "box", "remove", "clear", user.name))
        self.assertIn("does not exist", ctl.refused(FAILED, "box", "move", "clear", user.name, "x"))
        os.rmdir(new) if not os.listdir(new) else shutil.rmtree(new)

    def test_remove_with_messages_is_asked_for_twice(self):
        user = self.user()
        path = self.box(user, MESSAGES)
        self.assertEqual(self.ctl.refused(FAILED, "box", "remove", "clear", user.name),
                         'cannot remove "%s": it holds 2 messages; --force removes them, too' % user.name)
        self.ctl.refused(USAGE, "box", "remove", "clear", user.name, "--farce")
        client = self.session(user)
        self.assertEqual(len(client.listing(b"UIDL")), 2)
        client.quit()
        os.mkdir(os.path.join(path, "folder"))
        self.assertIn("1 entries of", self.ctl.refused(FAILED, "box", "remove", "clear", user.name, "--force"))
        self.assertEqual(len([n for n in os.listdir(path) if n[0] != "."]), 3)
        os.rmdir(os.path.join(path, "folder"))
        self.assertEqual(self.ctl.done("box", "remove", "clear", user.name, "--force"), "")
        self.assertFalse(os.path.exists(path))

    def test_busy(self):
        user = self.user()
        path = self.box(user, MESSAGES)
        client = self.session(user)
        for words in (["remove", "clear", user.name, "--force"], ["move", "clear", user.name, "other"]):
            self.assertRegex(self.ctl.refused(FAILED, "box", *words),
                             r"^maildrop is in use since \S+ from 127\.0\.0\.1, idle for \d+ s$")
        client.quit()
        self.assertEqual(len([n for n in os.listdir(path) if n[0] != "."]), 2)

    def test_a_job_keeps_sessions_and_other_jobs_out(self):
        user = self.user()
        path = self.box(user, MESSAGES)
        asker = subprocess.Popen(self.ctl.argv("uidl", "verify", "clear", user.name), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertTrue(harness.wait_for(lambda: self.ctl.done("box", "locked", "clear", user.name) == "1"))
        self.assertEqual(self.ctl.refused(FAILED, "box", "remove", "clear", user.name, "--force"),
                         "maildrop is in use by another job, program or host")
        self.assertTrue(self.connect().try_login(user).startswith(b"-ERR [IN-USE] "))
        asker.kill()
        asker.communicate()
        self.assertTrue(harness.wait_for(lambda: self.ctl.done("box", "locked", "clear", user.name) == "0"))
        client = self.session(user)
        client.quit()
        self.assertTrue(os.path.isdir(path))

    def test_names_never_leave_their_base(self):
        user = self.user()
        path = self.box(user)
        for name in ("../evil", "/tmp/evil", "a/b", "..", ".", "", "x" * 300, "a\033b"):
            with self.subTest(name=name):
                self.ctl.refused(FAILED, "box", "move", "clear", user.name, name)
                self.assertTrue(os.path.isdir(path))

    @harness.needs_root
    def test_a_base_that_the_owner_may_not_write(self):
        user, (base, ctl) = self.user(), self.own_base()
        os.chmod(base, 0o755)
        path = os.path.join(base, user.name)
        message = ctl.refused(FAILED, "box", "add", "clear", user.name)
        command = "install -d -m 0700 -o %d -g %d %s" % (user.uid, user.gid, path)
        self.assertEqual(message, 'cannot add "%s": uid %d may not write %s; as root: %s' % (user.name, user.uid, base, command))
        subprocess.run(command.split(), check=True)
        self.assertEqual(ctl.lines("box", "list", "clear", user.name), [user.name])
        self.assertIn("as root: mv -n", ctl.refused(FAILED, "box", "move", "clear", user.name, "other"))
        self.assertIn("as root: rm -r", ctl.refused(FAILED, "box", "remove", "clear", user.name))
        self.assertTrue(os.path.isdir(path))
        os.chmod(base, 0o711)
        self.assertEqual(ctl.refused(FAILED, "box", "list", "clear", user.name), base + ": Permission denied")
        shutil.rmtree(base)
        self.assertIn(base, ctl.refused(FAILED, "box", "add", "clear", user.name))

    @harness.needs_root
    def test_others_mailboxes_are_not_seen(self):
        user, other, (base, ctl) = self.user(), self.user(), self.own_base()
        for who in (user, other):
            ctl.done("box", "add", "clear", who.name)
        os.mkdir(os.path.join(base, ".hidden"), 0o777)
        with open(os.path.join(base, "file"), "w"):
            pass
        self.assertEqual(ctl.lines("box", "list", "clear", user.name), [user.name])

    def test_hostile_names_do_nothing_to_the_terminal(self):
        user, (base, ctl) = self.user(), self.own_base()
        for name in (b"\033]0;title\007", b"a\n=0", b"\x9b2J\xc3\xa9", b"back\\slash\r"):
            path = os.path.join(base.encode(), name)
            os.mkdir(path)
            os.chown(path, user.uid, user.gid)
        done = subprocess.run(ctl.argv("box", "list", "clear", user.name), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout, b"\\x1b]0;title\\x07\na?=0\nback\\\\slash\\x0d\n\\x9b2J\\xc3\\xa9\n")
        self.assertEqual(len(ctl.json("box", "list", "clear", user.name)), 4)

    @harness.needs_root
    def test_the_job_is_the_owner_and_confined(self):
        user, ctl = self.user(), self.own_big()
        asker, pid = self.slow(ctl, "clear", user)
        status = harness.status(pid)
        self.assertEqual(status["Gid"].split(), [str(user.gid)] * 4)
        self.assertEqual(status["Groups"].split(), [str(user.gid)])
        for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[caps], 16), 0)
        self.assertEqual(status["NoNewPrivs"], "1")
        if harness.SANDBOX == "on":
            self.assertEqual(status["Seccomp"], "2")
        held = [v for fd, v in harness.links(pid).items() if fd > 2 and v.startswith("/") and "memfd" not in v]
        self.assertEqual(held, [big_base()])
        self.assertIn("box list", harness.command_line(pid))

    @harness.needs_root
    @unittest.skipUnless(shutil.which("strace"), "no strace")
    def test_the_owner_first_then_confined_then_at_work(self):
        if harness.SANDBOX != "on" or harness.LANDLOCK_ABI == 1:
            self.skipTest("it is not confined in this run")
        user, (base, ctl) = self.user(), self.own_base(session_spares=1)
        path = os.path.join(base, user.name)
        os.mkdir(path, 0o700)
        os.chown(path, user.uid, user.gid)
        trace = harness.world().path("job.strace")
        harness.wait_for(lambda: set(ctl.daemon.role("pop3d-session")) - set(ctl.daemon.spawner()))
        spare, = set(ctl.daemon.role("pop3d-session")) - set(ctl.daemon.spawner())
        with Traced(spare, trace, "setresuid,landlock_add_rule,landlock_restrict_self,openat,flock,renameat2", ("-y",)):
            ctl.done("box", "move", "clear", user.name, "other")
        with open(trace) as f:
            calls = f.read().splitlines()

        def place(pattern):
            return [i for i, line in enumerate(calls) if re.search(pattern, line)]
        uid, confined, locked = place(r"setresuid\(%d, " % user.uid), place(r"landlock_restrict_self\(.* = 0$"), place(r"flock\(.* = 0$")
        rules, opened, moved = place(r"landlock_add_rule\("), place("openat.*" + base), place(r"renameat2\(.* = 0$")
        trace = "\n".join(calls)
        self.assertEqual((len(uid), len(confined), len(rules), len(moved)), (1, 1, 3, 1), trace)  # mailbox, base, base
        self.assertTrue(uid[0] < min(opened) < confined[0] < locked[0] < moved[0], trace)
        for line in (calls[i] for i in opened):
            self.assertRegex(line, r'"\.pop3d-lock"|= \d+<%s(/%s)?>' % (base, user.name))

    @harness.needs_root
    @unittest.skipUnless(shutil.which("strace"), "no strace")
    def test_the_lock_is_looked_at_and_not_taken(self):
        """Who asks in a loop refuses nobody's login."""
        user, (base, ctl) = self.user(), self.own_base(session_spares=1)
        os.mkdir(os.path.join(base, user.name), 0o700)
        os.chown(os.path.join(base, user.name), user.uid, user.gid)
        trace = harness.world().path("locked.strace")
        spares = harness.wait_for(lambda: set(ctl.daemon.role("pop3d-session")) - set(ctl.daemon.spawner()))
        with Traced(spares.pop(), trace, "fcntl,flock"):
            self.assertEqual(ctl.done("box", "locked", "clear", user.name), "0")
        with open(trace) as f:
            self.assertEqual([w for w in re.findall(r"F_(?:OFD_)?[SG]ETLK\b|LOCK_EX", f.read())], ["F_GETLK"])

    def test_it_is_a_connection_of_its_server(self):
        user, ctl = self.user(), self.own_big()
        asker, pid = self.slow(ctl, "clear", user)
        # who looked whether the daemon serves may still be on his way out
        harness.wait_for(lambda: len(ctl.lines("conn", "list", "clear")) == 1)
        number, = ctl.lines("conn", "list", "clear")
        harness.wait_for(lambda: not ctl.lines("conn", "list", "secure"))
        self.assertEqual(ctl.lines("conn", "list", "secure"), [])
        state = ctl.pairs("conn", "state", "clear", number)
        self.assertEqual((state["remotehost"], state["name"], state["state"], state["lastcmd"]), ("-", user.name, "trans", "box"))
        self.assertEqual(ctl.done("conn", "kill", "clear", number), "")
        out, err = asker.communicate(timeout=10)
        self.assertEqual((asker.returncode, err), (FAILED, b"pop3ctl: the job was ended before it was done\n"))
        fields = self.job_line(ctl.daemon, conn=number)
        self.assertEqual((fields["status"], fields["reason"]), ("1", "killed"))
        self.assertTrue(harness.wait_for(lambda: harness.start_time(pid) is None))

    def test_destroy(self):
        user, ctl = self.user(), self.own_big()
        ctl.done("new", "x")
        ctl.done("configure", "x", "-auth", ctl.daemon.settings["auth"], "-storage", "dir:" + big_base())
        asker, pid = self.slow(ctl, "x", user)
        ctl.done("destroy", "x", "defer")
        self.assertEqual(ctl.done("cget", "x", "-state"), "exiting")
        self.assertEqual(ctl.refused(FAILED, "box", "exists", "x", user.name), 'server "x" is exiting')
        ctl.done("destroy", "x", "kill")
        self.assertIsNone(harness.start_time(pid))
        asker.communicate(timeout=10)
        self.assertEqual(asker.returncode, FAILED)
        ctl.refused(FAILED, "cget", "x", "-state")

    def test_pop3ctl_killed(self):
        user, ctl = self.user(), self.own_big()
        asker, pid = self.slow(ctl, "clear", user)
        asker.send_signal(signal.SIGINT)
        asker.communicate(timeout=10)
        self.assertTrue(harness.wait_for(lambda: harness.start_time(pid) is None))
        self.assertEqual(self.job_line(ctl.daemon, user=user.name)["job"], '"box list"')
        self.assertEqual(ctl.lines("conn", "list", "clear"), [])

    def test_session_killed(self):
        user, ctl = self.user(), self.own_big()
        asker, pid = self.slow(ctl, "clear", user)
        os.kill(pid, signal.SIGKILL)
        out, err = asker.communicate(timeout=10)
        self.assertEqual((asker.returncode, err), (FAILED, b"pop3ctl: the job was ended before it was done\n"))
        self.assertEqual(self.job_line(ctl.daemon, user=user.name)["reason"], "killed")

    def test_who_does_not_read_holds_up_nobody_and_reads_all_later(self):
        user, ctl = self.user(), self.own_big(max_connections_per_address=1)
        asker, pid = self.slow(ctl, "clear", user)
        ctl.daemon.reload()
        other = self.user(MESSAGES)
        client = self.session(other, PLAIN, ctl.daemon)
        client.quit()
        out, err = asker.communicate(timeout=20)
        self.assertEqual((asker.returncode, err, len(out.splitlines())), (DONE, b"", 4000))

    def test_so_many_at_once(self):
        user, ctl = self.user(), self.own_big()
        for i in range(JOBS_MAX):
            self.slow(ctl, "clear", user)
        self.assertTrue(harness.wait_for(lambda: len(ctl.daemon.session_of(user)) == JOBS_MAX))
        self.assertEqual(ctl.refused(FAILED, "box", "list", "clear", user.name), "%d jobs are under way already" % JOBS_MAX)
        for number in ctl.lines("conn", "list", "clear"):
            ctl.done("conn", "kill", "clear", number)
        ctl.done("box", "exists", "clear", user.name)

    def test_many_one_after_the_other(self):
        user = self.user()
        askers = [self.ctl.start("box", "exists", "clear", user.name) for _ in range(JOBS_MAX)]
        self.assertEqual([a.communicate(timeout=20)[0] for a in askers], [b"0\n"] * JOBS_MAX)

    def test_stopping(self):
        user, ctl = self.user(), self.own_big(shutdown_timeout=1)
        asker, pid = self.slow(ctl, "clear", user)
        ctl.daemon.may_leave = True
        self.assertEqual(ctl.daemon.stop(), [])
        asker.communicate(timeout=10)
        self.assertEqual(asker.returncode, FAILED)


class Rootless(JobCase):
    @harness.needs_root
    def test_its_own_user_only(self):
        if not harness.have("setpriv"):
            self.skipTest("no setpriv here")
        user, other = self.user(), self.user()
        folder = os.path.join(user.home, "rootless")
        for path in (folder, os.path.join(folder, "run")):
            shutil.rmtree(path, ignore_errors=True)
            os.mkdir(path, 0o755)
            os.chown(path, user.uid, user.gid)
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(user.home, 0o711)
        cert, key = harness.make_certificate(folder, "own")
        os.chown(key, user.uid, user.gid)
        ctl = Control(self.own_daemon(wrap=harness.as_ids(user.uid, user.gid),
                                      runtime_dir=os.path.join(folder, "run"), certificate=cert, certificate_key=key))
        who = {"user": user.uid, "group": user.gid, "extra_groups": []}
        self.assertEqual(ctl.done("box", "exists", "clear", user.name, **who), "1")
        self.assertEqual(ctl.done("box", "locked", "clear", user.name, **who), "0")
        self.assertIn("never served by a daemon of another user", ctl.refused(FAILED, "box", "exists", "clear", other.name, **who))


class Hostile(unittest.TestCase):
    """What pop3ctl makes of a session that somebody has taken over: the daemon here is this test."""

    def ask(self, said, *words, answer=b"0\n", give=True):
        path = harness.world().path("control-" + secrets.token_hex(4))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            asker = subprocess.Popen([harness.program("pop3ctl"), "-s", path, *words], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            with contextlib.closing(listener.accept()[0]) as s:
                request = b""
                while not request or request.count(b"\0") <= int(request.split(b"\0")[0]):
                    request += s.recv(65536)
                mine, theirs = socket.socketpair()
                if give:
                    socket.send_fds(s, [answer[:1]], [theirs.fileno()])
                    s.sendall(answer[1:])
                else:
                    s.sendall(answer)
                theirs.close()
            with contextlib.closing(mine), contextlib.suppress(BrokenPipeError):
                mine.sendall(said)
            out, err = asker.communicate(timeout=20)
        return asker.returncode, out, err

    def test_streams(self):
        ended = b"pop3ctl: the job was ended before it was done\n"
        words = "box", "list", "s", "u"
        for said, want in (
                (b":a\n=0\n", (DONE, b"a\n", b"")), (b":a\n=0\n:b\n", (DONE, b"a\n", b"")), (b":\0\x7f\xff\n=0\n", (DONE, b"\\x00\\x7f\\xff\n", b"")),
                (b"", (FAILED, b"", ended)), (b":a\n", (FAILED, b"a\n", ended)), (b":a", (FAILED, b"a", ended)),
                (b":a\n=", (FAILED, b"a\n", ended)), (b":a\n=0", (FAILED, b"a\n", ended)), (b"=0x\n", (FAILED, b"", ended)),
                (b"\033c\n=0\n", (FAILED, b"", ended)), (b"0\n", (FAILED, b"", ended)), (b"</etc/shadow\n=0\n", (FAILED, b"", ended)),
                (b"!no\033\n=1\n", (FAILED, b"", b"pop3ctl: no\\x1b\n")), (b"!\n=2\n", (USAGE, b"", b"pop3ctl: \n")),
                (b"<\n:a\n=0\n", (DONE, b"a\n", b""))):
            with self.subTest(said=said):
                self.assertEqual(self.ask(said, *words), want)

    def test_tables_and_values_come_whole_or_not_at_all(self):
        words = "--json", "box", "list", "s", "u"
        self.assertEqual(self.ask(b":a\n:b\n=0\n", *words), (DONE, b'{"schema":1,"answer":["a","b"]}\n', b""))
        self.assertEqual(self.ask(b":a\n:b\n", *words)[:2], (FAILED, b""))
        self.assertEqual(self.ask(b":a\n=1\n", *words)[:2], (FAILED, b""))

    def test_no_stream(self):
        self.assertEqual(self.ask(b"", "box", "list", "s", "u", give=False), (FAILED, b"", b"pop3ctl: the daemon sent no stream for the job\n"))
        self.assertEqual(self.ask(b"", "box", "list", "s", "u", give=False, answer=b"1-why\n"), (FAILED, b"", b"pop3ctl: why\n"))
        # a descriptor that comes with the answer to something else is of no use to it
        self.assertEqual(self.ask(b"", "list", answer=b"0tname\n"), (DONE, b"name\n", b""))


class Lookups(JobCase):
    """Back ends, and the helper that has gone."""

    def test_servers_that_differ(self):
        ctl = Control(self.own_daemon())
        user = self.user()
        ctl.done("new", "x")
        self.assertIn("differ in -auth, -storage, username_domain or username_fold", ctl.refused(FAILED, "box", "exists", "-", user.name))
        self.assertEqual(ctl.refused(FAILED, "box", "exists", "x", user.name), "the server has no -auth that knows users")
        ctl.done("configure", "x", "-auth", ctl.daemon.settings["auth"])
        self.assertEqual(ctl.refused(FAILED, "box", "exists", "x", user.name), "the server has no -storage")

    def test_checkpassword_cannot(self):
        ctl = Control(self.own_daemon(auth="checkpassword:/bin/true"))
        self.assertEqual(ctl.refused(FAILED, "box", "exists", "clear", "ann"), "this back end cannot look a user up")

    @harness.needs_root
    def test_user_file(self):
        owner = self.user()
        base, own = writable_base(), writable_base()
        path = harness.world().path("users-" + secrets.token_hex(4))
        with open(path, "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write("ann:*:%d:%d:/\nbob:*:%d:%d:/:%s/here\nlow:*:1:1:/\n" % ((owner.uid, owner.gid) * 2 + (own,)))
        ctl = Control(self.own_daemon(auth="file:" + path, storage="dir:" + base))
        for name in ("ann", "bob"):
            ctl.done("box", "add", "clear", name)
        self.assertEqual((os.listdir(base), os.listdir(own)), (["ann"], ["here"]))
        self.assertEqual(ctl.lines("box", "list", "clear", "ann"), ["ann"])
        ctl.done("box", "move", "clear", "bob", "bobby")  # from one base to the other
        self.assertEqual(ctl.lines("box", "list", "clear", "ann"), ["ann", "bobby"])
        self.assertIn("no such user in the user file", ctl.refused(FAILED, "box", "exists", "clear", "carl"))
        self.assertIn("below minimum_uid", ctl.refused(FAILED, "box", "exists", "clear", "low"))
        os.unlink(path)
        self.assertIn("users-", ctl.refused(FAILED, "box", "exists", "clear", "ann"))

    def stopped(self):
        """A daemon whose auth children do nothing."""
        daemon = self.own_daemon(auth_deadline=60)
        harness.wait_for(daemon.auth_children)
        for pid in daemon.auth_children():
            os.kill(pid, signal.SIGSTOP)
        return daemon

    def test_pop3ctl_gone_before_the_answer(self):
        daemon, user = self.stopped(), self.user()
        ctl = Control(daemon)
        asker = ctl.start("box", "exists", "clear", user.name)
        self.assertTrue(harness.wait_for(lambda: ctl.lines("conn", "list", "clear")))
        asker.kill()
        asker.communicate()
        self.assertTrue(harness.wait_for(lambda: not ctl.lines("conn", "list", "clear")))
        self.assertIn("disconnected", self.job_line(daemon, user=user.name)["reason"])
        for pid in daemon.auth_children():
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(ctl.done("box", "exists", "clear", user.name), "1")

    def test_the_helper_is_lost(self):
        daemon, user = self.stopped(), self.user()
        ctl = Control(daemon)
        asker = ctl.start("box", "exists", "clear", user.name)
        self.assertTrue(harness.wait_for(lambda: ctl.lines("conn", "list", "clear")))
        os.kill(daemon.auth_helper()[0], signal.SIGKILL)
        self.assertIn(b"auth helper was lost", asker.communicate(timeout=20)[1])
        self.assertTrue(harness.wait_for(lambda: ctl.run("box", "exists", "clear", user.name).status == DONE))

    def test_a_look_up_is_no_login(self):
        """No PAM session, no module of PAM at all: this service refuses everybody."""
        user = self.user()
        ctl = Control(self.own_daemon(auth="pam:" + harness.pam_service("auth required pam_deny.so\naccount required pam_deny.so\n"),
                                      pam_session=True))
        self.assertEqual(ctl.done("box", "exists", "clear", user.name), "1")
        self.assertIn("-ERR [AUTH]", self.connect(PLAIN, ctl.daemon).try_login(user).decode())


SEED = r"""
package require pop3d::dbox
set box [pop3d::dbox::new]
$box base [lindex $argv 0]
foreach line [split [read stdin] "\n"] {
	if {$line eq ""} continue
	set failed [catch {eval [list $box] $line} result]
	if {$line eq "list" && !$failed} {set result [lsort $result]}
	puts "$failed $result"
}
"""


@unittest.skipUnless(harness.have_seed(), "no tclsh with tcllib here")
class AsTheSeed(JobCase):
    """The verbs of the directory store of tcllib's pop3d, asked of both."""

    def test_the_same_script(self):
        user, base = self.user(), writable_base()
        names = [user.name, user.name + "2"]
        script = ["list", "exists A", "add A", "add A", "exists A", "locked A", "list", "move A B", "exists A",
                  "list", "add A", "move A B", "remove A", "remove A", "list"]
        theirs = writable_base()
        path = harness.world().path("seed.tcl")
        with open(path, "w") as f:
            f.write(SEED)
        lines = [w.replace("A", names[0]).replace("B", names[1]) for w in script]
        done = subprocess.run(["tclsh", path, theirs], input="\n".join(lines).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        seed = done.stdout.decode().splitlines()
        self.assertEqual(len(seed), len(script), done.stderr)
        ctl = Control(self.own_daemon(storage="dir:" + base))
        for line, want in zip(lines, seed):
            verb, *args = line.split()
            answer = ctl.run("box", verb, "clear", *(args or [user.name]))
            with self.subTest(line=line):
                self.assertEqual(str(answer.status), want[0], answer)
                if want[0] == "0":
                    self.assertEqual(answer.out.split(), want[2:].split())
