"""The session lock as a login finds it: who has it, and taking over (CONFORMANCE group LCK, DESIGN 5.5)."""

import contextlib
import fcntl
import os
import re
import signal
import struct
import threading
import time
import unittest

import harness
import mailbox
import mboxes
import network
from client import Eof, TestCase
from harness import ALL_KINDS, PLAIN, TLS

MESSAGES = mailbox.simple(3)
STORES = ("mbox:%h/box", "dir:%h/letters")
BIG = [b"Subject: big\n\n" + b"x" * 70 + b"\n" + (b"y" * 70 + b"\n") * 400000]  # fills every buffer on the way
OPEN = rb"-ERR \[IN-USE\] this maildrop is locked since (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) from (\S+), idle for (\d+) s"


def alias_of(user):
    """Another name of the same uid, with the same Maildir."""
    alias = harness.User(uid=user.uid, extra=["-g", str(user.gid)])
    os.symlink(user.maildir.path, alias.maildir.path)
    return alias


class Base(TestCase):
    def refused(self, user, kind=PLAIN, daemon=None):
        """What a login hears that is refused since the mailbox is in use."""
        client = self.connect(kind, daemon)
        answer = client.try_login(user)
        client.close()
        self.assertTrue(answer.startswith(b"-ERR [IN-USE] "), answer)
        return answer

    def details(self, user, kind=PLAIN, daemon=None):
        """The same, of a session of the same user: since when (time.time()), from where, how long idle."""
        answer = self.refused(user, kind, daemon)
        found = re.fullmatch(OPEN, answer)
        self.assertIsNotNone(found, answer)
        since = time.strptime(found.group(1).decode() + " UTC", "%Y-%m-%dT%H:%M:%SZ %Z")
        return time.mktime(since) - time.timezone, found.group(2).decode(), int(found.group(3))

    @staticmethod
    def answers(client):
        try:
            return client.command(b"NOOP").startswith(b"+OK ")
        except (Eof, OSError):
            return False

    def takes_over(self, user, kind=PLAIN, daemon=None, timeout=20):
        """Log in again and again until it is let in; the session."""
        deadline = time.monotonic() + timeout
        while True:
            client = self.connect(kind, daemon)
            answer = client.try_login(user)
            if answer.startswith(b"+OK "):
                return client
            self.assertTrue(answer.startswith(b"-ERR [IN-USE] "), answer)
            self.assertLess(time.monotonic(), deadline, answer)
            client.close()
            time.sleep(0.1)

    def ended(self, daemon, user, **want):
        """The session-end line of the one that was taken over."""
        return daemon.log_fields("session-end", user=user.name, reason="takeover", by="server", **want)


