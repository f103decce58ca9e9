"""A session killed at each system call of a login, of RETR and of UPDATE with an index."""

import os
import shutil
import time
import unittest

import harness
import mailbox
from client import Eof
from test_update import MARKED, Case, Injected

MESSAGES = mailbox.simple(5) + [mailbox.letter("large", b"line\n" * 40000)]
SETTLED = mailbox.SETTLED


@unittest.skipUnless(shutil.which("strace"), "no strace")
class Walk(Case):
    limit = 600
    settings = {"session_spares": 2, "login_timeout": 60}

    def spares(self):
        spawner = self.daemon.spawner()
        return [pid for pid in self.daemon.role("pop3d-session") if pid not in spawner and int(harness.status(pid)["Uid"].split()[0]) == 0]

    def look(self, user):
        """A session after a fault: every message is told with the size and unique-id that it has."""
        stored = user.maildir.stored()
        bases = [os.path.basename(path).split(":")[0].encode() for path in user.maildir.paths()]
        for _ in range(2):  # also as the first of them leaves it
            client = self.session(user)
            self.assertEqual(client.listing(b"LIST"), [b"%d %d" % (n, mailbox.size(m)) for n, m in enumerate(stored, 1)])
            self.assertEqual(client.listing(b"UIDL"), [b"%d %s" % (n, base) for n, base in enumerate(bases, 1)])
            client.quit()
        self.assertEqual(user.maildir.stored(), stored)

    def mailbox(self, state):
        """A user whose mailbox has no index, one that says all, or one that says all but the latest changes."""
        user = self.user(MESSAGES)
        if state != "first":
            time.sleep(SETTLED)
            self.look(user)
        if state == "changed":
            user.maildir.deliver(b"new\n")
            path = user.maildir.paths()[1]
            os.rename(path, path + "T")
        return user

    def give_back(self, user):
        harness.world().give_back(user)
        self._cleanups.pop()  # the user is used again at once

    def login(self, user, pids, inject):
        """Log in while strace holds the spares; what it saw, and the session that was served."""
        client = self.connect()
        with Injected(pids, inject) as trace:
            try:
                good = client.try_login(user).startswith(b"+OK ")
            except (Eof, OSError):
                good = False
            served = self.daemon.session_of(user) if good else []
        client.close()
        return trace, served

    def settle(self, pids):
        """No session of before is left, and new spares are there."""
        for pid in pids:
            harness.wait_for(lambda: harness.start_time(pid) is None or pid in self.spares(), 10)
        harness.wait_for(lambda: len(self.spares()) >= 2, 10)

    def walk_login(self, state):
        user = self.mailbox(state)
        self.settle(())
        trace, served = self.login(user, self.spares(), None)
        self.assertEqual(len(served), 1)
        calls = [call for call in trace.sequence(served[0]) if call[0] != "restart_syscall"]
        if state != "changed":  # up to the mailbox all logins are the same
            calls = calls[[name for name, _ in calls].index("openat"):]
        self.give_back(user)
        points = 0
        for call in calls:
            user = self.mailbox(state)
            had = user.maildir.stored()
            self.settle(())
            pids = self.spares()
            trace, _ = self.login(user, pids, "%s:signal=KILL:when=%d" % call)
            points += "killed by SIGKILL" in trace.calls()
            self.settle(pids)
            self.assertEqual(user.maildir.stored(), had)
            self.look(user)
            self.give_back(user)
        self.assertGreater(points, 10)
        self.note = "%s login: killed at each of %d system calls" % (state, points)

    def test_killed_at_each_system_call_of_the_first_login(self):
        self.walk_login("first")

    def test_killed_at_each_system_call_of_a_login_with_changes(self):
        self.walk_login("changed")

    def test_killed_at_each_system_call_of_an_unchanged_login(self):
        self.walk_login("unchanged")

    def test_MDR_06_moved_to_a_directory_that_is_not_read(self):
        # cur/ has changed, new/ has not; while cur/ is about to be read a message goes from there to new/
        user = self.mailbox("unchanged")
        for _ in range(2):
            time.sleep(SETTLED)
            self.session(user).quit()
        path = [p for p in user.maildir.paths() if "/cur/" in p][1]
        os.rename(path, path + "T")
        self.settle(())
        client = self.connect()
        with Injected(self.spares(), "getdents64:delay_enter=2000000:when=1"):
            client.send(b"USER %s\r\n" % user.name_octets)
            client.response()
            client.send(b"PASS %s\r\n" % user.password_octets)
            harness.wait_for(lambda: self.daemon.session_of(user), 5)
            time.sleep(0.5)  # of the two seconds: it has looked at new/ by now
            os.rename(path + "T", os.path.join(user.maildir.path, "new", os.path.basename(path).split(":")[0]))
            self.assertTrue(client.response().startswith(b"+OK "))
            self.assertEqual(len(client.listing(b"UIDL")), len(MESSAGES))
        client.quit()
        self.look(user)

    def test_client_gone_while_sizes_are_read(self):
        # the first reading of a mailbox may take long: it ends with its client, or with the master
        many = [b"%d\n" % i for i in range(40)]
        for end in ("client", "master"):
            daemon = self.own_daemon()
            user = self.user(many)
            client = self.session(user, daemon=daemon)
            pid = daemon.session_of(user)[0]
            with Injected([pid], "pread64:delay_enter=250000") as trace:
                client.send(b"STAT\r\n")
                harness.wait_for(lambda: "pread64" in trace.calls(), 10)
                if end == "client":
                    client.reset()
                else:
                    daemon.may_leave = True
                    os.kill(daemon.pid, 9)
                self.assertTrue(harness.wait_for(lambda: harness.start_time(pid) is None, 20))
            self.assertLess(trace.calls().count("pread64("), len(many), end)

    def walk(self, state, commands, check):
        """The same for commands of a session that is open."""
        calls, points, call = None, 0, None
        while calls is None or calls:
            call = calls.pop() if calls else None
            user = self.mailbox(state)
            client = self.session(user)
            pid = self.daemon.session_of(user)[0]
            said = []
            with Injected([pid], call and "%s:signal=KILL:when=%d" % call) as trace:
                try:
                    for multi, command in commands:
                        said.append((client.multi if multi else client.command)(command))
                except (Eof, OSError):
                    pass
                if call:
                    harness.wait_for(lambda: harness.start_time(pid) is None, 5)
            client.close()
            if calls is None:
                self.assertEqual(len(said), len(commands))
                calls = trace.sequence(pid)
            points += "killed by SIGKILL" in trace.calls()
            harness.wait_for(lambda: harness.start_time(pid) is None, 5)
            check(user, said)
            self.look(user)
            self.give_back(user)
        self.assertGreater(points, 10)
        self.note = "killed at each of %d system calls" % points

    def test_killed_at_each_system_call_of_RETR(self):
        def check(user, said):
            self.assertEqual(user.maildir.stored(), MESSAGES)
            for n, octets in zip((1, 6), said):
                self.assertEqual(octets, mailbox.wire(MESSAGES[n - 1]))
        self.walk("first", [(True, b"RETR 1"), (True, b"RETR 6"), (False, b"STAT")], check)

    def test_killed_at_each_system_call_of_an_update(self):
        kept = [m for i, m in enumerate(MESSAGES, 1) if i not in MARKED]
        seen = set()

        def check(user, said):
            stored = user.maildir.stored()
            for octets in stored:
                self.assertIn(octets, MESSAGES)
            for octets in kept:
                self.assertIn(octets, stored)
            if len(said) == len(MARKED) + 1 and said[-1].startswith(b"+OK "):
                self.assertEqual(stored, kept)
            seen.add(len(stored))
        self.walk("unchanged", [(False, b"DELE %d" % n) for n in MARKED] + [(False, b"QUIT")], check)
        self.assertEqual(seen & {len(MESSAGES), len(kept)}, {len(MESSAGES), len(kept)})
        self.assertGreater(len(seen), 2)
