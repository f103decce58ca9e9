"""CONFORMANCE group PAM: real accounts and what modules may do."""

import os
import re
import secrets
import subprocess
import time
import unittest

import harness
import mailbox
import network
from client import TestCase
from harness import ALL_KINDS, PLAIN, TLS

MESSAGES = mailbox.simple(2)
BAD = rb"\A-ERR \[AUTH\] "


class Accounts(TestCase):
    """pam_unix and accounts in every state."""

    def refused(self, user, pattern=BAD, daemon=None):
        for kind in ALL_KINDS:
            client = self.connect(kind, daemon)
            self.assertRegex(client.try_login(user), pattern)
            client.close()

    def test_PAM_02_good_account(self):
        user = self.user(MESSAGES)
        for kind in ALL_KINDS:
            self.session(user, kind).quit()

    def test_PAM_02_08_expired_account(self):
        user = harness.User()
        user.maildir.fill(MESSAGES)
        harness.usermod("chage", "-E", "1", user.name)
        self.refused(user)

    def test_PAM_08_password_must_be_changed(self):
        user = harness.User()
        user.maildir.fill(MESSAGES)
        harness.usermod("chage", "-d", "0", user.name)
        self.refused(user)

    def test_PAM_08_password_too_old(self):
        user = harness.User()
        user.maildir.fill(MESSAGES)
        harness.usermod("chage", "-d", "2000-01-01", "-M", "1", "-I", "1", user.name)
        self.refused(user)

    def test_PAM_02_locked_password(self):
        user = harness.User()
        user.maildir.fill(MESSAGES)
        harness.usermod("usermod", "-L", user.name)
        self.refused(user)
        harness.usermod("usermod", "-U", user.name)
        self.session(user).quit()

    def test_PAM_changed_password_counts_at_once(self):
        user = harness.User()
        user.maildir.fill(MESSAGES)
        self.session(user).quit()
        user.set_password("another-password-x")
        self.session(user).quit()

    def test_PAM_new_account_while_the_daemon_runs(self):
        self.connect().quit()
        for _ in range(3):
            user = harness.User()
            user.maildir.fill(MESSAGES)
            self.session(user).quit()

    def test_PAM_04_long_passwords(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            client = self.connect(kind)
            self.assertRegex(client.try_login(user, b"x" * 248), BAD)
            client.quit()


class Services(TestCase):
    """Services of our own."""

    def service_daemon(self, text, **settings):
        return self.own_daemon(auth="pam:" + harness.pam_service(text), **settings)

    PERMIT = "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n"

    def test_SYS_03_root_and_system_accounts_are_refused(self):
        daemon = self.service_daemon(self.PERMIT)
        for kind in self.each_kind():
            client = self.connect(kind, daemon)
            for name in (b"root", b"daemon", b"bin"):
                self.assertRegex(client.try_login(name, b"x"), BAD, name)
            client.quit()
        user = self.user(MESSAGES)
        client = self.connect(TLS, daemon)
        self.assertTrue(client.try_login(user, b"any").startswith(b"+OK "))
        client.quit()

    @harness.needs_root
    def test_SYS_03_minimum_uid(self):
        user = self.user(MESSAGES)
        daemon = self.own_daemon(minimum_uid=user.uid + 1)
        client = self.connect(TLS, daemon)
        self.assertRegex(client.try_login(user), BAD)
        client.quit()
        daemon = self.own_daemon(minimum_uid=user.uid)
        self.session(user, TLS, daemon).quit()

    def test_SYS_03_minimum_uid_never_lets_root_in(self):
        daemon = self.service_daemon(self.PERMIT, minimum_uid=1)
        client = self.connect(TLS, daemon)
        self.assertRegex(client.try_login(b"root", b"x"), BAD)
        client.quit()

    def test_a_service_without_a_file_is_refused(self):
        """And is not decided by "other"."""
        name = "pop3d-none-" + secrets.token_hex(4)
        what = "auth pam:%s: the PAM service has no file; make /etc/pam.d/%s, for instance a copy of " % (name, name)
        daemon = self.own_daemon(start=False, auth="pam:" + name)
        daemon.may_leave = True
        daemon.start(wait=False)
        self.assertEqual(daemon.process.wait(20), 1)
        self.assertIn("server clear: " + what, daemon.log())
        checked = subprocess.run([harness.program(), "-t", "-c", daemon.conf_path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(checked.returncode, 1)
        self.assertIn(what, checked.stdout)
        example = re.search(r"a copy of (\S+)", checked.stdout).group(1)
        self.assertTrue(os.path.exists(example), example)

    def test_a_service_whose_file_goes_is_refused(self):
        name = harness.pam_service("auth required pam_unix.so\naccount required pam_unix.so\n")
        daemon = self.own_daemon(auth="pam:" + name)
        user = self.user()
        self.session(user, PLAIN, daemon).quit()
        os.unlink("/etc/pam.d/" + name)
        self.assertTrue(self.connect(PLAIN, daemon).try_login(user).startswith(b"-ERR [SYS/PERM] "))
        daemon.log_fields("login-failed", reason='"the PAM service has no file in /etc/pam.d"')

    @harness.needs_root
    @unittest.skipIf(os.path.exists("/etc/pam.d/pop3d"), "this host has a service of that name")
    def test_the_service_that_comes_with_it(self):
        user = self.user()
        daemon = self.own_daemon(auth="pam:pop3d")
        self.session(user, PLAIN, daemon).quit()
        self.assertTrue(self.connect(PLAIN, daemon).try_login(user, b"wrong").startswith(b"-ERR [AUTH]"))

    def test_PAM_08_missing_module(self):
        daemon = self.service_daemon("auth required pam_p3t_missing.so\naccount required pam_permit.so\n")
        client = self.connect(TLS, daemon)
        self.assertRegex(client.try_login(self.user(MESSAGES)), rb"\A-ERR \[SYS/PERM\] ")
        client.close()

    def test_PAM_02_account_phase_counts(self):
        daemon = self.service_daemon("auth required pam_unix.so\naccount required pam_deny.so\n")
        client = self.connect(TLS, daemon)
        self.assertRegex(client.try_login(self.user(MESSAGES)), BAD)
        client.close()

    # pam_deny's answer stands for all that pam_unix has against an account
    AS_DEBIAN = ("auth required pam_unix.so\naccount [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\naccount requisite pam_deny.so\n"
                 "account required pam_permit.so\n")

    def test_PAM_08_reasons_in_the_log(self):
        for text in (self.AS_DEBIAN, "auth required pam_unix.so\naccount required pam_unix.so\n"):
            daemon, replies = self.service_daemon(text), set()
            for reason, *command in (("password",), ('"account expired"', "chage", "-E", "1"), ('"account expired"', "chage", "-E", "0"),
                                     ('"password expired"', "chage", "-d", "2000-01-01", "-M", "1", "-I", "1"), ('"password must be changed"', "chage", "-d", "0"),
                                     ('"account locked"', "usermod", "-L")):
                user = harness.User()
                with self.subTest(reason=reason, service=text):
                    if command:
                        harness.usermod(*command, user.name)
                    client = self.connect(daemon=daemon)
                    replies.add(client.try_login(user, None if command else b"wrong"))
                    client.quit()
                    self.assertEqual(daemon.log_fields("login-failed", user=user.name)["reason"], reason)
            self.assertEqual(len(replies), 1, replies)  # the client is told the same of each
        daemon = self.service_daemon("auth required pam_unix.so\naccount required pam_deny.so\n")
        user = self.user(MESSAGES)
        client = self.connect(daemon=daemon)
        self.assertRegex(client.try_login(user), BAD)
        client.quit()
        daemon.log_fields("login-failed", user=user.name, reason='"account refused"')

    def test_PAM_05_rhost_tty_service_user(self):
        out = harness.world().path("pam-exec-out")
        script = harness.world().path("pam-exec.sh")
        with open(script, "w") as f:
            f.write('#!/bin/sh\necho "$PAM_TYPE|$PAM_USER|$PAM_RHOST|$PAM_RUSER|$PAM_TTY|$PAM_SERVICE" >> %s\n' % out)
        os.chmod(script, 0o755)
        name = harness.pam_service("auth required pam_unix.so\nauth optional pam_exec.so %s\naccount required pam_unix.so\nsession required pam_permit.so\n" % script)
        daemon = self.own_daemon(auth="pam:" + name)
        user = self.user(MESSAGES)
        client = self.session(user, TLS, daemon, source="127.0.0.45")
        client.quit()
        with open(out) as f:
            kind, who, rhost, ruser, tty, service = f.readline().rstrip("\n").split("|")
        self.assertEqual((kind, who, rhost, ruser, service), ("auth", user.name, "127.0.0.45", "", name))
        self.assertTrue(tty)

    def test_PAM_02_sessions_open_and_close_when_set(self):
        out = harness.world().path("pam-session-out")
        script = harness.world().path("pam-session.sh")
        with open(script, "w") as f:
            f.write('#!/bin/sh\necho "$PAM_TYPE $PAM_USER" >> %s\n' % out)
        os.chmod(script, 0o755)
        text = "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_exec.so %s\n" % script
        for wanted in (True, False):
            with open(out, "w"):
                pass
            daemon = self.service_daemon(text, pam_session=wanted)
            user = self.user(MESSAGES)
            for end in ("quit", "reset"):
                client = self.session(user, TLS, daemon)
                lines = open(out).read().splitlines()
                if wanted:
                    self.assertEqual(lines[-1], "open_session " + user.name)
                getattr(client, end)()
                if wanted:
                    self.assertTrue(harness.wait_for(lambda: open(out).read().splitlines()[-1] == "close_session " + user.name, 5), open(out).read())
            time.sleep(0.2)
            self.assertEqual(len(open(out).read().splitlines()), 4 if wanted else 0)

    def test_PAM_02_session_that_is_refused(self):
        daemon = self.service_daemon("auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_deny.so\n", pam_session=True)
        client = self.connect(TLS, daemon)
        self.assertTrue(client.try_login(self.user(MESSAGES)).startswith(b"-ERR ["))
        client.close()

    def test_PAM_06_no_sleep_on_failure(self):
        # pam_faildelay asks for five seconds: the reply's time is the setting's
        daemon = self.service_daemon("auth optional pam_faildelay.so delay=5000000\nauth required pam_unix.so\naccount required pam_unix.so\n", auth_failure_delay=200)
        user = self.user(MESSAGES)
        client = self.connect(PLAIN, daemon)
        client.ok(b"USER " + user.name_octets)
        begun = time.monotonic()
        self.assertRegex(client.command(b"PASS wrong"), BAD)
        self.assertLess(time.monotonic() - begun, 1.5)
        client.quit()

    @network.needed
    def test_PAM_deadline_and_slow_modules(self):
        # one slow check holds up no other source, and ends at the deadline
        slow, net = harness.SlowModule("10.84.0.66"), network.Network.of(self)
        daemon = net.daemon(self, auth="pam:" + slow.service, auth_deadline=8)
        user = self.user(MESSAGES)
        clients = [net.connect(self, daemon, "10.84.0.66", kind) for kind in ALL_KINDS * 4]
        for client in clients:
            client.send(b"USER %s\r\nPASS %s\r\n" % (user.name_octets, user.password_octets))
            client.response()
        self.assertTrue(harness.wait_for(slow.waiting))
        with net.client():
            for kind in ALL_KINDS:
                self.session(user, kind, daemon).quit()
        for client in clients:
            client.silent(0)
        for client in clients:
            self.assertRegex(client.response(), rb"\A-ERR \[SYS/TEMP\] ")
        slow.release()
        with net.client():
            self.session(user, TLS, daemon).quit()

    def test_PAM_client_gone_while_pam_still_runs(self):
        slow = harness.SlowModule()
        daemon = self.own_daemon(auth="pam:" + slow.service)
        user = self.user(MESSAGES)
        for kind in ALL_KINDS:
            for end in ("close", "reset"):
                client = self.connect(kind, daemon)
                client.send(b"USER %s\r\nPASS %s\r\n" % (user.name_octets, user.password_octets))
                client.response()
                self.assertTrue(harness.wait_for(slow.waiting))
                getattr(client, end)()
        slow.release()
        self.assertTrue(harness.wait_for(lambda: slow.waiting() == 0))
        self.assertEqual(daemon.process.poll(), None)
        self.session(user, TLS, daemon).quit()
        self.assertEqual(user.maildir.stored(), MESSAGES)
        before = len(daemon.processes())
        time.sleep(0.5)
        self.assertLessEqual(len(daemon.processes()), before + 1)
