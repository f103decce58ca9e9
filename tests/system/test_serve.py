"""One-user mode: pop3d --serve on a directory, a Maildir and an mbox, as root for the owner and as an ordinary user.

P3T_ARCHIVE is the number of messages of the archive that the importer reads (400).
"""

import contextlib
import fcntl
import hashlib
import os
import poplib
import pty
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import termios
import time
import unittest

import harness
import mailbox
from client import TestCase
from test_logs import pipe_ends

COUNT = int(os.environ.get("P3T_ARCHIVE", "400"))
A_CONNECTION = 200  # messages that the importer fetches before it quits
PASSWORD = "one import"
PROGRESS = re.compile(r"progress: fetched (\d+) of (\d+), octets (\d+) of (\d+), deleted (\d+), left (\d+)$")
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} \d+ [<>*] ")


class From(poplib.POP3):
    """A client at another address of this host's."""

    def __init__(self, host, port, source):
        self.source = source
        super().__init__(host, port, timeout=20)

    def _create_socket(self, timeout):
        return socket.create_connection((self.host, self.port), timeout, (self.source, 0))


class Serve:
    """A run of pop3d --serve."""

    def __init__(self, path, *arguments, uid=None, start=True, stdout=None, stderr=None, wrap=()):
        self.out = harness.world().path("serve-%d" % time.monotonic_ns())
        command = [harness.program(), "--serve", path, *arguments]
        if uid is not None:
            command[:0] = harness.as_ids(uid, uid)
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen([*wrap, *command], stdin=subprocess.DEVNULL, stdout=stdout or out, stderr=stderr or out, cwd="/",
                                            start_new_session=True)
        harness.world().registry.add("process", self.process.pid, harness.start_time(self.process.pid))
        if start:
            first = harness.wait_for(lambda: self.lines() or self.process.poll() is not None, 60)
            if not isinstance(first, list) or not first[0].isdigit():
                raise AssertionError("it does not serve: %r" % self.text())
            self.port = int(first[0])

    def text(self):
        with open(self.out, encoding="utf-8") as f:
            return f.read()

    def lines(self):
        return self.text().splitlines()

    def login(self, user="importer", password=PASSWORD, source="127.0.0.1"):
        client = From("127.0.0.1", self.port, source)
        try:
            client.user(user)
            client.pass_(password)
        except poplib.error_proto:
            client.close()
            raise
        return client

    def refusal(self, **who):
        try:
            self.login(**who).close()
        except poplib.error_proto as e:
            return e.args[0]
        raise AssertionError("the login was not refused")

    def progress(self, sessions):
        """The numbers of the line after the n-th session."""
        def look():
            found = [PROGRESS.match(line) for line in self.lines()]
            found = [m for m in found if m]
            return found if len(found) >= sessions else None
        found = harness.wait_for(look, 20)
        if found is None:
            raise AssertionError("no %d progress lines:\n%s" % (sessions, self.text()[-2000:]))
        return [int(n) for n in found[sessions - 1].groups()]

    def stop(self, signum=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signum)
        status = self.process.wait(20)
        return status, [line[len("left: "):] for line in self.lines() if line.startswith("left: ")]


def letters(count, seed=7):
    rng = random.Random(seed)
    ends = [b"\n", b"\r\n"]
    out = []
    for i in range(1, count + 1):
        text = b"".join(b"%s line %d\n" % (b"." * rng.randrange(3), rng.randrange(1 << 30)) for _ in range(rng.randrange(60)))
        out.append((b"Subject: letter %d\n\n" % i + text).replace(b"\n", ends[i % 2]))
    return out


def sha1(stored):
    return hashlib.sha1(stored).hexdigest()


def checksums(path):
    out = {}
    for where, _dirs, files in os.walk(path):
        for name in files:
            full = os.path.join(where, name)
            with open(full, "rb") as f:
                out[full] = (sha1(f.read()), os.stat(full).st_mtime_ns, os.stat(full).st_ctime_ns)
    return out


class ServeCase(TestCase):
    def setUp(self):
        super().setUp()
        self.owner = self.user()

    def archive(self, messages, maildir=False, mbox=False):
        """The messages as a directory of files, a Maildir or an mbox of the owner's; returns its path."""
        path = os.path.join(self.owner.home, "archive-%d" % time.monotonic_ns())
        for name in (["", "new", "cur", "tmp"] if maildir else [""]):
            os.mkdir(os.path.join(path, name))
        for i, text in enumerate([] if mbox else messages, 1):
            name = "cur/%d.M%dP1.host:2,S" % (1000000000 + i, i) if maildir else "%d.eml" % i
            with open(os.path.join(path, name), "wb") as f:
                f.write(text)
        if mbox:
            with open(os.path.join(path, "mbox"), "wb") as f:
                f.write(b"".join(b"From a@example.org Mon Jan  2 10:00:00 2023\n%s\n" % text for text in messages))
        subprocess.run(["chown", "-R", "%d:%d" % (self.owner.uid, self.owner.gid), path], check=True)
        return os.path.join(path, "mbox") if mbox else path

    def serve(self, path, *arguments, **options):
        if not any(a.startswith("--pass") or a == "--accept-any" for a in arguments):
            arguments = ("--user", "importer", "--password", PASSWORD, *arguments)
        run = Serve(path, *arguments, **options)
        self.addCleanup(lambda: run.process.poll() is None and run.stop(signal.SIGKILL))
        return run

    def refused(self, path, *arguments, **options):
        """It does not serve: returns status and what it said."""
        run = self.serve(path, *arguments, start=False, **options)
        return run.process.wait(20), run.text()


