"""Receipts in the log, the history in the mailbox, warnings: issue 4, points 7 and 8."""

import contextlib
import datetime
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import unittest

import harness
import mailbox
from client import TestCase
from control import Control
from harness import PLAIN, STLS, TLS
from test_logs import PEER, VALUE
from test_quit import Traced

MESSAGES = mailbox.simple(5)
RECEIPT = ["conn", "server", "user", "peer", "uid", "octets", "retrieved"]
WORDS = ["uid", "octets", "retrieved", "delivered", "conn", "peer", "tls", "mech", "server", "user"]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def base(path):
    return os.path.basename(path).split(":")[0]


class History:
    """The file that a mailbox keeps."""

    def __init__(self, user, name="pop3d-history"):
        self.path = os.path.join(user.maildir.path, name)

    def text(self):
        try:
            with open(self.path, "rb") as f:
                return f.read().decode("ascii")
        except FileNotFoundError:
            return ""

    def events(self, kind):
        """The fields of each line of this kind, in order."""
        lines = [re.fullmatch(r"(%s) (\w+) (.*)" % TIME, line) for line in self.text().splitlines()]
        return [dict(harness.FIELD.findall(m.group(3))) for m in lines if m and m.group(2) == kind]

    def uids(self, kind="deleting"):
        return [e["uid"] for e in self.events(kind)]


class Case(TestCase):
    def mark(self):
        return len(self.daemon.log())

    def receipts(self, user, since, daemon=None):
        """All receipts of a user, once the session's end is in the log: none comes behind it."""
        daemon = daemon or self.daemon
        daemon.log_fields("session-end", since=since, user=user.name)
        lines = [harness.log_fields(line, "deleted") for line in daemon.log()[since:].splitlines()]
        return [f for f in lines if f is not None and f["user"] == user.name]

    def seconds(self, text):
        self.assertRegex(text, "^" + TIME + "$")
        return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()


class Receipts(Case):
    def test_one_line_a_deleted_message(self):
        names = {PLAIN: "clear", STLS: "clear", TLS: "secure"}
        for kind in self.each_kind():
            user, mark = self.user(MESSAGES), self.mark()
            uids = [base(p) for p in user.maildir.paths()]
            client = self.session(user, kind)
            client.listing(b"LIST")
            client.multi(b"RETR 2")
            client.ok(b"DELE 1")
            client.ok(b"DELE 2")
            client.ok(b"DELE 5")
            client.ok(b"RSET")
            for n in (2, 4):
                client.ok(b"DELE %d" % n)
            port = client.sock.getsockname()[1]
            client.quit()
            found = self.receipts(user, mark)
            login = self.daemon.log_fields("login", since=mark, user=user.name)
            self.assertEqual([f["uid"] for f in found], [uids[1], uids[3]])
            for fields, message in zip(found, (MESSAGES[1], MESSAGES[3])):
                self.assertEqual(list(fields), RECEIPT)
                self.assertEqual((fields["conn"], fields["server"]), (login["conn"], names[kind]))
                self.assertEqual(fields["peer"], "127.0.0.1:%d" % port)
                self.assertEqual(fields["octets"], str(mailbox.size(message)))
                for key, value in fields.items():
                    self.assertRegex(value, VALUE, key)

    def test_no_receipt_without_a_deletion(self):
        user, mark = self.user(MESSAGES), self.mark()
        client = self.session(user)
        client.ok(b"DELE 1")
        client.close()  # no QUIT
        self.assertEqual(self.receipts(user, mark), [])
        mark = self.mark()
        self.session(user).quit()
        self.assertEqual(self.receipts(user, mark), [])
        self.assertEqual(History(user).text(), "")

    def test_receipts_are_before_the_reply(self):
        # whoever has read +OK finds the receipts with the daemon
        user, mark = self.user(mailbox.simple(3) * 40), self.mark()
        client = self.session(user)
        for n in range(1, 121):
            client.ok(b"DELE %d" % n)
        pid = self.daemon.session_of(user)[0]
        client.ok(b"QUIT")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
        client.close()
        self.assertEqual(len(self.receipts(user, mark)), 120)

    def test_retrieved(self):
        user, mark = self.user(MESSAGES), self.mark()
        before = int(time.time())
        client = self.session(user)
        client.multi(b"RETR 1")
        client.multi(b"TOP 2 1")
        client.quit()
        self.receipts(user, mark)
        after, mark = time.time(), self.mark()
        client = self.session(user)
        client.multi(b"RETR 1")
        for n in (1, 2):
            client.ok(b"DELE %d" % n)
        client.quit()
        found = self.receipts(user, mark)
        if found[0]["retrieved"] == "unknown":
            self.skipTest("the store does not keep it")
        self.assertTrue(before <= self.seconds(found[0]["retrieved"]) <= after)
        self.assertEqual(found[1]["retrieved"], "never")
        told = History(user).events("deleting")
        self.assertEqual([e["retrieved"] for e in told], [f["retrieved"] for f in found])
        self.assertEqual([e["delivered"] for e in told], ["yes", "no"])

    def test_a_name_cannot_write_a_line(self):
        # a uid is the file's name: what stands in it is quoted, or digested
        user, mark = self.user(), self.mark()
        for name in ('1.a"b\\c.h', "2.uid=x,octets=1.h", "3.a b.h", "4.\n2026-01-31T23:59:59Z deleting uid=x.h"):
            user.maildir.write("new", name, b"x\n")
        client = self.session(user)
        for n in range(1, 5):
            client.ok(b"DELE %d" % n)
        client.quit()
        found = self.receipts(user, mark)
        self.assertEqual(len(found), 4)
        self.assertEqual(found[0]["uid"], '"1.a\\"b\\\\c.h"')
        self.assertEqual(found[1]["uid"], '"2.uid=x,octets=1.h"')
        for fields in found:
            self.assertEqual(list(fields), RECEIPT)
            self.assertRegex(fields["uid"], VALUE)
        self.assertEqual(History(user).uids(), [f["uid"] for f in found])
        self.assertEqual(len(History(user).text().splitlines()), 5)

    def test_level(self):
        daemon = self.own_daemon(log_level="warning")
        user = self.user(MESSAGES)
        client = self.session(user, PLAIN, daemon)
        client.ok(b"DELE 1")
        client.quit()
        self.assertEqual(len(History(user).events("done")), 1)
        self.assertNotIn("deleted conn=", daemon.log())

    def test_counters(self):
        daemon = self.own_daemon()
        control = Control(daemon)
        user = self.user(MESSAGES)
        for expected in (2, 4):
            client = self.session(user, PLAIN, daemon)
            client.ok(b"DELE 1")
            client.ok(b"DELE 2")
            client.quit()
            daemon.log_wait("(?:deleted conn=[^\n]*\n[^$]*){%d}" % expected)
            self.assertEqual(control.pairs("status")["messages_deleted"], str(expected))
        self.assertEqual(control.pairs("status")["uids_vanished"], "0")
        self.assertEqual(control.pairs("status")["fetched_again"], "0")


