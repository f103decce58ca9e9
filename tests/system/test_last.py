"""pop3ctl last: who logged in when, and what came of it; over restarts, and never for longer than is wanted."""

import os
import re
import signal
import stat
import time
import unittest

import harness
import mailbox
from client import TestCase
from control import FAILED, USAGE, Control
from harness import PLAIN, TLS

MESSAGES = mailbox.simple(4)
TIME = r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z"
KEYS = ["user", "login", "server", "peer", "mech", "tls", "end", "reason", "messages", "messages_retrieved", "octets_retrieved",
        "messages_deleted", "messages_left", "failed"]
FAILED_KEYS = ["failed_server", "failed_peer", "failed_result"]


class Last(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.own_daemon()
        self.ctl = Control(self.daemon)
        self.path = os.path.join(self.daemon.settings["state_dir"], "last-logins")

    def again(self, signum=signal.SIGTERM):
        self.daemon.stop(signum)
        self.daemon.start()

    def ended(self, user):
        """What is told of the user's last login when its session has ended."""
        self.assertTrue(harness.wait_for(lambda: self.ctl.json("last", user.name)["end"] != "none", 20))
        return self.ctl.json("last", user.name)

    def work(self, user, kind=TLS):
        client = self.session(user, kind, self.daemon)
        client.ok(b"RETR 1")
        client.body()
        client.ok(b"DELE 2")
        client.quit()
        return self.ended(user)

    def test_one_user(self):
        user = self.user(MESSAGES)
        self.assertEqual(self.ctl.refused(FAILED, "last", user.name), "no login of %s is known" % user.name)
        self.connect(TLS, self.daemon).try_login(user, b"wrong")  # of a user who has never logged in
        self.ctl.refused(FAILED, "last", user.name)
        client = self.session(user, PLAIN, self.daemon)
        now = self.ctl.json("last", user.name)
        self.assertEqual(list(now), KEYS)
        self.assertEqual([now[k] for k in ("user", "server", "peer", "mech", "tls", "end", "reason", "messages", "failed")],
                         [user.name, "clear", "127.0.0.1", "USER", "none", "none", "unknown", len(MESSAGES), "never"])
        self.assertEqual([now[k] for k in ("messages_retrieved", "octets_retrieved", "messages_deleted", "messages_left")], [None] * 4)
        client.quit()
        self.ended(user)
        told = self.work(user)
        octets = self.daemon.log_fields("session-end", user=user.name, deleted="1")["retrieved_octets"]
        self.assertEqual([told[k] for k in ("server", "tls", "reason", "messages", "messages_retrieved", "octets_retrieved", "messages_deleted", "messages_left")],
                         ["secure", "TLSv1.3", "quit", 4, 1, int(octets), 1, 3])
        self.assertRegex(told["login"], TIME)
        self.assertRegex(told["end"], TIME)
        self.assertLessEqual(told["login"], told["end"])
        # a failed login is told beside it
        client = self.connect(TLS, self.daemon)
        client.err(b"AUTH PLAIN !")  # is none
        client.try_login(user, b"wrong")
        client.quit()
        self.assertTrue(harness.wait_for(lambda: self.ctl.json("last", user.name)["failed"] != "never", 20))
        failed = self.ctl.json("last", user.name)
        self.assertEqual(list(failed), KEYS + FAILED_KEYS)
        self.assertRegex(failed["failed"], TIME)
        self.assertEqual([failed[k] for k in FAILED_KEYS], ["secure", "127.0.0.1", "auth"])
        self.assertEqual({k: failed[k] for k in KEYS[:-1]}, {k: told[k] for k in KEYS[:-1]})
        # as lines
        self.assertIn("messages_left 3", self.ctl.lines("last", user.name))

    def test_all_users_and_since(self):
        users = [self.user(MESSAGES) for _ in range(3)]
        self.assertEqual(self.ctl.json("last"), [])
        for user in users:
            told = self.work(user)
        rows = self.ctl.json("last")
        self.assertEqual([row["user"] for row in rows], [user.name for user in reversed(users)])
        self.assertEqual(rows[0], {"user": users[2].name, "login": told["login"], "peer": "127.0.0.1", "retrieved": 1, "deleted": 1, "left": 3})
        self.assertTrue(all(len(line) <= 80 for line in self.ctl.lines("last")))
        day = told["login"][:10]
        later = "%d%s" % (int(day[:4]) + 1, day[4:])
        self.assertEqual(len(self.ctl.json("last", "--since", "2026-01-01")), 3)
        self.assertEqual(self.ctl.json("last", "--since", later), [])
        self.assertIn(rows[0], self.ctl.json("last", "--since", told["login"]))
        self.assertEqual(self.ctl.json("last", "--since", "2026-01-01", users[0].name)["user"], users[0].name)
        self.assertEqual(self.ctl.refused(FAILED, "last", users[0].name, "--since", later),
                         "no login of %s since %s is known" % (users[0].name, later))
        self.assertRegex(self.ctl.refused(USAGE, "last", "--since", "1h"), r'\A"1h" is no time: ')
        for words in (("--since",), ("a", "b"), ("--since", "2026-01-01", "--since", "2026-01-01"), ("--other",), ("a", "--since")):
            self.assertEqual(self.ctl.refused(USAGE, "last", *words), 'wrong # args: should be "pop3ctl last ?--since time? ?user?"')

    def test_over_a_restart(self):
        user, other, open_one = self.user(MESSAGES), self.user(MESSAGES), self.user(MESSAGES)
        told = self.work(user)
        self.assertEqual(stat.S_IMODE(os.stat(self.written()).st_mode), 0o600)
        self.work(other)
        self.again()
        self.assertEqual(self.ctl.json("last", user.name), told)
        self.assertEqual([row["user"] for row in self.ctl.json("last")], [other.name, user.name])
        # after a crash what was written is there, and of a session that nobody saw end nothing is told
        self.session(open_one, PLAIN, self.daemon)
        self.written()
        self.assertTrue(harness.wait_for(lambda: open_one.name in self.text(), 120))
        self.daemon.may_leave = True
        self.again(signal.SIGKILL)
        self.daemon.may_leave = False
        self.assertEqual([row["user"] for row in self.ctl.json("last")], [open_one.name, other.name, user.name])
        self.assertEqual([self.ctl.json("last", open_one.name)[k] for k in ("end", "reason")], ["unknown"] * 2)

    def text(self):
        with open(self.path) as f:
            return f.read()

    def written(self):
        """The file, when there is one."""
        self.assertTrue(harness.wait_for(lambda: os.path.exists(self.path), 120))
        return self.path

    def test_a_file_that_is_not_ours(self):
        user = self.user(MESSAGES)
        self.session(user, PLAIN, self.daemon).quit()
        had_mail = os.path.join(self.daemon.settings["state_dir"], "had-mail")
        for damage, why in ((lambda text: text[:-4], "line 3 is damaged"),
                            (lambda text: text.replace("logins 1", "logins 2"), "it does not begin as the files of this version do")):
            self.daemon.stop()
            with open(self.path) as f:
                text = f.read()
            with open(self.path, "w") as f:
                f.write(damage(text))
            self.daemon.start()
            self.daemon.log_wait("%s.refused: %s: last logins begin anew" % (re.escape(self.path), why))
            self.assertEqual(self.ctl.json("last"), [])
            with open(self.path + ".refused") as f:
                self.assertEqual(f.read(), damage(text))
            with open(had_mail) as f:
                self.assertIn(user.maildir.path, f.read())
            self.session(user, PLAIN, self.daemon).quit()
            self.assertEqual(len(self.ctl.json("last")), 1)

    def test_off(self):
        user = self.user(MESSAGES)
        self.session(user, PLAIN, self.daemon).quit()
        self.written()
        self.daemon.write_conf(last_logins="off")
        self.daemon.reload()
        self.assertTrue(harness.wait_for(lambda: not os.path.exists(self.path), 20))
        self.session(user, PLAIN, self.daemon).quit()
        self.assertEqual(self.ctl.refused(FAILED, "last"), "none are kept: last_logins is off")
        self.again()
        self.assertEqual(self.ctl.refused(FAILED, "last", user.name), "none are kept: last_logins is off")
        self.assertFalse(os.path.exists(self.path))

    def test_too_old(self):
        daemon = self.own_daemon(last_logins="1")
        user = self.user(MESSAGES)
        self.session(user, PLAIN, daemon).quit()
        self.assertTrue(harness.wait_for(lambda: Control(daemon).json("last") == [], 20))


if __name__ == "__main__":
    unittest.main()