class Import(ServeCase):
    """As the importer in use did: some 200 messages a connection, newest first, DELE in shuffled order, from
    another address each time."""

    def fetch(self, client, messages, refuse=()):
        """One connection's work; the stored texts that were fetched and not refused."""
        uids = [line.split()[1].decode() for line in client.uidl()[1]]
        rest = [by for by in messages if by not in self.gone]
        self.assertEqual([sha1(m) for m in rest], [u.partition("-")[0] for u in uids])
        chosen = [i for i in range(len(rest), 0, -1) if rest[i - 1] not in self.fetched][:A_CONNECTION]
        for number in chosen:
            wire = rest[number - 1].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            self.assertEqual(b"".join(line + b"\r\n" for line in client.retr(number)[1]), wire)
        self.assertEqual([int(line.split()[1]) for line in client.list()[1]], [mailbox.size(m) for m in rest])
        order = sorted(chosen, key=lambda n: -n + random.Random(n).randrange(5))
        kept = [n for n in chosen if rest[n - 1] in refuse]
        for number in order:
            if number not in kept:
                client.dele(number)
        self.fetched |= {rest[n - 1] for n in chosen}
        return {rest[n - 1] for n in chosen if n not in kept}

    def run_import(self, *arguments, maildir=False, mbox=False, **options):
        """All of it, but for one message that the importer does not delete.  Returns the run's path and that message."""
        messages = letters(COUNT)
        path = self.archive(messages, maildir, mbox)
        directory = os.path.dirname(path) if mbox else path
        before = checksums(directory)
        run = self.serve(path, "--log", os.path.join(self.owner.home, "log"), *arguments, **options)
        self.gone, self.fetched = set(), set()
        stubborn = {messages[COUNT // 2]}
        sessions = 0
        while len(self.gone) < COUNT - len(stubborn):
            client = run.login(source="127.0.0.%d" % (2 + sessions % 200))
            client.capa()
            self.assertNotIn("complete:", run.text())
            done = self.fetch(client, messages, stubborn)
            client.quit()
            sessions += 1
            self.gone |= done
            octets = sum(mailbox.size(m) for m in self.fetched)
            self.assertEqual(run.progress(sessions),
                             [len(self.fetched), COUNT, octets, sum(map(mailbox.size, messages)), len(self.gone),
                              COUNT - len(self.gone)])
        self.assertEqual(sessions, -(-COUNT // A_CONNECTION))
        self.assertNotIn("complete:", run.text())
        status, left = run.stop()
        number = COUNT // 2 + 1
        name = "cur/%d.M%dP1.host:2,S" % (1000000000 + number, number) if maildir else "%d.eml" % number
        if mbox:
            name = "message %d at " % number
        self.assertEqual((status, len(left)), (0, 1))
        self.assertTrue(left[0].startswith(name) and left[0].endswith(" (never deleted)"), left)
        if "--apply-deletes" not in arguments:
            self.assertEqual(checksums(directory), before)
        return path, messages[COUNT // 2]

    def test_directory_as_root(self):
        self.run_import()

    def test_mbox_as_the_owner(self):
        self.run_import(mbox=True, uid=self.owner.uid)

    def test_mbox_with_deletions_applied(self):
        path, left = self.run_import("--apply-deletes", mbox=True)
        with open(path, "rb") as f:
            self.assertEqual(f.read(), b"From a@example.org Mon Jan  2 10:00:00 2023\n%s\n" % left)

    def test_maildir_as_the_owner(self):
        self.run_import(maildir=True, uid=self.owner.uid)

    @unittest.skipUnless(harness.have("fetchmail"), "no fetchmail")
    def test_fetchmail(self):
        for mbox, count in ((False, 20), (True, COUNT)):
            run = self.serve(self.archive(letters(count), mbox=mbox), "--exit-when-done")
            control = harness.world().path("fetchmailrc")
            with open(control, "w") as f:
                f.write('set no syslog\npoll 127.0.0.1 service %d protocol pop3 auth password user "importer" password "%s" '
                        'nokeep sslproto "" mda "cat >/dev/null"\n' % (run.port, PASSWORD))
            os.chmod(control, 0o600)
            done = subprocess.run(["fetchmail", "-f", control, "--pidfile", control + ".pid"], timeout=30 + count / 10,
                                  env={**os.environ, "FETCHMAILHOME": harness.world().dir}, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertEqual(run.process.wait(20), 0)
            self.assertIn("complete: all %d messages were fetched and deleted" % count, run.lines())

    def test_top_counts_when_it_sent_all(self):
        run = self.serve(self.archive(letters(3)))
        client = run.login()
        client.top(1, 99999999)
        client.top(2, 0)
        client.quit()
        self.assertEqual(run.progress(1)[0], 1)

    def test_complete_is_announced_and_can_end_it(self):
        messages = letters(30)
        run = self.serve(self.archive(messages), "--exit-when-done")
        self.gone, self.fetched = set(), set()
        client = run.login()
        self.assertIn(b"TOP", b" ".join(k.encode() for k in client.capa()))
        self.fetch(client, messages)
        client.quit()
        self.assertEqual(run.process.wait(20), 0)
        self.assertIn("complete: all 30 messages were fetched and deleted", run.lines())
        self.assertEqual(run.stop()[1], [])

    def test_all_fetched_can_end_it(self):
        """An importer that leaves mail on the server, or refuses one message."""
        messages = letters(5)
        run = self.serve(self.archive(messages), "--exit-when-fetched=1")
        client = run.login()
        for number in range(1, 5):
            client.retr(number)
        client.quit()
        idle, last = poplib.POP3("127.0.0.1", run.port, timeout=20), run.login()
        last.retr(5)
        last.quit()
        self.assertEqual(run.progress(2)[0], 5)
        time.sleep(2)  # longer than it waits: one that is connected keeps it
        self.assertIsNone(run.process.poll())
        idle.capa()
        idle.quit()
        self.assertEqual(run.process.wait(20), 0)
        self.assertIn("complete: all 5 messages were fetched, no client for 1 s", run.lines())

    def test_nobody_came(self):
        run = self.serve(self.archive([]), "--exit-when-fetched=1")
        time.sleep(2)
        self.assertIsNone(run.process.poll())
        for wrong in ("0", "x", "-1", "86401"):
            done = subprocess.run([harness.program(), "--serve", "/tmp", "--exit-when-fetched=" + wrong], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
            self.assertEqual((done.returncode, done.stdout), (2, b"pop3d: expected 1 to 86400 seconds: %s\n" % wrong.encode()))


class Maildrop(ServeCase):
    def test_natural_order_uids_of_duplicates_and_hidden_deletions(self):
        texts = letters(11)
        texts[6] = texts[9] = texts[2]
        path = self.archive(texts)
        with open(os.path.join(path, ".hidden"), "wb") as f:
            f.write(b"Subject: none\n\n")
        run = self.serve(path)
        want = [sha1(t) for t in texts]
        want[6] += "-2"
        want[9] += "-3"
        client = run.login()
        self.assertEqual([line.split()[1].decode() for line in client.uidl()[1]], want)
        client.dele(3)
        client.quit()
        client = run.login()  # what is left keeps its unique-ids
        self.assertEqual([line.split()[1].decode() for line in client.uidl()[1]], want[:2] + want[3:])
        client.dele(1)
        client.close()  # without QUIT
        run.progress(2)
        client = run.login()
        self.assertEqual(len(client.uidl()[1]), 10)
        client.quit()
        self.assertEqual(run.stop(signal.SIGINT)[0], 0)
        client = self.serve(path).login()  # a new run shows everything again
        self.assertEqual(len(client.uidl()[1]), 11)
        client.quit()

    def test_second_session(self):
        path = self.archive(letters(3))
        for arguments in ((), ("--no-lock",)):
            run = self.serve(path, *arguments)
            first = run.login()
            if arguments:
                run.login().quit()
            else:
                self.assertIn(b"[IN-USE]", run.refusal())
            first.quit()
            run.login().quit()
            run.stop()

    def test_killed_sessions_delete_nothing(self):
        path = self.archive(letters(3))
        run = self.serve(path)
        client = run.login()
        client.dele(1)
        status, left = run.stop()
        self.assertEqual((status, len(left)), (0, 3))
        self.assertEqual(len(os.listdir(path)), 3)

    def test_apply_deletes(self):
        for maildir in (False, True):
            path = self.archive(letters(3), maildir)
            run = self.serve(path, "--apply-deletes")
            client = run.login()
            client.dele(2)
            client.quit()
            run.progress(1)
            run.stop()
            self.assertEqual(len(os.listdir(os.path.join(path, "cur" if maildir else "."))), 2)

    def test_file_that_changed_or_vanished(self):
        path = self.archive(letters(3))
        run = self.serve(path)
        with open(os.path.join(path, "1.eml"), "ab") as f:
            f.write(b"more\n")
        os.unlink(os.path.join(path, "2.eml"))
        client = run.login()
        for number in (1, 2):
            with self.assertRaises(poplib.error_proto):
                client.retr(number)
        client.retr(3)
        client.quit()
        self.assertEqual(run.progress(1)[0], 1)

    def test_read_only_archive(self):
        path = self.archive(letters(2))
        subprocess.run(["chmod", "-R", "a-w", path], check=True)
        client = self.serve(path).login()
        client.retr(1)
        client.dele(1)
        client.quit()

    def test_empty_archive(self):
        run = self.serve(self.archive([]))
        client = run.login()
        self.assertEqual(client.stat(), (0, 0))
        client.quit()


FROM = b"From a@example.org Mon Jan  2 10:00:00 2023\n"


class Mbox(ServeCase):
    def mbox(self, stored):
        path = self.archive([], mbox=True)
        with open(path, "wb") as f:
            f.write(stored)
        return path

    def stored(self, path):
        with open(path, "rb") as f:
            return f.read()

    def shown(self, path, *arguments):
        """What a run shows: texts, announced sizes, unique-ids.  The file stays as it is."""
        before = checksums(os.path.dirname(path))
        run = self.serve(path, *arguments)
        client = run.login()
        sizes = [int(line.split()[1]) for line in client.list()[1]]
        uids = [line.split()[1].decode() for line in client.uidl()[1]]
        texts = [b"".join(line + b"\r\n" for line in client.retr(n + 1)[1]) for n in range(len(sizes))]
        client.quit()
        run.stop()
        self.assertEqual([len(t) for t in texts], sizes)
        self.assertEqual(checksums(os.path.dirname(path)), before)
        return texts, uids

    def test_MBX_05_MBX_09_where_messages_begin_and_end(self):
        for stored, want in (
                (b"", []),
                (FROM, [b""]),
                (FROM + b"A: b\n\nx\n\n" + FROM + b"C: d", [b"A: b\n\nx\n", b"C: d"]),
                (FROM + b"A: b\n\nx\n\n\n" + FROM + b"C: d\n\n\n", [b"A: b\n\nx\n\n", b"C: d\n\n"]),
                ((FROM + b"A: b\n\nx\n\n" + FROM + b"C: d\n\ny\n\n").replace(b"\n", b"\r\n"),
                 [b"A: b\r\n\r\nx\r\n", b"C: d\r\n\r\ny\r\n"])):
            texts, uids = self.shown(self.mbox(stored))
            self.assertEqual(uids, [sha1(m) for m in want])
            self.assertEqual(texts, [mailbox.plain(m) for m in want])

    def test_MBX_09_what_is_no_mbox(self):
        for stored in (b"Subject: no From_ line\n\n", b"\n \n" + FROM, b"\0" * 5000, b"From here on\n"):
            path = self.mbox(stored)
            for arguments in ((), ("--apply-deletes",)):
                status, said = self.refused(path, *arguments)
                self.assertEqual(status, 1)
                self.assertIn("begin with a From_ line", said)
            self.assertEqual(self.stored(path), stored)

    def test_MBX_05_doubts_are_told_at_the_start(self):
        text = FROM + b"X-Mozilla-Status: 0009\nA: b\n\nx\n\nFrom here on\n" + FROM + b"y\n\n"
        for stored, arguments, want in ((text, (), [1, 2, 1]), (text, ("--mbox-split", "lax"), [3, 0, 1]),
                                        (FROM + b"A: b\n\nx\n\n", (), [1, 0, 0])):
            run = self.serve(self.mbox(stored), *arguments)
            self.assertTrue(harness.wait_for(lambda: len(run.lines()) >= 2 + sum(n > 0 for n in want[1:])))
            said = run.text()
            run.stop()
            found = [re.search(pattern, said, re.M) for pattern in
                     (r"^serving (\d+) messages", r'^note: (\d+) lines begin with "From "', r"^note: (\d+) messages are marked as deleted")]
            self.assertEqual([int(m[1]) if m else 0 for m in found], want)

    def test_MBX_06_MBX_08_shown_as_the_mbox_store_shows_it(self):
        notes = b"From x Mon Jan  2 10:00:00 2023\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nx\n\n"
        message = b"A: b\nStatus: RO\nX-Keywords: c\n d\nE: f\n\n>From x\n>>From y\n.dot\n"
        path = self.mbox(notes + FROM + message + b"\n")
        texts, uids = self.shown(path)
        self.assertEqual(texts, [b"A: b\r\nE: f\r\n\r\nFrom x\r\n>From y\r\n.dot\r\n"])
        self.assertEqual(uids, [sha1(message)])
        for words, body in ((("mboxo",), b"From x\r\n>>From y\r\n.dot\r\n"), (("rfc4155", "--mbox-split=lax"), b">From x\r\n>>From y\r\n.dot\r\n")):
            texts, again = self.shown(path, "--mbox-format", *words)
            self.assertEqual(texts, [b"A: b\r\nE: f\r\n\r\n" + body])
            self.assertEqual(again, uids)

    def test_MBX_03_changed_since_the_start(self):
        blocks = [FROM + m + b"\n" for m in letters(3)]
        path = self.mbox(b"".join(blocks))
        run = self.serve(path)
        with open(path, "r+b") as f:
            f.seek(len(blocks[0]) + len(FROM))
            f.write(b"X")
        with open(path, "ab") as f:
            f.write(blocks[0])
        client = run.login()
        self.assertEqual(len(client.list()[1]), 3)
        with self.assertRaises(poplib.error_proto):
            client.retr(2)
        client.retr(1)
        client.retr(3)
        client.quit()
        self.assertEqual(run.progress(1)[0], 2)

    def test_apply_deletes(self):
        messages = letters(6)
        messages[4] = messages[1]
        blocks = [FROM + m + b"\n" for m in messages]
        late = FROM + b"A: late\n\n\n"
        path = self.mbox(b"".join(blocks))
        inode = os.stat(path).st_ino
        run = self.serve(path, "--apply-deletes")
        client = run.login()
        before = client.uidl()[1]
        self.assertIn(b"[IN-USE]", run.refusal())
        client.dele(1)
        client.close()  # without QUIT
        run.progress(1)
        client = run.login()
        client.dele(2)
        client.dele(4)
        with open(path, "ab") as f:
            f.write(late)
        client.quit()
        run.progress(2)
        self.assertEqual(self.stored(path), blocks[0] + blocks[2] + blocks[4] + blocks[5] + late)
        client = run.login()
        self.assertEqual([line.split()[1] for line in client.uidl()[1]], [before[i].split()[1] for i in (0, 2, 4, 5)])
        self.assertEqual(b"".join(line + b"\r\n" for line in client.retr(3)[1]), mailbox.plain(messages[4]))
        client.dele(3)
        client.dele(4)
        client.quit()
        self.assertEqual(run.progress(3)[4:], [4, 2])
        status, left = run.stop()
        self.assertEqual((status, len([line for line in left if "never deleted" in line])), (0, 2))
        self.assertEqual(self.stored(path), blocks[0] + blocks[2] + late)
        self.assertEqual(os.stat(path).st_ino, inode)
        self.assertEqual(sorted(os.listdir(os.path.dirname(path))), [".pop3d", "mbox"])
        client = self.serve(path, "--apply-deletes").login()  # the next run shows what came
        self.assertEqual(client.stat()[0], 3)
        client.quit()

    def test_LCK_01_two_runs_that_apply_deletes(self):
        path = self.mbox(b"".join(FROM + m + b"\n" for m in letters(2)))
        first = self.serve(path, "--apply-deletes")
        second = self.serve(path, "--apply-deletes")
        client = first.login()
        self.assertIn(b"[IN-USE]", second.refusal())
        status, said = self.refused(path, "--apply-deletes")
        self.assertEqual(status, 1)
        self.assertIn("in use", said)
        client.dele(1)
        client.quit()
        client = second.login()
        self.assertEqual(client.stat()[0], 1)
        client.quit()

    def test_MBX_03_apply_deletes_without_a_lock(self):
        blocks = [FROM + m + b"\n" for m in letters(4)]
        path = self.mbox(b"".join(blocks))
        run = self.serve(path, "--apply-deletes", "--no-lock")
        first, second = run.login(), run.login()
        first.dele(1)
        second.dele(3)
        first.quit()
        with self.assertRaises(poplib.error_proto) as failed:
            second.quit()
        self.assertIn(b"[SYS/TEMP]", failed.exception.args[0])
        run.progress(2)
        self.assertEqual(self.stored(path), b"".join(blocks[1:]))
        client = run.login()
        client.dele(2)
        client.quit()
        self.assertEqual(run.progress(3)[4:], [2, 2])
        self.assertEqual(self.stored(path), blocks[1] + blocks[3])

    def test_apply_deletes_to_one_that_may_only_be_read(self):
        path = self.mbox(b"".join(FROM + m + b"\n" for m in letters(2)))
        os.chmod(path, 0o400)
        before = self.stored(path)
        client = self.serve(path, "--apply-deletes", uid=self.owner.uid).login()
        client.dele(1)
        with self.assertRaises(poplib.error_proto):
            client.quit()
        self.assertEqual(self.stored(path), before)


class Others(ServeCase):
    """Folders of other programs: served right, or refused with what is there; an index is never a message."""

    LETTERS = [b"Subject: %d\n\nx\n" % n for n in range(1, 4)]
    BOX = b"".join(FROM + m + b"\n" for m in LETTERS)
    BINARY = bytes(range(64)) * 4

    def tree(self, files, suffix=""):
        """These files, by their paths, in a directory of the owner's; its path.  None: a directory."""
        path = self.archive([]) + suffix
        for name, octets in files.items():
            full = os.path.join(path, name)
            os.makedirs(full if octets is None else os.path.dirname(full), exist_ok=True)
            if octets is not None:
                with open(full, "wb") as f:
                    f.write(octets)
        subprocess.run(["chown", "-R", "%d:%d" % (self.owner.uid, self.owner.gid), path], check=True)
        return path

    def check_served(self, path, messages, *said, arguments=()):
        port = harness.free_port()
        run = self.serve(path, "--port", str(port), *arguments, start=False)
        run.port = port
        self.assertTrue(harness.wait_for(lambda: "serving %d messages" % len(messages) in run.text(), 30), run.text())
        client = run.login()
        texts = [b"".join(line + b"\r\n" for line in client.retr(n + 1)[1]) for n in range(len(client.list()[1]))]
        client.quit()
        run.stop()
        self.assertEqual(texts, [mailbox.plain(m) for m in messages])
        for words in said:
            self.assertIn(words, run.text())
        return run.text()

    def check_refused(self, path, *said, arguments=()):
        status, text = self.refused(path, *arguments)
        self.assertEqual(status, 1, text)
        for words in (path, *said):
            self.assertIn(words, text)

    def numbered(self, pattern="%d"):
        return {pattern % n: m for n, m in enumerate(self.LETTERS, 1)}

    def maildir(self, name="", count=3):
        files = {os.path.join(name, "cur", "100000000%d.M1P1.h:2,S" % n): m for n, m in enumerate(self.LETTERS[:count])}
        return {**files, **{os.path.join(name, where): None for where in ("cur", "new", "tmp")}}

    def test_apple_mail_export(self):
        for files, suffix in (({"table_of_contents": self.BINARY}, ".mbox"), ({}, ".mbox"), ({"table_of_contents": self.BINARY}, "")):
            path = self.tree({"mbox": self.BOX, **files}, suffix)
            self.check_served(path, self.LETTERS, "of mbox %s/mbox" % path)
            self.check_served(path, self.LETTERS, arguments=("--apply-deletes",))

    def test_apple_mail_folder(self):
        emlx = b"10\nSubject: x\n<plist/>\n"
        self.check_refused(self.tree({"1.emlx": emlx, "2.partial.emlx": emlx}), ".emlx files are not read")
        self.check_refused(self.tree({"Info.plist": b"<plist/>", "Messages/1.emlx": emlx}, ".mbox"), "Messages (directory, 1 file)")

    def test_mh(self):
        for files in ({",3": b"Subject: removed\n\n"}, {".mh_sequences": b"cur: 1\n"}, {".sylpheed_cache": self.BINARY, "#4": b"x\n"},
                      {".overview": b"1\tx\n", "17.draft": b"x\n"}):
            path = self.tree({**self.numbered(), **files})
            said = self.check_served(path, self.LETTERS, "of mh %s" % path)
            for name in files:
                if not name.startswith("."):
                    self.assertIn("pop3d: %s: is no message; it is left out" % name, said)

    def test_cyrus(self):
        path = self.tree({**self.numbered("%d."), "cyrus.header": self.BINARY, "cyrus.index": self.BINARY, "cyrus.cache": self.BINARY})
        self.check_served(path, self.LETTERS, "of cyrus %s" % path)

    def test_what_lies_beside_messages(self):
        others = {name: self.BINARY for name in ("dovecot.index", "dovecot-uidlist", "courierimapuiddb", "maildirsize", "subscriptions",
                                                 "table_of_contents", "Info.plist", "Thumbs.db", "inbox.index")}
        said = self.check_served(self.tree({**self.numbered("%d.eml"), **others}), self.LETTERS, "note: %d files are left out" % len(others))
        for name in others:
            self.assertIn("pop3d: %s: is no message; it is left out" % name, said)

    def test_mailboxes_in_a_directory(self):
        self.check_refused(self.tree({"inbox": self.BOX, "sent": self.BOX}), "inbox: is an mbox, to be served by its own path")
        self.check_served(self.tree({**self.numbered(), "9": FROM + self.LETTERS[0]}), [*self.LETTERS, FROM + self.LETTERS[0]])
        self.check_served(self.tree({**self.numbered(), "old": self.BOX}), self.LETTERS, "old: is an mbox")

    def test_thunderbird(self):
        self.check_refused(self.tree({"Inbox": self.BOX, "Inbox.msf": b"// <!-- <mdb:mork"}), "Thunderbird", ".msf")
        self.check_refused(self.tree({"Inbox/cur/1.eml": self.LETTERS[0], "Inbox/tmp": None}), "Inbox/cur (directory, 1 file)")

    def test_dovecot_dbox(self):
        self.check_refused(self.tree({"dbox-Mails/u.1": self.BINARY}), "dbox of Dovecot")
        self.check_refused(self.tree({"dovecot.index": self.BINARY, "u.1": self.BINARY}), "dbox of Dovecot")
        self.check_refused(self.tree({"storage/m.1": self.BINARY, "storage/dovecot.map.index": self.BINARY, "mailboxes/INBOX": None}),
                           "mdbox of Dovecot")

    def test_folders_below(self):
        folders = {**self.maildir(".Sent"), **self.maildir("Old/Deep", 1), **self.maildir("Empty", 0)}
        told = ".Sent (Maildir, 3 messages), Old/Deep (Maildir, 1 message)"
        self.check_refused(self.tree({**self.maildir(count=0), **folders}), "no message that can be served; below it: " + told)
        self.check_refused(self.tree(folders), told)
        self.check_served(self.tree({**self.maildir(), **folders}), self.LETTERS, "note: not served with it: " + told)
        self.check_served(self.tree(self.maildir()), self.LETTERS)

    def test_many_folders_below(self):
        files = {}
        for n in range(8):
            files.update(self.maildir(".%d-%s" % (n, "long" * 50), 1))
        self.check_refused(self.tree(files), ".0-long", ".4-long", ", and 3 more")

    def test_files_that_are_no_mbox(self):
        for octets, said in ((b"\x1f\x8b\x08x", "compressed with gzip"), (b"PK\3\4x", "a ZIP archive"),
                             (b"// <!-- <mdb:mork:z v=\"1.4\"/> -->\n", "serve the mbox beside it"), (b"*mbx*\r\n0\r\n", "mbx"),
                             (b"\1\1\1\1\n", "MMDF"), (self.LETTERS[0], "a single message")):
            path = os.path.join(self.tree({"file": octets}), "file")
            status, text = self.refused(path)
            self.assertEqual(status, 1)
            self.assertIn("it does not begin with a From_ line; it ", text)
            self.assertIn(said, text)


class Tls(ServeCase):
    def certificate(self):
        """Certificate and key for this host that the owner may read."""
        names = []
        for source, name in zip(harness.world().certificate(), ("cert.pem", "key.pem")):
            names.append(os.path.join(self.owner.home, name))
            shutil.copy(source, names[-1])
            os.chown(names[-1], self.owner.uid, self.owner.gid)
            os.chmod(names[-1], 0o600)
        return ["--certificate", names[0], "--key", names[1]]

    def context(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def test_TLS_STLS_and_implicit(self):
        path = self.archive(letters(2))
        options = self.certificate()
        run = self.serve(path, *options)
        client = poplib.POP3("127.0.0.1", run.port, timeout=20)
        client.stls(self.context())
        client.user("importer")
        client.pass_(PASSWORD)
        client.retr(1)
        client.quit()
        run.login().quit()  # without TLS, from this host
        run.stop()
        run = self.serve(path, *options, "--tls", uid=self.owner.uid)
        client = poplib.POP3_SSL("127.0.0.1", run.port, timeout=20, context=self.context())
        client.user("importer")
        client.pass_(PASSWORD)
        self.assertEqual(client.stat()[0], 2)
        client.quit()

    def test_half_of_a_pair_and_none_that_fits(self):
        path = self.archive(letters(1))
        options = self.certificate()
        for half in (options[:2], ["--tls"]):
            status, said = self.refused(path, *half)
            self.assertEqual(status, 2)
            self.assertIn("--certificate and --key", said)
        self.assertEqual(self.refused(path, *options[:3], "/nonexistent")[0], 1)
        status, said = self.refused(path, *options[:3], options[1])
        self.assertEqual(status, 1)
        self.assertIn("key", said)


class Users(ServeCase):
    def test_wrong_name_or_password(self):
        run = self.serve(self.archive(letters(1)))
        for who in ({"user": "other"}, {"password": "other"}, {"password": PASSWORD + "x"}):
            self.assertIn(b"[AUTH]", run.refusal(**who))
        run.login().quit()

    def test_what_is_not_set_may_be_anything(self):
        path = self.archive(letters(1))
        file = harness.world().path("password")
        with open(file, "w") as f:
            f.write(PASSWORD + "\n")
        os.chmod(file, 0o600)
        run = self.serve(path, "--password-file", file)
        run.login(user="whoever").quit()
        self.assertIn(b"[AUTH]", run.refusal(password="other"))
        run.stop()
        run = self.serve(path, "--accept-any", "--user", "importer")
        run.login(password="whatever").quit()
        self.assertIn(b"[AUTH]", run.refusal(user="other"))

    def test_any_login_is_for_this_host(self):
        path = self.archive(letters(1))
        for arguments in ((), ("--user", "a")):
            run = Serve(path, "--listen", "0.0.0.0", *arguments, start=False)
            self.assertEqual(run.process.wait(20), 2)
            self.assertIn("--accept-any", run.text())
        self.serve(path, "--listen", "0.0.0.0", "--accept-any").login().quit()
        self.serve(path, "--listen", "127.0.0.1:0").login().quit()

    def test_password_leaves_the_arguments(self):
        run = self.serve(self.archive(letters(1)))
        for pid in [run.process.pid, *harness.descendants(run.process.pid)]:
            self.assertNotIn(PASSWORD, harness.command_line(pid))

    def test_who_runs_it(self):
        path = self.archive(letters(1))
        run = self.serve(path)
        client = run.login()
        for pid in [run.process.pid, *harness.descendants(run.process.pid)]:
            status = harness.status(pid)
            self.assertEqual(set(status["Uid"].split()), {str(self.owner.uid)})
            self.assertEqual(set(status["Gid"].split()), {str(self.owner.gid)})
            self.assertEqual(int(status["CapPrm"], 16), 0)
        client.quit()

    @harness.needs_root
    def test_root_is_refused(self):
        path = harness.world().path("rootbox")
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "1"), "wb") as f:
            f.write(letters(1)[0])
        status, said = self.refused(path)
        self.assertEqual(status, 1)
        self.assertIn("--as USER", said)
        self.serve(path, "--as", self.owner.name).login().quit()
        self.assertEqual(self.refused(path, "--as", "root")[0], 1)
        self.assertEqual(self.refused(path, "--as", "nobody", uid=self.owner.uid)[0], 1)


class Told(ServeCase):
    def test_log_lines(self):
        path = self.archive([b"Subject: secret body\n\nbody\n", b"Subject: b\n\n"])
        run = self.serve(path)
        client = run.login()
        client.retr(1)
        client.list()
        with self.assertRaises(poplib.error_proto):
            client._shortcmd("BAD \x01\\")
        client.quit()
        run.progress(1)
        run.stop()
        text = run.text()
        stamped = [line for line in run.lines() if STAMP.match(line)]
        for want in ("1 * connected from 127.0.0.1:", "1 < USER importer", "1 < PASS ****", "1 < RETR 1", "1 > 2 14",
                     "octets)", "1 < (6 octets)", "1 > +OK bye", "1 * closed"):
            self.assertTrue(any(want in line for line in stamped), want)
        self.assertNotIn(PASSWORD, text)
        self.assertNotIn("secret body", text)

    def test_bodies_and_secrets_on_demand(self):
        path = self.archive([b"Subject: secret body\n\n.dot\n"])
        log = os.path.join(self.owner.home, "log-%d" % time.monotonic_ns())
        run = self.serve(path, "--log-bodies", "--log-secrets", "--log", log)
        client = run.login()
        client.retr(1)
        with self.assertRaises(poplib.error_proto):
            client._shortcmd("BAD \x01\\")
        client.quit()
        run.progress(1)
        run.stop()
        with open(log) as f:
            text = f.read()
        self.assertEqual(os.stat(log).st_mode & 0o777, 0o600)
        for want in ("< PASS " + PASSWORD, "< BAD \\x01\\\\", "> Subject: secret body", "> ..dot", "> .\n"):
            self.assertIn(want, text)
        self.assertFalse(any(STAMP.match(line) for line in run.lines()))

    def test_uidl_of_the_text_with_CRLF(self):
        # CRLF split over two blocks, mixed ends, bare CR, no end
        texts = [b"x" * (n - 1) + b"\r\n" * 3 + b"\nend" for n in (4096, 16384, 65536, 131072)]
        texts += [b"Subject: a\n\n.b\r\nc\rd\n\r\n", b"\n", b"Subject: c\r\n\r\nd\r", b"Subject: e\n\nf\n", b"Subject: e\r\n\r\nf\r\n"]
        crlf = [sha1(re.sub(rb"(?<!\r)\n", b"\r\n", text)) for text in texts]
        self.assertEqual(crlf[-1], crlf[-2])
        for arguments, want in ((("--uidl", "sha1-crlf"), crlf[:-1] + [crlf[-1] + "-2"]), (("--uidl", "sha1"), [sha1(text) for text in texts])):
            run = self.serve(self.archive(texts), *arguments)
            client = run.login()
            self.assertEqual([line.split()[1].decode() for line in client.uidl()[1]], want)
            client.quit()
            run.stop()
        self.assertEqual(self.refused(self.archive(texts), "--uidl", "md5")[0], 2)

    def test_summary_before_the_list(self):
        run = self.serve(self.archive(letters(3)))
        client = run.login()
        client.retr(1)
        client.retr(2)
        client.dele(2)
        client.quit()
        run.progress(1)
        self.assertEqual(len(run.stop()[1]), 2)
        end = run.lines()[-3:]
        self.assertEqual(end[0], "summary: of 3 messages 1 were never fetched, 2 never deleted")
        self.assertTrue(all(line.startswith("left: ") for line in end[1:]), end)

    def test_bar_fits_the_terminal(self):
        path, log = self.archive(letters(3)), os.path.join(self.owner.home, "log-%d" % time.monotonic_ns())
        for columns, widest in ((40, 39), (0, 79), (200, 199)):
            reads, writes = (os.fdopen(fd, "r+b", buffering=0) for fd in pty.openpty())
            self.addCleanup(reads.close)
            fcntl.ioctl(writes, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            run = self.serve(path, "--log", log, stdout=writes, start=False)
            writes.close()
            text = b""
            while text.count(b"\r\x1b[K[") < 2:  # one is whole when the next begins
                text += reads.read(4096)
            run.process.send_signal(signal.SIGTERM)
            self.assertEqual(run.process.wait(30), 0)
            bar = re.search(rb"\r\x1b\[K(\[[^\r]*)\r", text).group(1)
            self.assertLessEqual(len(bar), widest)
            self.assertTrue(bar.startswith(b"[....................] 0/3 fetched"), bar)
            # nobody has come: no time has been lost
            self.assertTrue(columns == 40 or bar.endswith(b" 0 KB/s"), bar)

    def test_bad_command_lines(self):
        path = self.archive(letters(1))
        for arguments in (("--port", "x"), ("--port", "70000"), ("--format", "tar"), ("--listen", "host.example"),
                          ("surplus",), ("--nonsense",), ("--password", "a", "--password-file", "b")):
            self.assertEqual(self.refused(path, *arguments)[0], 2, arguments)
        self.assertEqual(self.refused(path + "/none")[0], 1)
        taken = self.serve(path)
        status, said = self.refused(path, "--port", str(taken.port))
        self.assertEqual(status, 1)
        self.assertNotIn("left:", said)


class Unread(ServeCase):
    """Nobody reads what is told: the mail goes on, and it ends all the same."""

    COUNT = 2500

    def fetch(self, port, count):
        run = From("127.0.0.1", port, "127.0.0.1")
        run.user("importer")
        run.pass_(PASSWORD)
        for n in range(1, count + 1):
            run.retr(n)
        run.quit()

    def first_line(self, reads):
        line = b""
        while not line.endswith(b"\n"):
            octet = reads.read(1)
            self.assertTrue(octet, "it does not serve")
            line += octet
        return int(line)

    def test_standard_output(self):
        # as root the pipe is opened anew; an ordinary user may not open another's
        path = self.archive(letters(self.COUNT))
        for uid in (None, self.owner.uid):
            with self.subTest(uid=uid):
                reads, writes = pipe_ends(self)
                run = self.serve(path, uid=uid, stdout=writes, start=False)
                writes.close()
                self.fetch(self.first_line(reads), self.COUNT)
                # it goes on where whoever reads now finds all lines or their number
                text = b""
                while b" lines are missing here" not in text:
                    more = reads.read(65536)
                    self.assertTrue(more, "no line tells of the others")
                    text += more
                lines = text.decode().splitlines()
                self.assertEqual([line for line in lines if not STAMP.match(line) and not line.startswith(("serving ", "note: ", "progress: "))], [])
                found = [re.fullmatch(r"note: (\d+) lines are missing here: they were not read in time", line) for line in lines]
                lost = [int(m.group(1)) for m in found if m]
                self.assertEqual(len(lost), 1)
                self.assertGreater(lost[0] + len(lines), 2 * self.COUNT)
                run.process.send_signal(signal.SIGTERM)
                self.assertEqual(run.process.wait(30), 0)

    def test_it_ends(self):
        # what was left is told, and nobody reads that either
        path = self.archive(letters(5000))
        reads, writes = pipe_ends(self)
        run = self.serve(path, stdout=writes, start=False)
        writes.close()
        self.fetch(self.first_line(reads), 1)
        run.process.send_signal(signal.SIGTERM)
        self.assertEqual(run.process.wait(30), 0)

    def test_the_reader_has_gone(self):
        path = self.archive(letters(50))
        reads, writes = pipe_ends(self)
        run = self.serve(path, stdout=writes, start=False)
        writes.close()
        port = self.first_line(reads)
        reads.close()
        self.fetch(port, 50)
        run.process.send_signal(signal.SIGTERM)
        self.assertEqual(run.process.wait(30), 0)

    @harness.needs_root
    def test_closed(self):
        # its number is not given to what is opened next
        path, port = self.archive(letters(50)), harness.free_port()
        run = self.serve(path, "--port", str(port), start=False, wrap=["sh", "-c", 'exec "$@" >&- 2>&-', "sh"])

        def greets():
            with contextlib.suppress(ConnectionRefusedError), contextlib.closing(socket.create_connection(("127.0.0.1", port), 5)) as s:
                return s.recv(3) == b"+OK"
            return False
        self.assertTrue(harness.wait_for(greets, 30))
        for fd in (1, 2):
            self.assertEqual(os.readlink("/proc/%d/fd/%d" % (run.process.pid, fd)), "/dev/null")
        self.fetch(port, 50)

    def test_left_out_while_it_starts(self):
        path = self.archive(letters(1))
        for n in range(800):
            name = os.path.join(path, "%d-%s.eml" % (n, "x" * 200))
            open(name, "w").close()
            os.chmod(name, 0)
        reads, writes = pipe_ends(self)
        run = self.serve(path, stderr=writes)
        writes.close()
        run.login().quit()
        self.assertIn("note: 800 files are left out", run.text())
        self.assertIn(b"x.eml: Permission denied; it is left out\n", reads.read(4096))

    def test_log_to_a_fifo(self):
        path, fifo = self.archive(letters(1)), harness.world().path("fifo-%d" % time.monotonic_ns())
        os.mkfifo(fifo)
        os.chmod(fifo, 0o666)
        self.assertEqual(self.refused(path, "--log", fifo)[0], 1)


if __name__ == "__main__":
    unittest.main()
