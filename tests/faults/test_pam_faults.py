"""PAM modules that crash, exit, print, hang, map names or fail in every way."""

import os
import select
import shutil
import subprocess
import time
import unittest

import harness
import mailbox
import network
from client import TestCase
from harness import ALL_KINDS, PLAIN, TLS

HERE = os.path.dirname(os.path.abspath(__file__))
MESSAGES = mailbox.simple(2)
AUTH, TEMP, PERM = rb"\A-ERR \[AUTH\] ", rb"\A-ERR \[SYS/TEMP\] ", rb"\A-ERR \[SYS/PERM\] "

# PAM-08: Linux-PAM's return codes and what the client is told.
CODES = {
    7: AUTH,   # AUTH_ERR
    10: AUTH,  # USER_UNKNOWN
    11: AUTH,  # MAXTRIES
    13: AUTH,  # ACCT_EXPIRED
    6: AUTH,   # PERM_DENIED
    12: AUTH,  # NEW_AUTHTOK_REQD
    16: AUTH,  # CRED_EXPIRED
    9: TEMP,   # AUTHINFO_UNAVAIL
    5: TEMP,   # BUF_ERR
    26: TEMP,  # ABORT
    4: PERM,   # SYSTEM_ERR
    3: PERM,   # SERVICE_ERR
    19: PERM,  # CONV_ERR
    28: PERM,  # MODULE_UNKNOWN
}


