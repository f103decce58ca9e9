"""CONFORMANCE group LCK: one session a maildrop."""

import contextlib
import os
import random
import signal
import threading
import time

import harness
import mailbox
from client import TestCase
from harness import ALL_KINDS, PLAIN, TLS

MESSAGES = mailbox.simple(3)


class Locks(TestCase):
    def test_LCK_01_second_login_is_refused(self):
        for kind in self.each_kind():
            for second in ALL_KINDS:
                user = self.user(MESSAGES)
                holder = self.session(user, kind)
                client = self.connect(second)
                answer = client.try_login(user)
                self.assertTrue(answer.startswith(b"-ERR [IN-USE] "))
                for command in (b"AUTH LOGIN", b"USER " + user.name_octets, b"STAT", b"", b"N" * 600):
                    self.assertEqual(client.command(command), answer)
                client.quit()
                holder.ok(b"NOOP")
                holder.quit()
                client = self.connect(second)
                client.login(user)
                client.quit()

    def test_LCK_01_refused_login_with_input_behind_it(self):
        user = self.user(MESSAGES)
        holder = self.session(user)
        for kind in self.each_kind():
            client = self.connect(kind)
            client.send(b"USER %s\r\nPASS %s\r\nDELE 1\r\nQUIT\r\n" % (user.name_octets, user.password_octets))
            client.response()
            for _ in ("PASS", "DELE"):
                self.assertTrue(client.response().startswith(b"-ERR [IN-USE] "))
            self.assertTrue(client.response().startswith(b"+OK "))
            client.eof()
        self.assertEqual(len(holder.listing(b"LIST")), 3)
        holder.quit()

    def test_LCK_01_refused_login_has_an_end(self):
        user, daemon = self.user(MESSAGES), self.own_daemon(idle_timeout=1)
        holder = self.session(user)
        for kind in self.each_kind():
            for sent in (b"NOOP\r\n" * 40, b""):  # more than anybody needs, and nothing
                client = self.connect(kind, daemon)
                self.assertTrue(client.try_login(user).startswith(b"-ERR [IN-USE] "))
                client.send(sent)
                self.assertEqual(client.rest().count(b"-ERR [IN-USE] "), 20 if sent else 0)
                client.close()
        holder.quit()

    def test_LCK_01_race_has_one_winner(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            clients = [self.connect(kind) for _ in range(12)]
            for client in clients:
                client.ok(b"USER " + user.name_octets)
            barrier, answers = threading.Barrier(len(clients)), [None] * len(clients)

            def go(i):
                barrier.wait()
                answers[i] = clients[i].command(b"PASS " + user.password_octets)
            threads = [threading.Thread(target=go, args=(i,)) for i in range(len(clients))]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            good = [c for c, a in zip(clients, answers) if a and a.startswith(b"+OK ")]
            self.assertEqual(len(good), 1, answers)
            self.assertEqual(sum(a is not None and a.startswith(b"-ERR [IN-USE] ") for a in answers), len(clients) - 1, answers)
            good[0].quit()

    def test_LCK_02_lock_released_when_the_login_fails_behind_it(self):
        user = self.user(MESSAGES)
        new = os.path.join(user.maildir.path, "new")
        os.chmod(new, 0)
        client = self.connect()
        self.assertTrue(client.try_login(user).startswith(b"-ERR [SYS/PERM] "))
        os.chmod(new, 0o700)
        # at once, before the refused client closes
        client = self.connect()
        client.login(user)
        client.quit()

    def test_LCK_03_REG_13_wrong_password_on_a_locked_maildrop(self):
        user = self.user(MESSAGES)
        holder = self.session(user)
        for kind in self.each_kind():
            client = self.connect(kind)
            self.assertTrue(client.try_login(user, b"wrong").startswith(b"-ERR [AUTH] "))
            client.quit()
        holder.quit()

    def test_LCK_04_lock_ends_with_the_session(self):
        for kind in self.each_kind():
            user = self.user(MESSAGES)
            for end in ("close", "reset", "kill"):
                client = self.session(user, kind)
                if end == "kill":
                    os.kill(self.daemon.session_of(user)[0], signal.SIGKILL)
                else:
                    getattr(client, end)()
                self.session(user).quit()  # waits while the old one ends

    def test_LCK_04_kill_at_any_time(self):
        """At a random moment between PASS and the end of UPDATE."""
        user = self.user(MESSAGES)
        waits = random.Random(4)
        for i in range(30):
            user.maildir.fill(MESSAGES)
            client = self.connect((PLAIN, TLS)[i % 2])
            client.ok(b"USER " + user.name_octets)
            client.send(b"PASS %s\r\nRETR 1\r\nUIDL\r\nDELE 2\r\nQUIT\r\n" % user.password_octets)
            pids = harness.wait_for(lambda: self.daemon.session_of(user), 0.2 if i % 3 else 0, 0)
            time.sleep(waits.uniform(0, 0.005))
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            client.rest()
            client.close()
            client = self.session(user)
            self.assertIn(len(client.listing(b"LIST")), (2, 3))
            client.quit()

    def test_LCK_04_lock_ends_with_the_worker(self):
        daemon = self.own_daemon()
        user = self.user(MESSAGES)
        client = self.session(user, TLS, daemon)
        for pid in daemon.role("pop3d-login"):
            os.kill(pid, signal.SIGKILL)
        client.rest()
        harness.wait_for(lambda: len(daemon.role("pop3d-login")) >= 2, 10)
        self.session(user, PLAIN, daemon).quit()

    def test_LCK_06_delivery_goes_on(self):
        user = self.user(MESSAGES)
        client = self.session(user)
        user.maildir.deliver(b"late\n")
        user.maildir.deliver(b"later\n", "cur", "S")
        self.assertEqual(len(client.listing(b"LIST")), 3)
        client.quit()
        client = self.session(user)
        self.assertEqual(len(client.listing(b"LIST")), 5)
        client.quit()

    def test_LCK_07_two_names_one_maildrop(self):
        user = self.user(MESSAGES)
        alias = harness.User(uid=user.uid, extra=["-g", str(user.gid)])
        os.symlink(user.maildir.path, alias.maildir.path)
        holder = self.session(user)
        client = self.connect()
        self.assertTrue(client.try_login(alias).startswith(b"-ERR [IN-USE] "))
        holder.quit()
        client = self.session(alias)
        self.assertEqual(len(client.listing(b"LIST")), 3)
        other = self.connect()
        self.assertTrue(other.try_login(user).startswith(b"-ERR [IN-USE] "))
        client.quit()

    def test_LCK_lock_file_is_no_message(self):
        user = self.user(MESSAGES)
        for _ in range(2):
            client = self.session(user)
            self.assertEqual(len(client.listing(b"LIST")), 3)
            client.quit()
