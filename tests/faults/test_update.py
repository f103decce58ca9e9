"""A session killed, or refused, at each system call of UPDATE and of reading a mailbox."""

import os
import re
import shutil
import subprocess
import unittest

import harness
import mailbox
from client import Eof, TestCase
from harness import PLAIN, TLS

MESSAGES = mailbox.simple(6)
MARKED = (1, 2, 5)
KEPT = [m for i, m in enumerate(MESSAGES, 1) if i not in MARKED]


class Injected:
    """strace attached to processes, doing something to their system calls."""

    def __init__(self, pids, inject, trace=None):
        self.pids = pids
        self.path = harness.world().path("injected.%d" % pids[0])
        self.command = ["strace", "-f", "-o", self.path, "-e", "trace=" + (trace or "all")]
        if inject:
            self.command += ["-e", "inject=" + inject]
        for pid in pids:
            self.command += ["-p", str(pid)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if not harness.wait_for(lambda: all(map(self.attached, self.pids)), 5):
            self.process.kill()
            raise AssertionError("strace did not attach: %r" % self.process.stderr.read())
        return self

    @staticmethod
    def attached(pid):
        """Traced, or dead already, as it must be when its first call kills it."""
        try:
            return harness.start_time(pid) is None or harness.status(pid)["TracerPid"] != "0"
        except OSError:
            return True

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()

    def calls(self):
        with open(self.path) as f:
            return f.read()

    def sequence(self, pid):
        """(name, n) of each call of a process, in order; n counts the calls of that name, as inject's
        `when` does."""
        names = re.findall(r"^%d +(\w+)\(" % pid, self.calls(), re.M)
        return [(name, names[:i + 1].count(name)) for i, name in enumerate(names)]


class Case(TestCase):
    settings = {"session_spares": 2}
    limit = 200

    def marked(self, kind=PLAIN):
        user = self.user(MESSAGES)
        self.uids = [os.path.basename(p).split(":")[0] for p in user.maildir.paths()]
        client = self.session(user, kind)
        for n in MARKED:
            client.ok(b"DELE %d" % n)
        pids = self.daemon.session_of(user)
        self.assertEqual(len(pids), 1)
        return user, client, pids[0]

    def check(self, user, said_ok):
        """Each marked message is whole or gone, each other one is there; the mailbox opens."""
        stored = user.maildir.stored()
        for octets in stored:
            self.assertIn(octets, MESSAGES, "a message is neither whole nor gone")
        for octets in KEPT:
            self.assertIn(octets, stored, "a message that was not marked is gone")
        if said_ok:
            self.assertEqual(stored, KEPT, "+OK was said and a message is still there")
        self.check_history(user, said_ok)
        again = self.session(user)
        self.assertEqual([int(line.split()[1]) for line in again.listing(b"LIST")], [mailbox.size(m) for m in stored])
        again.quit()
        self.assertEqual(user.maildir.stored(), stored)
        return len(stored)


    def check_history(self, user, said_ok):
        """Whatever is gone was written down before; with +OK said that it went is written down, too."""
        left = {os.path.basename(p).split(":")[0] for p in user.maildir.paths()}
        gone = set(self.uids) - left
        try:
            with open(os.path.join(user.maildir.path, "pop3d-history")) as f:
                text = f.read()
        except FileNotFoundError:
            text = ""
        written = set(re.findall(r"^\S+ deleting uid=(\S+) ", text, re.M))
        self.assertLessEqual(gone, written)
        self.assertLessEqual(written, {self.uids[n - 1] for n in MARKED})
        if said_ok:
            self.assertIn(" done deleted=%d kept=0 " % len(MARKED), text)


@unittest.skipUnless(shutil.which("strace"), "no strace")
class Update(Case):
    """The filter stays on: a signal and a delay need no other call than the program's own."""

    def test_killed_at_each_system_call(self):
        points = 0
        for kind in (PLAIN, TLS):
            seen = set()
            for call in self.update_calls(kind):
                user, client, pid = self.marked(kind)
                with Injected([pid], "%s:signal=KILL:when=%d" % call) as trace:
                    try:
                        client.send(b"QUIT\r\n")
                        response = client.response()
                    except (Eof, OSError):
                        response = b""
                    client.rest()
                    client.close()
                    harness.wait_for(lambda: harness.start_time(pid) is None, 5)
                points += "killed by SIGKILL" in trace.calls()
                seen.add(self.check(user, response.startswith(b"+OK ")))
                harness.world().give_back(user)
                self._cleanups.pop()  # the user is used again at once
            # the walk really went through UPDATE: nothing removed, some, all
            self.assertIn(len(MESSAGES), seen)
            self.assertIn(len(KEPT), seen)
            self.assertGreater(len(seen), 2, seen)
        self.note = "killed at each of %d system calls" % points

    def update_calls(self, kind):
        """The system calls of an UPDATE, from the reading of QUIT to the end."""
        user, client, pid = self.marked(kind)
        with Injected([pid], None) as trace:
            client.quit()
            harness.wait_for(lambda: harness.start_time(pid) is None, 5)
        return trace.sequence(pid)

    def test_MDR_a_name_appears_while_update_runs(self):
        user, client, pid = self.marked()
        with Injected([pid], "fsync,fdatasync:delay_enter=300000"):
            client.send(b"QUIT\r\n")
            user.maildir.deliver(b"late\n")
            self.assertTrue(client.response().startswith(b"+OK "))
            client.eof()
        self.assertEqual(user.maildir.stored(), KEPT + [b"late\n"])

    def test_master_killed_during_update(self):
        # the UPDATE under way finishes
        daemon = harness.Daemon()
        daemon.may_leave = True
        user = self.user(MESSAGES)
        client = self.session(user, PLAIN, daemon)
        for n in MARKED:
            client.ok(b"DELE %d" % n)
        pid = daemon.session_of(user)[0]
        known = daemon.processes()
        with Injected([pid], "unlink,unlinkat:delay_enter=150000"):
            client.send(b"QUIT\r\n")
            harness.wait_for(lambda: len(user.maildir.paths()) < len(MESSAGES), 3)
            os.kill(daemon.pid, 9)
            daemon.process.wait()
            rest = client.rest()
            harness.wait_for(lambda: harness.start_time(pid) is None, 10)
        self.assertEqual(user.maildir.stored(), KEPT)
        self.assertTrue(rest == b"" or re.match(rb"\+OK ", rest), rest)
        self.assertTrue(harness.wait_for(lambda: not daemon.alive(known), 10))
        self.assertEqual(daemon.stop(), [])

    def test_one_connection_reset_during_update(self):
        user, client, pid = self.marked()
        with Injected([pid], "unlink,unlinkat:delay_enter=100000"):
            client.send(b"QUIT\r\n")
            harness.wait_for(lambda: len(user.maildir.paths()) < len(MESSAGES), 3)
            client.reset()
            harness.wait_for(lambda: harness.start_time(pid) is None, 10)
        self.assertEqual(user.maildir.stored(), KEPT)  # the QUIT line was complete


@unittest.skipUnless(shutil.which("strace"), "no strace")
class Errors(Case):
    """Calls that fail.  strace makes a call fail by putting an unknown one in its place,
    which the filter would answer with a kill: it is off here."""

    settings = {"session_spares": 2, "sandbox": "off"}

    def test_each_call_of_update_fails(self):
        # the calls that change something, one kind after the other, each failing
        for call, errors in (("unlink,unlinkat", ("EIO", "EACCES", "EROFS")), ("fsync,fdatasync", ("EIO", "ENOSPC"))):
            for error in errors:
                for when in ("1", "2", "1+"):
                    with self.subTest(call=call, error=error, when=when):
                        user, client, pid = self.marked()
                        with Injected([pid], "%s:error=%s:when=%s" % (call, error, when)) as injected:
                            client.send(b"QUIT\r\n")
                            response = client.response()
                            client.eof()
                            client.close()
                            harness.wait_for(lambda: harness.start_time(pid) is None, 5)
                        hit = "(INJECTED)" in injected.calls()
                        if hit:
                            self.assertRegex(response, rb"\A-ERR \[SYS/(TEMP|PERM)\] ")
                        else:
                            self.assertTrue(response.startswith(b"+OK "))
                        left = self.check(user, not hit)
                        if call.startswith("unlink") and when == "1":
                            self.assertEqual(left, len(KEPT) + 1, "one failed removal must not stop the others")

    def test_interrupted_calls(self):
        # EINTR is no error
        user, client, pid = self.marked()
        with Injected([pid], "read,recvfrom,recvmsg,ppoll,write,sendto,sendmsg,writev:error=EINTR:when=1..9+3"):
            client.multi(b"RETR 3")
            client.ok(b"NOOP")
            response = client.command(b"QUIT")
        self.assertTrue(response.startswith(b"+OK "))
        self.check(user, True)

    def test_MLT_09_REG_16_read_error_in_a_message(self):
        message = mailbox.letter("io", b"0123456789\n" * 200000)
        for kind in (PLAIN, TLS):
            for when in (1, 3):
                user = self.user([message, b"x\n"])
                client = self.session(user, kind)
                client.ok(b"DELE 2")
                client.ok(b"LIST 1")
                pid = self.daemon.session_of(user)[0]
                with Injected([pid], "pread64,readv,preadv,read:error=EIO:when=%d+" % (when + 1)) as injected:
                    client.send(b"RETR 1\r\n")
                    rest = client.rest()
                    client.close()
                    harness.wait_for(lambda: harness.start_time(pid) is None, 5)
                self.assertIn("(INJECTED)", injected.calls())
                self.assertFalse(rest.endswith(b".\r\n"), "a clean end for a broken message")
                self.assertEqual(len(user.maildir.paths()), 2)

    def test_reading_the_mailbox_fails_at_login(self):
        # never shown as empty: clients would drop what they know
        hits = 0
        for call, error in (("getdents64", "EIO"), ("openat", "EMFILE"), ("openat", "EIO"), ("openat", "EACCES"), ("flock,fcntl", "EIO"), ("fstat,newfstatat,statx", "EIO")):
            with self.subTest(call=call, error=error):
                user = self.user(MESSAGES)
                harness.wait_for(lambda: len(self.spares()) >= 2, 5)
                spares = self.spares()
                with Injected(spares, "%s:error=%s" % (call, error)) as injected:
                    client = self.connect()
                    response = client.try_login(user)
                    if "(INJECTED)" not in injected.calls():
                        client.close()
                        continue
                    hits += 1
                    if response.startswith(b"+OK "):
                        listing = client.command(b"STAT")
                        self.assertTrue(listing.startswith(b"+OK 6 ") or listing.startswith(b"-ERR [SYS/"), listing)
                    else:
                        self.assertRegex(response, rb"\A-ERR \[(SYS/TEMP|SYS/PERM|IN-USE)\] ")
                    client.close()
                for pid in spares:  # what strace held on to is not used again
                    if harness.start_time(pid):
                        os.kill(pid, 9)
                self.session(user).quit()
                self.assertEqual(user.maildir.stored(), MESSAGES)
        self.assertGreaterEqual(hits, 4)

    def spares(self):
        spawner = self.daemon.spawner()
        return [pid for pid in self.daemon.role("pop3d-session") if pid not in spawner and int(harness.status(pid)["Uid"].split()[0]) == 0]