class Written(Case):
    def test_lines(self):
        for kind in self.each_kind():
            user, mark = self.user(MESSAGES), self.mark()
            uids = [base(p) for p in user.maildir.paths()]
            client = self.session(user, kind)
            client.listing(b"LIST")
            for n in (1, 3):
                client.ok(b"DELE %d" % n)
            client.quit()
            history = History(user)
            st = os.stat(history.path)
            self.assertEqual((st.st_uid, st.st_mode & 0o7777), (user.uid, 0o600))
            found = history.events("deleting")
            receipts = self.receipts(user, mark)
            self.assertEqual([e["uid"] for e in found], [uids[0], uids[2]])
            for event, receipt in zip(found, receipts):
                self.assertEqual(list(event), WORDS)
                for key in receipt:
                    self.assertEqual(event[key], receipt[key])
                self.assertEqual((event["tls"], event["mech"]), ("none" if kind == PLAIN else "TLSv1.3", "USER"))
            done = history.events("done")
            self.assertEqual([(e["deleted"], e["kept"]) for e in done], [("2", "0")])
            self.assertEqual(len(history.text().splitlines()), 3)
            # it is no message, and stays when there is nothing to write
            client = self.session(user, kind)
            self.assertEqual(client.ok(b"STAT").split()[1], b"3")
            client.quit()
            self.assertEqual(len(history.text().splitlines()), 3)

    def test_UPD_03_UPD_05_a_message_that_cannot_be_removed(self):
        user, mark = self.user(MESSAGES), self.mark()
        paths = user.maildir.paths()
        immutable = paths[2]
        if subprocess.run(["chattr", "+i", immutable], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("no immutable files here")
        self.addCleanup(subprocess.run, ["chattr", "-i", immutable])
        client = self.session(user)
        for n in (1, 3, 4):
            client.ok(b"DELE %d" % n)
        response = client.command(b"QUIT")
        client.eof()
        self.assertRegex(response, rb"\A-ERR \[SYS/PERM\] ")
        # the others are gone, the next login shows exactly the one
        self.assertEqual(user.maildir.stored(), [MESSAGES[1], MESSAGES[2], MESSAGES[4]])
        client = self.session(user)
        self.assertEqual([line.split()[1].decode() for line in client.listing(b"UIDL")], [base(paths[i]) for i in (1, 2, 4)])
        client.quit()
        self.assertEqual([f["uid"] for f in self.receipts(user, mark)], [base(paths[0]), base(paths[3])])
        history = History(user)
        self.assertEqual(history.uids(), [base(paths[i]) for i in (0, 2, 3)])
        self.assertEqual(history.uids("kept"), [base(immutable)])
        self.assertEqual([(e["deleted"], e["kept"]) for e in history.events("done")], [("2", "1")])
        self.daemon.log_fields("session-end", since=mark, user=user.name, reason="update-failed", deleted="2")

    def test_UPD_04_what_has_gone_already_has_a_receipt(self):
        user, mark = self.user(MESSAGES), self.mark()
        path = user.maildir.paths()[0]
        client = self.session(user)
        client.ok(b"DELE 1")
        os.unlink(path)
        client.quit()
        self.assertEqual([f["uid"] for f in self.receipts(user, mark)], [base(path)])

    @harness.needs_root
    def test_what_stands_in_its_place_keeps_nobody_from_deleting(self):
        def link(path):
            os.symlink("/etc/passwd", path)

        def fifo(path):
            os.mkfifo(path)

        def foreign(path):
            with open(path, "w") as f:
                f.write("root's\n")
            os.chmod(path, 0o666)

        def unwritable(path):
            open(path, "w").close()
            os.chmod(path, 0o444)
        for put in (link, fifo, os.mkdir, foreign, unwritable):
            with self.subTest(put=put.__name__):
                user, mark = self.user(MESSAGES), self.mark()
                history = History(user)
                put(history.path)
                before = os.lstat(history.path)
                client = self.session(user)
                client.ok(b"DELE 1")
                client.ok(b"DELE 2")
                client.quit()
                self.assertEqual(user.maildir.stored(), MESSAGES[2:])
                self.assertEqual(len(self.receipts(user, mark)), 2)
                self.assertEqual(os.lstat(history.path)[:8], before[:8])
                told = [line for line in self.daemon.log()[mark:].splitlines() if "history of" in line and "role=session" in line]
                self.assertEqual(len(told), 1, told)

    def test_full_disk(self):
        user = harness.User()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=60,mode=700,uid=%d,gid=%d" % (user.uid, user.gid), "tmpfs", user.home])
        if done.returncode != 0:
            self.skipTest("cannot mount a tmpfs")
        harness.world().registry.add("mount", user.home)
        self.addCleanup(subprocess.run, ["umount", "-l", user.home])
        daemon = self.own_daemon()
        user.maildir.fill(MESSAGES)
        client = self.session(user, PLAIN, daemon)
        with open(os.path.join(user.home, "filler"), "wb", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(b"x" * 4096)
        for n in range(1, 6):
            client.ok(b"DELE %d" % n)
        client.quit()
        self.assertEqual(user.maildir.paths(), [])
        self.assertEqual(len(self.receipts(user, 0, daemon)), 5)
        self.assertEqual(len(re.findall("history of .*No space left on device", daemon.log())), 1)
        self.assertEqual(History(user).text(), "")

    def test_too_long_is_renamed(self):
        user = self.user(MESSAGES)
        history = History(user)
        with open(history.path, "wb") as f:
            f.truncate((4 << 20) + 1)
        os.chown(history.path, user.uid, user.gid)
        uid = base(user.maildir.paths()[0])
        client = self.session(user)
        client.ok(b"DELE 1")
        client.quit()
        self.assertEqual(os.stat(history.path + ".old").st_size, (4 << 20) + 1)
        self.assertEqual(history.uids(), [uid])

    def test_a_torn_line_is_ended(self):
        user = self.user(MESSAGES)
        history = History(user)
        with open(history.path, "w") as f:
            f.write("2026-01-31T23:59:59Z deleting uid=tor")
        os.chown(history.path, user.uid, user.gid)
        client = self.session(user)
        client.ok(b"DELE 1")
        client.quit()
        self.assertEqual(len(history.events("done")), 1)
        self.assertEqual(history.text().splitlines()[0], "2026-01-31T23:59:59Z deleting uid=tor")

    @harness.needs_root
    @unittest.skipUnless(shutil.which("strace"), "no strace")
    def test_UPD_06_order_on_the_disk(self):
        # the history is on the disk, then messages go, then that is on the disk, then comes the reply
        user = self.user(MESSAGES)
        client = self.session(user)
        for n in range(1, 6):
            client.ok(b"DELE %d" % n)
        trace = harness.world().path("receipts.strace")
        with Traced(self.daemon.session_of(user)[0], trace, "write,unlinkat,fsync,fdatasync,sendto,sendmsg", ("-y",)):
            client.quit()
        with open(trace) as f:
            calls = f.read().splitlines()

        def places(pattern):
            return [i for i, line in enumerate(calls) if re.search(pattern, line)]
        written, synced = places(r"write\(\d+<[^>]*/pop3d-history>.* deleting "), places(r"f(data)?sync\(\d+<[^>]*/pop3d-history>\) += 0")
        unlinks = places(r"unlinkat\(.* = 0$")
        folders = [places(r"fsync\(\d+<[^>]*/Maildir/%s>\) += 0" % name) for name in ("new", "cur")]
        receipts, reply = places(r"sendmsg\("), places(r'sendto\(.*"\+OK')
        trace = "\n".join(calls)
        self.assertEqual((len(synced), len(unlinks), len(reply)), (1, 5, 1), trace)
        self.assertEqual([len(f) for f in folders], [1, 1], trace)
        self.assertTrue(written and max(written) < synced[0] < min(unlinks), trace)
        # its name is on the disk, too
        self.assertTrue(any(synced[0] < i < min(unlinks) for i in places(r"fsync\(\d+<[^>]*/Maildir>\) += 0")), trace)
        self.assertTrue(max(unlinks) < min(f[0] for f in folders), trace)
        self.assertTrue(max(f[0] for f in folders) < min(receipts) < reply[0], trace)


class Stores(Case):
    """The other kinds of mailboxes have receipts and a history, too."""

    def delete(self, user, storage):
        daemon = self.own_daemon(storage=storage)
        client = self.session(user, PLAIN, daemon)
        uids = [line.split()[1].decode() for line in client.listing(b"UIDL")]
        client.ok(b"DELE 1")
        client.ok(b"DELE 3")
        client.quit()
        found = self.receipts(user, 0, daemon)
        self.assertEqual([f["uid"] for f in found], [uids[0], uids[2]])
        self.assertEqual([f["octets"] for f in found], [str(mailbox.size(MESSAGES[i])) for i in (0, 2)])
        self.assertEqual({f["retrieved"] for f in found}, {"unknown"})
        return [uids[0], uids[2]]

    def test_dir(self):
        user = self.user()
        folder = os.path.join(user.home, "dir")
        os.mkdir(folder, 0o700)
        for i, message in enumerate(MESSAGES):
            with open(os.path.join(folder, "%d" % i), "wb") as f:
                f.write(message)
        for path in [folder, *[os.path.join(folder, n) for n in os.listdir(folder)]]:
            os.chown(path, user.uid, user.gid)
        self.addCleanup(shutil.rmtree, folder)
        uids = self.delete(user, "dir:%h/dir")
        self.assertEqual(History(user, "../dir/.pop3d-history").uids(), uids)

    def test_mbox_that_another_program_changed(self):
        # nothing is removed: no receipt, and the history says so
        user = self.user()
        path = os.path.join(user.home, "mbox")
        with open(path, "wb") as f:
            for message in MESSAGES:
                f.write(b"From a Mon Jan  2 10:00:00 2023\n" + message + b"\n")
        os.chown(path, user.uid, user.gid)
        os.chmod(path, 0o600)
        self.addCleanup(os.unlink, path)
        self.addCleanup(shutil.rmtree, os.path.join(user.home, ".pop3d"))
        daemon = self.own_daemon(storage="mbox:%h/mbox")
        client = self.session(user, PLAIN, daemon)
        uids = [line.split()[1].decode() for line in client.listing(b"UIDL")]
        client.ok(b"DELE 1")
        client.ok(b"DELE 2")
        with open(path, "r+b") as f:
            f.seek(40)
            f.write(b"X-")
        self.assertTrue(client.command(b"QUIT").startswith(b"-ERR [SYS/TEMP] "))
        client.eof()
        self.assertEqual(self.receipts(user, 0, daemon), [])
        history = History(user, "../.pop3d/mbox.history")
        self.assertEqual(history.uids("kept"), uids[:2])
        self.assertEqual([(e["deleted"], e["kept"]) for e in history.events("done")], [("0", "2")])

    def test_mbox(self):
        user = self.user()
        path = os.path.join(user.home, "mbox")
        with open(path, "wb") as f:
            for message in MESSAGES:
                f.write(b"From a Mon Jan  2 10:00:00 2023\n" + message + b"\n")
        os.chown(path, user.uid, user.gid)
        os.chmod(path, 0o600)
        self.addCleanup(os.unlink, path)
        self.addCleanup(shutil.rmtree, os.path.join(user.home, ".pop3d"))
        uids = self.delete(user, "mbox:%h/mbox")
        self.assertEqual(History(user, "../.pop3d/mbox.history").uids(), uids)


class Many(Case):
    """Ten thousand deletions in one session."""

    COUNT = 10000
    limit = 200

    def test_more_than_ten_thousand(self):
        user, mark = self.user(mailbox.simple(5) * 2001), self.mark()
        client = self.session(user)
        client.send(b"".join(b"DELE %d\r\n" % n for n in range(1, 10006)))
        for _ in range(10005):
            self.assertTrue(client.response().startswith(b"+OK"))
        client.quit()
        self.assertEqual(len(self.receipts(user, mark)), 10000)
        more = self.daemon.log_fields("deleted-more", since=mark, user=user.name)
        self.assertEqual((more["messages"], more["see"]), ("5", '"pop3ctl history"'))
        self.assertEqual(len(History(user).uids()), 10005)

    def full(self):
        user = self.user()
        for i in range(self.COUNT):
            path = os.path.join(user.maildir.path, "new", "%d.M%d.test" % (1600000000 + i, i))
            with open(path, "wb") as f:
                f.write(b"x\n")
            os.chown(path, user.uid, user.gid)
        return user

    def mark_all(self, client):
        client.pump(b"".join(b"DELE %d\r\n" % n for n in range(1, self.COUNT + 1)), lambda got: got.count(b"\n") >= self.COUNT)

    def test_nobody_is_held_up(self):
        daemon = self.own_daemon()
        user, other = self.full(), self.user(MESSAGES)
        client = self.session(user, PLAIN, daemon)
        self.mark_all(client)
        longest, done = [0.0], threading.Event()

        def others():
            while not done.is_set():
                begun = time.monotonic()
                self.session(other, PLAIN, daemon).quit()
                longest[0] = max(longest[0], time.monotonic() - begun)
        thread = threading.Thread(target=others)
        thread.start()
        begun = time.monotonic()
        try:
            client.quit()
        finally:
            took = time.monotonic() - begun
            done.set()
            thread.join()
        found = self.receipts(user, 0, daemon)
        self.assertEqual(len(found), self.COUNT)
        self.assertEqual(len({f["uid"] for f in found}), self.COUNT)
        self.assertEqual(len(History(user).events("deleting")), self.COUNT)
        self.note = "QUIT with %d deletions %.2f s, longest other session %.3f s" % (self.COUNT, took, longest[0])

    def syslog(self):
        """A log daemon that reads only what it is asked to, and a pop3d that logs to it."""
        s, wrap = harness.private_syslog()
        self.addCleanup(s.close)
        return s, self.own_daemon(arguments=("-F",), wrap=wrap)

    @staticmethod
    def read_lines(s, lines, enough, seconds=60):
        s.settimeout(1)
        deadline = time.monotonic() + seconds
        while not enough(lines) and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                lines.append(s.recv(8192))

    @harness.needs_root
    def test_a_slow_syslog_loses_none(self):
        s, daemon = self.syslog()
        lines = []
        user, other = self.full(), self.user(MESSAGES)
        client = self.session(user, PLAIN, daemon)
        self.mark_all(client)
        client.send(b"QUIT\r\n")
        # its receipts have filled what the log daemon has not read: others go on meanwhile
        harness.wait_for(lambda: not user.maildir.paths(), 30)
        for kind in (PLAIN, TLS):
            self.session(other, kind, daemon).quit()
        self.read_lines(s, lines, lambda got: got and b"session-end" in got[-1] and user.name_octets in got[-1])
        self.assertTrue(client.response().startswith(b"+OK "))
        client.close()
        receipts = [line for line in lines if b" deleted conn=" in line]
        self.assertEqual(len(receipts), self.COUNT)
        self.assertFalse([line for line in lines if b"lost" in line])
        self.assertEqual(len([line for line in lines if b" login conn=" in line and other.name_octets in line]), 2)

    @harness.needs_root
    def test_a_stuck_syslog_stops_no_mail(self):
        s, daemon = self.syslog()
        user, other = self.full(), self.user(MESSAGES)
        client = self.session(user, PLAIN, daemon)
        self.mark_all(client)
        client.quit()  # nobody reads the log
        self.assertEqual(user.maildir.paths(), [])
        client = self.session(other, PLAIN, daemon)
        client.ok(b"DELE 1")
        client.quit()
        lines = []
        self.read_lines(s, lines, lambda got: any(re.search(rb"lost \d+ log lines", line) for line in got))
        lost = sum(int(n) for n in re.findall(rb"lost (\d+) log lines", b"\n".join(lines)))
        told = len([line for line in lines if b" deleted conn=" in line])
        self.assertGreaterEqual(told + lost, self.COUNT)
        self.assertEqual(len(History(user).events("deleting")), self.COUNT)


class Told(Case):
    """pop3ctl history."""

    def delete(self, user, *numbers, kind=PLAIN):
        client = self.session(user, kind)
        for n in numbers:
            client.ok(b"DELE %d" % n)
        client.command(b"QUIT")
        client.eof()
        client.close()

    def test_table(self):
        user, mark, control = self.user(MESSAGES), self.mark(), Control(self.daemon)
        self.assertEqual(control.json("history", "clear", user.name), [])
        uids = [base(p) for p in user.maildir.paths()]
        self.delete(user, 1, 2)
        self.delete(user, 3, kind=TLS)
        found = control.json("history", "clear", user.name)
        self.assertEqual([f["uid"] for f in found], [uids[0], uids[1], uids[4]])
        receipts = self.receipts(user, mark)
        harness.wait_for(lambda: len(self.receipts(user, mark)) == 3, 5)
        for event, receipt in zip(found, self.receipts(user, mark)):
            self.assertEqual(list(event), ["time", "event", *WORDS])
            self.assertEqual(event["event"], "deleted")
            self.assertRegex(event["time"], "^%s$" % TIME)
            for key in RECEIPT:
                self.assertIn(receipt[key], ("-", "unknown") if event[key] is None else (str(event[key]),))
        self.assertEqual([f["tls"] for f in found], ["none", "none", "TLSv1.3"])
        lines = control.lines("history", "clear", user.name)
        self.assertEqual(lines[0].split(), ["time", "event", *WORDS])
        self.assertEqual(len(lines), 4)
        self.assertTrue(receipts)

    def test_outcomes(self):
        user, control = self.user(MESSAGES), Control(self.daemon)
        paths = user.maildir.paths()
        if subprocess.run(["chattr", "+i", paths[1]], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("no immutable files here")
        self.addCleanup(subprocess.run, ["chattr", "-i", paths[1]], stderr=subprocess.DEVNULL)
        self.delete(user, 1, 2, 3)
        with open(History(user).path, "a") as f:
            f.write('2126-01-31T23:59:59Z deleting uid="q\\"u\\\\o" octets=5 retrieved=never conn=0 peer=- user="a b\\x0ac"\n'
                    "\x1b[2J2126-01-31T23:59:59Z deleting uid=x\n2126-01-31T23:59:59Z deleting uid=torn")
        found = control.json("history", "clear", user.name)
        self.assertEqual([f["event"] for f in found], ["deleted", "kept", "deleted", "unknown"])
        self.assertEqual([f["uid"] for f in found], [*map(base, paths[:3]), 'q"u\\\\o'])
        self.assertEqual(found[3]["user"], "a b\\\\x0ac")
        self.assertEqual(found[3]["mech"], "")

    def test_since(self):
        user, control = self.user(MESSAGES), Control(self.daemon)
        history = History(user)
        with open(history.path + ".old", "w") as f:
            f.write("2020-02-03T00:00:00Z deleting uid=a octets=1 retrieved=never conn=1 peer=-\n"
                    "2020-02-03T00:00:00Z done deleted=1 kept=0 conn=1\n")
        with open(history.path, "w") as f:
            f.write("2020-02-04T05:06:07Z deleting uid=b octets=1 retrieved=never conn=2 peer=-\n"
                    "2020-02-04T05:06:07Z done deleted=1 kept=0 conn=2\n")
        for path in (history.path, history.path + ".old"):
            os.chown(path, user.uid, user.gid)
        for since, expected in ((None, "ab"), ("2020-02-03", "ab"), ("2020-02-04", "b"), ("2020-02-04T05:06:07Z", "b"), ("2020-02-04T05:06:08Z", "")):
            words = ["--since", since] if since else []
            self.assertEqual("".join(f["uid"] for f in control.json("history", "clear", user.name, *words)), expected, since)
        for wrong in (["--since"], ["--since", "yesterday"], ["--since", "2020"], ["since", "2020-01-01"], ["--since", "2020-02-04T05:06:07Zx"]):
            control.refused(2, "history", "clear", user.name, *wrong)
        self.assertIn('"1h" is no time: write the day, YYYY-MM-DD', control.refused(2, "history", "clear", user.name, "--since", "1h"))

    def test_who_may_and_what_is_not_there(self):
        user, control = self.user(MESSAGES), Control(self.daemon)
        control.refused(1, "history", "clear", "no-such-user-here")
        control.refused(1, "history", "no-such-server", user.name)
        os.symlink("/etc/passwd", History(user).path)
        self.assertNotIn("root:", control.refused(1, "history", "clear", user.name))
        user.maildir.remove()
        control.refused(1, "history", "clear", user.name)

    def test_other_stores(self):
        user = self.user()
        path = os.path.join(user.home, "mbox")
        with open(path, "wb") as f:
            for message in MESSAGES:
                f.write(b"From a Mon Jan  2 10:00:00 2023\n" + message + b"\n")
        os.chown(path, user.uid, user.gid)
        os.chmod(path, 0o600)
        self.addCleanup(os.unlink, path)
        self.addCleanup(shutil.rmtree, os.path.join(user.home, ".pop3d"))
        daemon = self.own_daemon(storage="mbox:%h/mbox")
        client = self.session(user, PLAIN, daemon)
        uids = [line.split()[1].decode() for line in client.listing(b"UIDL")]
        client.ok(b"DELE 2")
        client.quit()
        found = Control(daemon).json("history", "clear", user.name)
        self.assertEqual([(f["event"], f["uid"]) for f in found], [("deleted", uids[1])])


class Confirmed(Case):
    """What counts as retrieved: the client's TCP has acknowledged it, and a command came that was sent after it."""

    COUNT = 60
    LETTERS = [mailbox.letter("%d" % i, b"0123456789abcde\n" * 64) for i in range(COUNT)]
    RETR = b"".join(b"RETR %d\r\n" % n for n in range(1, COUNT + 1))

    def ended(self, daemon, user, mark):
        end = daemon.log_fields("session-end", since=mark, user=user.name)
        return end["retrieved"], end["retrieved_octets"], end["fetched_again"]

    def shown(self, control, user, column):
        """What `top` shows in a column: how many messages were sent, the last command."""
        _, names, *rows = control.lines("top", "--once")
        return [dict(zip(names.split(), row.split()))[column] for row in rows if user.name in row]

    def test_a_client_that_reads_nothing(self):
        octets = str(sum(map(mailbox.size, self.LETTERS)))
        for kind in self.each_kind():
            daemon, user = self.own_daemon(), self.user(self.LETTERS)
            control, mark = Control(daemon), len(daemon.log())
            client = self.session(user, kind, daemon)
            for n in range(1, self.COUNT + 1):
                client.multi(b"RETR %d" % n)
            client.quit()
            self.assertEqual(self.ended(daemon, user, mark), (str(self.COUNT), octets, "0"))
            mark = len(daemon.log())
            client = self.session(user, kind, daemon)
            client.send(self.RETR)
            self.assertTrue(harness.wait_for(lambda: self.shown(control, user, "retrieved") == [str(self.COUNT)], 10))
            client.close()
            self.assertEqual(self.ended(daemon, user, mark), ("0", "0", "0"))
            self.assertEqual(control.pairs("status")["fetched_again"], "0")

    def test_a_client_whose_window_is_closed(self):
        # what has left for it is not acknowledged, though commands go on coming
        for kind in self.each_kind():
            user, mark = self.user([MESSAGES[0], mailbox.letter("long", b"0123456789abcde\n" * (60 << 6))]), self.mark()
            client, control = self.session(user, kind, rcvbuf=4096), Control(self.daemon)
            client.multi(b"RETR 1")
            client.send(b"RETR 2\r\n")
            self.assertTrue(harness.wait_for(lambda: self.shown(control, user, "retrieved") == ["2"], 10))
            client.send(b"NOOP\r\n")
            self.assertTrue(harness.wait_for(lambda: self.shown(control, user, "command") == ["NOOP"], 10))
            client.close()
            self.assertEqual(self.ended(self.daemon, user, mark), ("1", str(mailbox.size(MESSAGES[0])), "0"))

    def test_commands_sent_ahead(self):
        for kind in self.each_kind():
            user, mark = self.user(self.LETTERS), self.mark()
            client = self.session(user, kind)
            client.pump(self.RETR, lambda got: got.count(b"\r\n.\r\n") == self.COUNT)
            client.quit()
            self.assertEqual(self.ended(self.daemon, user, mark)[0], str(self.COUNT))

    def test_history_tells_delivered_from_retrieved(self):
        big = mailbox.letter("big", b"0123456789abcde\n" * (8 << 16))
        for kind in self.each_kind():
            user, mark = self.user([MESSAGES[0], big]), self.mark()
            client = self.session(user, kind, rcvbuf=65536)
            client.pump(b"RETR 1\r\nRETR 2\r\nDELE 1\r\nDELE 2\r\nQUIT\r\n", lambda got: got.endswith(b"+OK bye\r\n"))
            self.assertEqual(self.ended(self.daemon, user, mark)[0], "0")
            # the end of the second was still here when QUIT was obeyed
            self.assertEqual([(e["retrieved"], e["delivered"]) for e in History(user).events("deleting")],
                             [("never", "yes"), ("never", "no")])

    def test_little_is_taken_from_a_session_ahead_of_its_client(self):
        user = self.user([mailbox.letter("big", b"0123456789abcde\n" * (16 << 16))])
        client = self.session(user, rcvbuf=65536)
        client.send(b"RETR 1\r\n")
        client.response()
        local, remote = client.sock.getsockname()[1], client.sock.getpeername()[1]

        def queued():
            with open("/proc/net/tcp") as f:
                rows = [line.split() for line in f.readlines()[1:]]
            return [int(row[4].split(":")[0], 16) for row in rows if row[1].endswith(":%04X" % remote) and row[2].endswith(":%04X" % local)]
        seen = []

        def settled():
            seen.append(queued())
            return len(seen) > 5 and all(s == seen[-1] for s in seen[-5:])
        self.assertTrue(harness.wait_for(settled, 10, 0.1))
        self.assertEqual(len(seen[-1]), 1)
        self.assertLess(seen[-1][0], 512 << 10)
        client.reset()


class Warned(Case):
    """What is unusual is told, and counted."""

    def setUp(self):
        super().setUp()
        self.own = self.own_daemon()
        self.control = Control(self.own)

    def counted(self):
        pairs = self.control.pairs("status")
        return pairs["uids_vanished"], pairs["fetched_again"]

    def fetch(self, user, numbers):
        mark = len(self.own.log())
        client = self.session(user, PLAIN, self.own)
        for n in numbers:
            client.multi(b"RETR %d" % n)
        client.quit()
        self.own.log_fields("session-end", since=mark)

    def test_fetched_again(self):
        user = self.user(mailbox.simple(5) * 8)
        self.fetch(user, range(1, 41))
        self.assertEqual(self.counted(), ("0", "0"))
        mark = len(self.own.log())
        self.fetch(user, list(range(1, 21)) * 2)  # half, and each one twice
        self.assertEqual(self.own.log_fields("session-end", since=mark)["fetched_again"], "20")
        self.assertEqual(self.counted(), ("0", "0"))
        mark = len(self.own.log())
        self.fetch(user, range(20, 41))
        fields = self.own.log_fields("fetched-again", since=mark)
        self.assertEqual(list(fields), ["conn", "server", "user", "peer", "fetched", "of"])
        self.assertEqual((fields["fetched"], fields["of"]), ("21", "40"))
        self.assertEqual(self.counted(), ("0", "1"))

    def test_fetched_once_is_nothing_unusual(self):
        user = self.user(mailbox.simple(3) * 10)
        self.fetch(user, list(range(1, 31)) * 2)
        self.own.log_fields("session-end", user=user.name, fetched_again="0")
        self.assertEqual(self.counted(), ("0", "0"))

    def vanish(self, user, count):
        for path in user.maildir.paths()[:count]:
            os.unlink(path)
        mark = len(self.own.log())
        self.session(user, PLAIN, self.own).quit()
        self.own.log_fields("session-end", since=mark)
        return self.own.log()[mark:]

    def test_uids_vanished(self):
        user = self.user(mailbox.simple(5) * 12)
        self.fetch(user, ())
        self.assertNotIn("uids-vanished", self.vanish(user, 30))  # half
        self.assertNotIn("uids-vanished", self.vanish(user, 11))  # 11 of 30
        for _ in range(15):
            user.maildir.deliver(b"new\n")
        self.assertNotIn("uids-vanished", self.vanish(user, 0))
        self.assertEqual(self.counted(), ("0", "0"))
        fields = harness.log_fields(re.search(".*uids-vanished.*", self.vanish(user, 20)).group(0), "uids-vanished")
        self.assertEqual(list(fields), ["conn", "server", "user", "peer", "vanished", "of"])
        self.assertEqual((fields["vanished"], fields["of"]), ("20", "34"))
        self.assertEqual(self.counted(), ("1", "0"))

    def test_own_deletions_do_not_count(self):
        user = self.user(mailbox.simple(5) * 8)
        client = self.session(user, PLAIN, self.own)
        for n in range(1, 36):
            client.ok(b"DELE %d" % n)
        client.quit()
        self.assertNotIn("uids-vanished", self.vanish(user, 0))
        self.assertEqual(self.counted(), ("0", "0"))
