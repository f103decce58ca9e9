"""CONFORMANCE group UPD: QUIT and UPDATE."""

import os
import re
import shutil
import subprocess
import time
import unittest

import harness
import mailbox
import mboxes
from client import EOF, Ok, TestCase
from harness import PLAIN, STLS, TLS

MESSAGES = mailbox.simple(5)


class Update(TestCase):
    def test_UPD_01_quit_before_login(self):
        self.transcript([("QUIT", Ok(), EOF)], login=False)

    def test_UPD_01_quit_after_user(self):
        user = self.user(MESSAGES)
        self.transcript([(b"USER " + user.name_octets, Ok()), ("QUIT", Ok(), EOF)], login=False, after=lambda _: self.assertEqual(len(user.maildir.paths()), 5))

    def test_UPD_02_removes_exactly_the_marked(self):
        self.transcript([("DELE 2", Ok()), ("DELE 5", Ok()), ("QUIT", Ok(), EOF)], MESSAGES,
                        after=lambda user: self.assertEqual(user.maildir.stored(), [MESSAGES[0], MESSAGES[2], MESSAGES[3]]))

    def test_UPD_02_reply_comes_after_the_removal(self):
        user = self.user(MESSAGES)
        client = self.session(user)
        for n in range(1, 6):
            client.ok(b"DELE %d" % n)
        client.ok(b"QUIT")
        self.assertEqual(user.maildir.paths(), [])
        client.eof()

    def test_UPD_02_lock_is_free_at_the_end_of_the_stream(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            for _ in range(20):
                client = self.connect(kind)
                client.login(user)
                client.quit()

    def test_UPD_02_closes_with_input_behind_quit(self):
        # what comes behind QUIT must not cost the reply
        for kind in self.each_kind():
            user = self.user(MESSAGES)
            client = self.session(user, kind)
            client.send(b"DELE 1\r\nQUIT\r\nNOOP\r\n" + b"STAT\r\n" * 200)
            rest = client.rest()
            self.assertRegex(rest, rb"\A\+OK [^\r\n]*\r\n\+OK [^\r\n]*\r\n\Z")

    @harness.needs_root
    def test_UPD_03_partial_failure(self):
        for kind in self.each_kind():
            user = self.user(MESSAGES)
            cur = os.path.join(user.maildir.path, "cur")
            client = self.session(user, kind)
            for n in (1, 2, 3):
                client.ok(b"DELE %d" % n)
            kept = [m for m, p in zip(MESSAGES, user.maildir.paths()) if os.path.dirname(p) == cur]
            self.assertEqual(len(kept), 2)
            os.chown(cur, 0, 0)
            os.chmod(cur, 0o555)
            response = client.command(b"QUIT")
            client.eof()
            os.chown(cur, user.uid, user.gid)
            os.chmod(cur, 0o700)
            self.assertRegex(response, rb"\A-ERR \[SYS/(TEMP|PERM)\] ")
            # 1 and 3 went, 2 stands whole, 4 and 5 were not marked
            self.assertEqual(user.maildir.stored(), [MESSAGES[1], MESSAGES[3], MESSAGES[4]])

    def test_UPD_04_already_gone_counts_as_removed(self):
        for kind in self.each_kind():
            user = self.user(MESSAGES)
            client = self.session(user, kind)
            client.ok(b"DELE 1")
            client.ok(b"DELE 2")
            for path in user.maildir.paths()[:2]:
                os.unlink(path)
            client.quit()
            self.assertEqual(user.maildir.stored(), MESSAGES[2:])

    @harness.needs_root
    def test_UPD_05_REG_09_one_reply(self):
        user = self.user(MESSAGES)
        client = self.session(user)
        for n in range(1, 6):
            client.ok(b"DELE %d" % n)
        for name in ("cur", "new"):
            folder = os.path.join(user.maildir.path, name)
            os.chown(folder, 0, 0)
            os.chmod(folder, 0o555)
        client.send(b"QUIT\r\n")
        rest = client.rest()
        for name in ("cur", "new"):
            folder = os.path.join(user.maildir.path, name)
            os.chown(folder, user.uid, user.gid)
            os.chmod(folder, 0o700)
        self.assertRegex(rest, rb"\A-ERR \[SYS/(TEMP|PERM)\] [^\r\n]+\r\n\Z")
        self.assertEqual(user.maildir.stored(), MESSAGES)

    @harness.needs_root
    @unittest.skipUnless(shutil.which("strace"), "no strace")
    def test_UPD_06_removal_is_durable_before_the_reply(self):
        user = self.user(MESSAGES)
        client = self.session(user)
        client.ok(b"DELE 1")
        client.ok(b"DELE 2")
        trace = harness.world().path("update.strace")
        with Traced(self.daemon.session_of(user)[0], trace, "unlink,unlinkat,fsync,fdatasync,sync,syncfs,write,writev,sendto,sendmsg"):
            client.quit()
            time.sleep(0.2)
        with open(trace) as f:
            calls = f.read()
        unlinks = [m.start() for m in re.finditer(r"unlink(at)?\(.*= 0", calls)]
        reply = calls.find('"+OK')
        self.assertGreaterEqual(len(unlinks), 2, calls)
        self.assertGreater(reply, max(unlinks), calls)
        self.assertRegex(calls[max(unlinks):reply], r"(fsync|fdatasync|syncfs|sync)\(.*= 0")

    def test_UPD_07_nothing_goes_for_being_fetched(self):
        # delete-after-download is not offered, and not done
        for kind in self.each_kind():
            user = self.user(MESSAGES)
            client = self.session(user, kind)
            self.assertFalse([line for line in client.listing(b"CAPA") if line.startswith(b"EXPIRE")])
            for n in range(1, 6):
                client.multi(b"RETR %d" % n)
            client.quit()
            self.assertEqual(user.maildir.stored(), MESSAGES)

    def test_UPD_08_mail_that_arrived_stays(self):
        for kind in self.each_kind():
            user = self.user(MESSAGES)
            client = self.session(user, kind)
            for n in range(1, 6):
                client.ok(b"DELE %d" % n)
            user.maildir.deliver(b"late\n")
            client.quit()
            self.assertEqual(user.maildir.stored(), [b"late\n"])

    def test_UPD_09_close_notify(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind((STLS, TLS)):
            client = self.session(user, kind)
            client.ok(b"QUIT")
            client.clean_eof()
            client = self.connect(kind)
            client.ok(b"QUIT")
            client.clean_eof()

    def test_UPD_09_client_without_close_notify_is_no_loud_error(self):
        user = self.user(MESSAGES)
        mark = len(self.daemon.log())
        client = self.session(user, TLS)
        client.send(b"QUIT\r\n")
        client.response()
        harness.socket.socket.close(client.sock)
        client.close()
        self.daemon.log_fields("session-end", since=mark, user=user.name)
        self.assertNotRegex(self.daemon.log()[mark:].lower(), r"error|warning")

    def test_UPD_08_lock_of_update_with_kinds(self):
        user = self.user(MESSAGES)
        for kind in (PLAIN, STLS, TLS):
            client = self.session(user, kind)
            client.ok(b"DELE 1")
            client.quit()
        self.assertEqual(user.maildir.stored(), MESSAGES[3:])


class Fifos(TestCase):
    """What the user puts at the names of the server's new files keeps no session waiting."""

    MESSAGES = mailbox.simple(4) + 3 * mailbox.simple(1)  # with some that are equal

    def check(self, storage, user, names):
        daemon = self.own_daemon(storage=storage)
        for name in names():
            os.mkfifo(name + ".new", 0o600)
            os.chown(name + ".new", user.uid, user.gid)
        client = self.session(user, daemon=daemon)
        client.multi(b"UIDL")
        client.ok(b"DELE 1")
        client.quit()
        self.assertTrue(any(os.path.isfile(name) for name in names()), names())
        client = self.session(user, daemon=daemon)
        self.assertEqual(len(client.listing(b"LIST")), len(self.MESSAGES) - 1)
        client.quit()

    def test_maildir(self):
        user = self.user(self.MESSAGES)
        self.check("maildir:%h/Maildir", user, lambda: [os.path.join(user.maildir.path, "pop3d-index")])

    def test_mbox(self):
        user = self.user()
        box = mboxes.Mbox(os.path.join(mboxes.spool(), user.name), user, user.home).fill(self.MESSAGES)
        self.addCleanup(box.remove)
        state = os.path.join(user.home, ".pop3d")
        os.mkdir(state, 0o700)
        os.chown(state, user.uid, user.gid)
        self.check("mbox:%s/%%u" % mboxes.spool(), user,
                   lambda: [os.path.join(state, name % os.stat(box.path).st_ino) for name in ("mbox-%x.uids", "mbox-%x.journal")])

    def test_directory(self):
        user = self.user()
        path = os.path.join(user.home, "messages")
        os.mkdir(path, 0o700)
        os.chown(path, user.uid, user.gid)
        for i, octets in enumerate(self.MESSAGES):
            with open(os.path.join(path, str(i)), "wb") as f:
                f.write(octets)
            os.chown(f.name, user.uid, user.gid)
        self.check("dir:%h/messages", user, lambda: [os.path.join(path, ".pop3d-uids")])


class Traced:
    """strace attached to a running process for the time of a with statement."""

    def __init__(self, pid, path, calls, extra=()):
        self.command = ["strace", "-f", "-e", "trace=" + calls, "-s", "64", "-o", path, *extra, "-p", str(pid)]
        self.pid = pid

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if not harness.wait_for(lambda: harness.status(self.pid)["TracerPid"] != "0", 5):
            raise AssertionError("strace did not attach: %r" % self.process.stderr.read1(1000))
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()