def build_module():
    """Compile pam_fault.so; None if there is no compiler or header."""
    out, folder = harness.world().path("pam_fault.so"), harness.world().path("empty")
    if os.path.exists(out):
        return out
    os.makedirs(folder, exist_ok=True)
    open(os.path.join(folder, "config.h"), "w").close()
    if not shutil.which("cc"):
        return None
    done = subprocess.run(["cc", "-D_GNU_SOURCE", "-fPIC", "-shared", "-I", folder, "-o", out, os.path.join(HERE, "pam_fault.c"), "-lpam"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return out if done.returncode == 0 else None


class Faults(TestCase):
    settings = None
    limit = 120

    def setUp(self):
        super().setUp()
        self.module = build_module()
        if self.module is None:
            self.skipTest("pam_fault.so cannot be built (compiler and libpam0g-dev)")

    def daemon_with(self, *arguments, account="", session="", control="required", settings=None, net=None):
        text = "auth required pam_unix.so\nauth %s %s %s\naccount required pam_unix.so\n" % (control, self.module, " ".join(arguments))
        if account:
            text += "account required %s in=account %s\n" % (self.module, account)
        text += "session required %s\n" % ("%s %s" % (self.module, session) if session else "pam_permit.so")
        settings = dict(settings or {}, auth="pam:" + harness.pam_service(text))
        daemon = net.daemon(self, **settings) if net else self.own_daemon(**settings)
        daemon.may_crash = "crash" in text
        return daemon

    def good_login_works(self, daemon, user):
        for kind in ALL_KINDS:
            client = self.session(user, kind, daemon)
            self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
            client.quit()

    def test_PAM_08_codes_of_authenticate(self):
        for code, pattern in CODES.items():
            victim, other = self.user(MESSAGES), self.user(MESSAGES)
            daemon = self.daemon_with("user=" + victim.name, "fail=%d" % code)
            client = self.connect(TLS, daemon)
            self.assertRegex(client.try_login(victim), pattern, "code %d" % code)
            client.close()
            self.session(other, PLAIN, daemon).quit()

    def test_PAM_08_codes_of_acct_mgmt(self):
        for code, pattern in CODES.items():
            victim = self.user(MESSAGES)
            daemon = self.daemon_with("in=nothing", account="user=%s fail=%d" % (victim.name, code))
            client = self.connect(TLS, daemon)
            self.assertRegex(client.try_login(victim), pattern, "code %d" % code)
            client.close()

    def test_crash_and_exit(self):
        for what in ("crash", "exit"):
            for where in ("auth", "account"):
                victim, other = self.user(MESSAGES), self.user(MESSAGES)
                if where == "auth":
                    daemon = self.daemon_with("user=" + victim.name, what)
                else:
                    daemon = self.daemon_with("in=nothing", account="user=%s %s" % (victim.name, what))
                for kind in ALL_KINDS:
                    client = self.connect(kind, daemon)
                    self.assertRegex(client.try_login(victim), TEMP, what)
                    self.assertTrue(client.try_login(other).startswith(b"+OK "))
                    client.quit()
                self.good_login_works(daemon, other)

    def test_crashes_while_others_log_in(self):
        victim = self.user(MESSAGES)
        others = [self.user(MESSAGES) for _ in range(8)]
        daemon = self.daemon_with("user=" + victim.name, "crash")
        rogues = [self.connect(PLAIN, daemon) for _ in range(8)]
        clients = [self.connect(TLS, daemon) for _ in others]
        for rogue, client, user in zip(rogues, clients, others):
            rogue.send(b"USER %s\r\nPASS %s\r\n" % (victim.name_octets, victim.password_octets))
            client.send(b"USER %s\r\nPASS %s\r\n" % (user.name_octets, user.password_octets))
        for rogue, client in zip(rogues, clients):
            client.response()
            self.assertTrue(client.response().startswith(b"+OK "))
            client.quit()
            rogue.response()
            self.assertRegex(rogue.response(), TEMP)

    def test_prints_and_talks(self):
        user = self.user(MESSAGES)
        daemon = self.daemon_with("print", "say")
        self.good_login_works(daemon, user)

    def test_PAM_04_unknown_style(self):
        user = self.user(MESSAGES)
        daemon = self.daemon_with("style")
        self.good_login_works(daemon, user)

    def test_PAM_03_mapped_name(self):
        alias, target = self.user(MESSAGES), self.user([b"mail of the target\n"])
        daemon = self.daemon_with("user=" + alias.name, "map=" + target.name)
        mark = len(daemon.log())
        client = self.session(alias, TLS, daemon)
        self.assertEqual(client.multi(b"RETR 1"), b"mail of the target\r\n")
        self.assertEqual(len(daemon.session_of(target)), 1)
        client.quit()
        self.assertEqual(daemon.log_fields("login", since=mark)["user"], target.name)

    def test_SYS_03_mapped_to_root(self):
        for name in ("root", "daemon"):
            alias = self.user(MESSAGES)
            daemon = self.daemon_with("user=" + alias.name, "map=" + name)
            client = self.connect(TLS, daemon)
            self.assertRegex(client.try_login(alias), rb"\A-ERR \[(AUTH|SYS/PERM)\] ")
            client.close()

    def test_PAM_06_delay_is_not_slept(self):
        user = self.user(MESSAGES)
        daemon = self.daemon_with("delay=8000000", control="optional")
        client = self.connect(TLS, daemon)
        client.ok(b"USER " + user.name_octets)
        begun = time.monotonic()
        self.assertRegex(client.command(b"PASS wrong"), AUTH)
        self.assertLess(time.monotonic() - begun, 2)
        client.quit()

    def test_sleep_past_the_deadline(self):
        victim, other = self.user(MESSAGES), self.user(MESSAGES)
        daemon = self.daemon_with("user=" + victim.name, "sleep=300", settings={"auth_deadline": 15, "auth_children": 8})  # one source has half of them
        clients = [self.connect(kind, daemon, timeout=120) for kind in ALL_KINDS]
        for client in clients:
            client.ok(b"USER " + victim.name_octets)
            client.send(b"PASS " + victim.password_octets + b"\r\n")
        self.good_login_works(daemon, other)
        self.assertEqual(select.select([client.sock for client in clients], [], [], 0)[0], [], "others waited for them")
        for client in clients:
            self.assertRegex(client.response(), TEMP)

    @network.needed
    def test_one_source_cannot_take_all_children(self):
        victim, other, net = self.user(MESSAGES), self.user(MESSAGES), network.Network.of(self)
        daemon = self.daemon_with("user=" + victim.name, "sleep=3", settings={"auth_children": 4}, net=net)
        rogues = [net.connect(self, daemon, "10.84.0.3") for _ in range(16)]
        for client in rogues:
            client.send(b"USER %s\r\nPASS %s\r\n" % (victim.name_octets, victim.password_octets))
        time.sleep(0.3)
        begun = time.monotonic()
        client = net.connect(self, daemon, "10.84.7.4", TLS)
        client.login(other)
        client.quit()
        self.assertLess(time.monotonic() - begun, 1.5)
        for client in rogues:
            client.reset()

    def test_a_child_left_behind(self):
        user = self.user(MESSAGES)
        note = harness.world().path("left-behind")
        daemon = self.daemon_with("fork", "note=" + note)
        self.good_login_works(daemon, user)
        # a module's own process keeps no connection open: the sessions above have all ended;
        # it is not the daemon's to end
        mine = daemon.auth_helper() + daemon.auth_children()
        for pid in daemon.role("pop3d-auth"):
            if pid not in mine:
                os.kill(pid, 9)

    def test_PAM_02_session_faults(self):
        for what in ("in=session fail=14", "in=session crash", "in=close crash", "in=close fail=14"):
            user = self.user(MESSAGES)
            daemon = self.daemon_with("in=nothing", session=what, settings={"pam_session": True})
            client = self.connect(TLS, daemon)
            response = client.try_login(user)
            if "in=session" in what:
                self.assertRegex(response, rb"\A-ERR \[(SYS/(TEMP|PERM)|AUTH)\] ", what)
                client.close()
            else:
                self.assertTrue(response.startswith(b"+OK "), what)
                client.quit()
                time.sleep(0.3)
                self.session(user, PLAIN, daemon).quit()

    def test_PAM_02_order_of_the_functions(self):
        note = harness.world().path("order-%d" % time.monotonic_ns())
        text = "".join("%s required %s in=%s note=%s\n" % (kind, self.module, function, note)
                       for kind, function in (("auth", "auth"), ("auth", "setcred"), ("account", "account"), ("session", "session"), ("session", "close")))
        daemon = self.own_daemon(auth="pam:" + harness.pam_service(text), pam_session=True)
        user = self.user(MESSAGES)
        client = self.session(user, TLS, daemon)
        client.quit()

        def functions():
            with open(note) as f:
                return [line.split()[0] for line in f]
        harness.wait_for(lambda: "close" in functions()[-2:], 5)
        seen = functions()
        self.assertEqual(seen[:2], ["auth", "account"])
        self.assertLess(seen.index("setcred"), seen.index("close"))
        self.assertLess(seen.index("account"), seen.index("session"))
        self.assertLess(seen.index("session"), seen.index("close"))


if __name__ == "__main__":
    unittest.main()