class InUse(Base):
    """Without the setting: a login is refused, and told why."""

    def test_LCK_01_since_when_from_where_how_long_idle(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            begun = time.time()
            holder = self.session(user, kind, source="127.0.0.7")
            time.sleep(1.1)
            for second in ALL_KINDS:
                since, peer, idle = self.details(user, second)
                self.assertTrue(begun - 2 <= since <= time.time() + 1, (begun, since))
                self.assertEqual(peer, "127.0.0.7")
                self.assertTrue(1 <= idle <= time.time() - begun + 1, idle)
            said = time.monotonic()
            holder.ok(b"NOOP")
            self.assertLessEqual(self.details(user)[2], time.monotonic() - said + 1)
            self.assertEqual(holder.quit()[:4], b"+OK ")
        fields = self.daemon.log_fields("login-failed", user=user.name, result="in-use")
        self.assertEqual(fields["reason"], '"mailbox in use"')

    def test_LCK_01_since_when_stays_the_same(self):
        user = self.user(MESSAGES)
        holder = self.session(user)
        said, begun = set(), time.monotonic()
        while time.monotonic() - begun < 1.5:  # the seconds of every clock have changed by then
            said.add(self.details(user)[0])
        self.assertEqual(len(said), 1, said)
        holder.quit()

    def test_LCK_01_IPv6_address(self):
        with contextlib.suppress(OSError):
            daemon = self.own_daemon(servers={
                "six": {"addresses": ["::1"], "port": harness.free_port(), "socket": "plain"}})
            user = self.user(MESSAGES)
            holder = self.session(user, PLAIN, daemon)
            self.assertEqual(self.details(user, PLAIN, daemon)[1], "::1")
            holder.quit()

    def test_LCK_07_another_name_of_the_same_uid_hears_no_more_than_that(self):
        user = self.user(MESSAGES)
        alias = alias_of(user)
        holder = self.session(user)
        self.assertEqual(self.refused(alias), b"-ERR [IN-USE] this maildrop is locked by another session")
        holder.quit()

    def test_LCK_01_another_program_has_the_lock(self):
        user = self.user(MESSAGES)
        text = b"-ERR [IN-USE] this maildrop is locked by another session, program or host"
        fd = os.open(user.maildir.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self.assertEqual(self.refused(user), text)
        os.close(fd)
        self.session(user).quit()
        fd = os.open(os.path.join(user.maildir.path, "pop3d-lock"), os.O_RDWR)
        fcntl.fcntl(fd, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        self.assertEqual(self.refused(user, TLS), text)
        os.close(fd)
        self.session(user).quit()

    def test_LCK_01_off_is_the_default(self):
        user = self.user(MESSAGES)
        holder = self.session(user)
        pid = self.daemon.session_of(user)
        os.kill(pid[0], signal.SIGSTOP)
        time.sleep(2.2)
        self.assertGreaterEqual(self.details(user)[2], 2)
        os.kill(pid[0], signal.SIGCONT)
        holder.ok(b"NOOP")
        holder.quit()

    def test_LCK_05_two_sessions_of_each_store_exclude_each_other(self):
        for storage in STORES:
            user = self.user()
            daemon = harness.shared_daemon(storage=storage)
            make_box(user, storage)
            holder = self.session(user, PLAIN, daemon)
            self.details(user, TLS, daemon)
            holder.quit()
            self.session(user, TLS, daemon).quit()


def make_box(user, storage):
    """Three messages for this store; where they are."""
    path = storage.split(":")[1].replace("%h", user.home)
    if storage.startswith("mbox"):
        mboxes.Mbox(path, user, user.home).fill(MESSAGES)
        return path
    os.makedirs(path, exist_ok=True)
    for i, message in enumerate(MESSAGES):
        with open(os.path.join(path, str(i)), "wb") as f:
            f.write(message)
        os.chown(f.name, user.uid, user.gid)
    os.chown(path, user.uid, user.gid)
    return path


class Takeover(Base):
    settings = {"takeover": 1}

    def test_LCK_01_silent_session_is_taken_over(self):
        for kind in self.each_kind():
            for second in ALL_KINDS:
                user = self.user(MESSAGES)
                mark = len(self.daemon.log())
                old = self.session(user, kind)
                old.ok(b"DELE 1")
                old.multi(b"RETR 2")
                old.ok(b"NOOP")
                new = self.takes_over(user, second)
                self.assertEqual(old.rest(), b"")
                self.assertEqual(len(new.listing(b"LIST")), 3)
                new.ok(b"DELE 3")
                new.quit()
                self.assertEqual(len(user.maildir.paths()), 2)
                end = self.ended(self.daemon, user, since=mark)
                self.assertEqual((end["retrieved"], end["deleted"], end["left"]), ("1", "0", "3"))
                over = self.daemon.log_fields("takeover", user=user.name, since=mark)
                self.assertEqual(over["from"], end["conn"])
                self.daemon.log_fields("login", user=user.name, since=mark, conn=over["conn"])  # the one that asked is let in

    def test_LCK_01_client_that_reads_nothing_is_taken_over_in_a_transfer(self):
        for kind in self.each_kind((PLAIN, TLS)):
            user = self.user(BIG)
            old = self.session(user, kind, rcvbuf=4096)
            old.send(b"DELE 1\r\nRSET\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
            new = self.takes_over(user, kind)
            new.quit()
            self.assertFalse(old.rest().endswith(b".\r\n"))
            self.assertEqual(self.ended(self.daemon, user)["deleted"], "0")
            self.assertEqual(len(user.maildir.paths()), 1)

    def test_LCK_01_taken_over_in_every_store(self):
        for storage in STORES:
            daemon = harness.shared_daemon(takeover=1, storage=storage)
            for kind in self.each_kind((PLAIN, TLS)):
                user = self.user()
                make_box(user, storage)
                old = self.session(user, kind, daemon)
                old.ok(b"DELE 1")
                new = self.takes_over(user, kind, daemon)
                self.assertEqual(old.rest(), b"")
                self.assertEqual(len(new.listing(b"LIST")), 3)
                new.quit()
                self.assertEqual(self.ended(daemon, user)["deleted"], "0")

    def test_LCK_01_race_to_take_over_has_one_winner(self):
        for kind in self.each_kind((PLAIN, TLS)):
            user = self.user(MESSAGES)
            daemon = harness.shared_daemon(takeover=3)
            old = self.session(user, kind, daemon)
            clients = [self.connect(kind, daemon) for _ in range(8)]
            for client in clients:
                client.ok(b"USER " + user.name_octets)
            time.sleep(3.1)
            answers = [None] * len(clients)

            def go(i):
                answers[i] = clients[i].command(b"PASS " + user.password_octets)
            threads = [threading.Thread(target=go, args=(i,)) for i in range(len(clients))]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            good = [c for c, a in zip(clients, answers) if a and a.startswith(b"+OK ")]
            self.assertGreaterEqual(len(good), 1, answers)
            self.assertEqual(sum(a is not None and a.startswith(b"-ERR [IN-USE] ") for a in answers), len(clients) - len(good), answers)
            self.assertEqual(old.rest(), b"")
            left = [c for c in good if self.answers(c)]  # a slow one may have found the winner silent in turn
            self.assertEqual(len(left), 1, answers)
            left[0].quit()
            self.ended(daemon, user)

    def test_LCK_07_not_by_another_name_of_the_same_uid(self):
        user = self.user(MESSAGES)
        alias = alias_of(user)
        old = self.session(user)
        time.sleep(1.5)
        for _ in range(3):
            self.assertEqual(self.refused(alias), b"-ERR [IN-USE] this maildrop is locked by another session")
        old.ok(b"NOOP")
        old.quit()

    def test_LCK_01_session_that_hangs_is_killed_for_it(self):
        for kind in self.each_kind((PLAIN, TLS)):
            user = self.user(MESSAGES)
            mark = len(self.daemon.log())
            old = self.session(user, kind)
            old.ok(b"DELE 1")
            os.kill(self.daemon.session_of(user)[0], signal.SIGSTOP)
            new = self.takes_over(user, kind)
            self.assertEqual(old.rest(), b"")
            self.assertEqual(len(new.listing(b"LIST")), 3)
            new.quit()
            end = self.ended(self.daemon, user, since=mark)
            self.assertEqual((end["retrieved"], end["deleted"], end["left"]), ("0", "0", "3"))

    def test_LCK_01_never_a_session_in_UPDATE(self):
        daemon = harness.shared_daemon(takeover=1, storage=STORES[0])
        for stopped in (False, True):
            user = self.user()
            path = make_box(user, STORES[0])
            old = self.session(user, PLAIN, daemon)
            old.ok(b"DELE 1")
            fd = os.open(path, os.O_RDWR)  # a delivery: UPDATE waits for its lock
            lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            fcntl.fcntl(fd, fcntl.F_SETLK, lock)
            old.send(b"QUIT\r\n")
            pid = daemon.session_of(user)[0]
            self.assertTrue(harness.wait_for(lambda: " update" in harness.command_line(pid)))
            if stopped:
                os.kill(pid, signal.SIGSTOP)
            end = time.monotonic() + 4
            while time.monotonic() < end:
                self.refused(user, PLAIN, daemon)
                time.sleep(0.3)
            os.close(fd)
            if stopped:
                os.kill(pid, signal.SIGCONT)
            self.assertTrue(old.response().startswith(b"+OK "))
            new = self.takes_over(user, PLAIN, daemon)
            self.assertEqual(len(new.listing(b"LIST")), 2)
            new.quit()
            daemon.log_fields("session-end", user=user.name, reason="quit", deleted=1)

    def test_LCK_03_wrong_password_takes_nothing_over(self):
        user = self.user(MESSAGES)
        old = self.session(user)
        time.sleep(1.5)
        client = self.connect()
        self.assertTrue(client.try_login(user, b"wrong").startswith(b"-ERR [AUTH] "))
        client.quit()
        old.ok(b"NOOP")
        old.quit()

    def test_LCK_04_kill_of_the_one_that_waits(self):
        """Who asked is gone before its answer: the next one takes over."""
        user = self.user(MESSAGES)
        old = self.session(user)
        os.kill(self.daemon.session_of(user)[0], signal.SIGSTOP)
        time.sleep(1.1)
        asker = self.connect()
        asker.ok(b"USER " + user.name_octets)
        held = set(self.daemon.session_of(user))
        asker.send(b"PASS " + user.password_octets + b"\r\n")
        pid = harness.wait_for(lambda: set(self.daemon.session_of(user)) - held)
        for one in pid:
            os.kill(one, signal.SIGKILL)
        asker.rest()
        self.takes_over(user).quit()
        self.assertEqual(old.rest(), b"")

    def test_LCK_01_setting_is_taken_up_by_reload(self):
        daemon = self.own_daemon()
        user = self.user(MESSAGES)
        old = self.session(user, PLAIN, daemon)
        time.sleep(1.1)
        self.details(user, PLAIN, daemon)
        daemon.write_conf(takeover=1)
        daemon.reload()
        self.takes_over(user, PLAIN, daemon).quit()
        self.assertEqual(old.rest(), b"")


@network.needed
class DeadNetwork(Base):
    """A client stopped dead behind a network that drops every packet."""

    settings = None

    def setUp(self):
        super().setUp()
        self.net = network.Network.of(self)
        self.daemon = self.net.daemon(self, takeover=2)

    def far(self, user, kind, **options):
        """A session from the other host."""
        with self.net.client():
            return self.session(user, kind, **options)

    def test_LCK_01_idle_session_of_a_dead_network(self):
        for kind in self.each_kind():
            user = self.user(MESSAGES)
            old = self.far(user, kind)
            old.ok(b"DELE 1")
            self.net.cut()
            with self.net.server():
                new = self.takes_over(user, kind)
            self.assertEqual(len(new.listing(b"LIST")), 3)
            new.quit()
            end = self.ended(self.daemon, user)
            self.assertEqual((end["deleted"], end["left"]), ("0", "3"))
            self.assertEqual(len(user.maildir.paths()), 3)
            old.close()
            self.net.mend()

    def test_LCK_01_transfer_into_a_dead_network(self):
        for kind in self.each_kind((PLAIN, TLS)):
            user = self.user(BIG)
            old = self.far(user, kind)
            old.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
            old.response()
            self.net.cut()
            with self.net.server():
                new = self.takes_over(user, kind)
            self.assertEqual(len(new.listing(b"LIST")), 1)
            new.quit()
            self.assertEqual(self.ended(self.daemon, user)["deleted"], "0")
            self.assertEqual(len(user.maildir.paths()), 1)
            old.close()
            self.net.mend()


if __name__ == "__main__":
    unittest.main()
