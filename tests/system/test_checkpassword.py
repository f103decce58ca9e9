"""CONFORMANCE group CKP: the checkpassword back end."""

import hashlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import time

import harness
import mailbox
from client import TestCase
from harness import PLAIN

MESSAGES = mailbox.simple(2)

# Users by name; what it sees goes into files beside it.
PROGRAM = r"""#!/bin/bash
dir=$(dirname "$0")
{ IFS= read -r -d '' user; IFS= read -r -d '' pass; IFS= read -r -d '' stamp; IFS= read -r rest; } <&3
printf '%s\n' "$user" >>"$dir/calls"
printf '%s\n' "$user" "$pass" "$stamp" "$rest" >"$dir/given"
printf '%s\n' "$@" >"$dir/arguments"
ls -l /proc/$$/fd >"$dir/fds.raw"  # through a pipe the shell itself would have an end of it
awk 'NF > 8 {print $9, $11}' "$dir/fds.raw" >"$dir/fds"
tr '\0' '\n' </proc/$$/environ >"$dir/environment"
. "$dir/settings"
become() { exec setpriv --reuid "$uid" --regid "$gid" "$@"; }
export HOME="$home" SHELL=/bin/false
case $user in
exit-*) exit "${user#exit-}" ;;
signal) kill -9 $$ ;;
hang) sleep 300 ;;
silent) exit 0 ;;
forged) head -c 1296 /dev/zero; printf 'pop3d checked 1'; exit 0 ;;
esac
[ "$pass" = "$secret" ] || [ "$pass" = "$(printf '%s%s' "$stamp" "$secret" | md5sum | cut -d' ' -f1)" -a -n "$stamp" ] || exit 1
case $user in
root) export USER=root; exec "$@" ;;
half) export USER=half; exec setpriv --euid "$uid" --regid "$gid" --clear-groups "$@" ;;
noise) export USER=noise; for i in 1 2 3; do echo "noise $i $pass"; done; (sleep 2; echo more) & become --clear-groups "$@" ;;
as-*) export USER="${user#as-}" HOME=/nonexistent; become --clear-groups "$@" ;;
mapped) export USER=other-name; become --groups "$gid,12345" "$@" ;;
bare) unset USER HOME; cd "$home"; become --clear-groups "$@" ;;
twice) export USER=twice; setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@" && become --clear-groups python3 "$dir/says" other; exit 1 ;;
child) export USER=child; setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@"; exit $? ;;
*) export USER="$user"; become --clear-groups "$@" ;;
esac
"""

# The packet of daemon/auth/checked.h: 256 octets are for a name, 1024 for a path.
SAYS = r"""import os, struct, sys
os.write(1, struct.pack("16s256s1024s", b"pop3d checked 1", sys.argv[1].encode(), b"/"))
"""


class Checkpassword(TestCase):
    settings = None

    @classmethod
    def setUpClass(cls):
        cls.owner = harness.User()
        cls.owner.maildir.make()
        cls.owner.maildir.fill(MESSAGES)
        cls.secret = "the secret " + secrets.token_hex(6)
        harness.world().passwords.add(cls.secret.encode())
        cls.dir = harness.world().path("checkpassword")
        os.mkdir(cls.dir)
        cls.program = os.path.join(cls.dir, "program")
        with open(cls.program, "w") as f:
            f.write(PROGRAM)
            os.fchmod(f.fileno(), 0o755)
        with open(os.path.join(cls.dir, "says"), "w") as f:
            f.write(SAYS)
        with open(os.path.join(cls.dir, "settings"), "w") as f:
            f.write("uid=%d gid=%d home='%s' secret='%s'\n" % (cls.owner.uid, cls.owner.gid, cls.owner.home, cls.secret))
        cls.daemon = harness.shared_daemon(auth="checkpassword:" + cls.program, apop=True)

    def seen(self, name):
        try:
            with open(os.path.join(self.dir, name)) as f:
                return f.read().split("\n")
        except FileNotFoundError:
            return []

    def answer(self, name, password=None, daemon=None):
        client = self.connect(PLAIN, daemon)
        response = client.try_login(name, (self.secret if password is None else password).encode())
        client.close()
        return response

    @harness.needs_root
    def test_CKP_01_what_the_program_gets(self):
        for kind in self.each_kind():
            client = self.connect(kind)
            client.ok(b"USER joe@example.org")
            client.ok(b"PASS " + self.secret.encode())
            client.quit()
            self.assertEqual(self.seen("given"), ["joe@example.org", self.secret, "", "", ""])
        self.assertRegex("\n".join(self.seen("arguments")), r"\A/.*/pop3d-auth\nchecked\n\Z")

    def test_CKP_01_512_octets(self):
        for name, password, fits in (("n" * 200, "p" * 240, True), ("n" * 240, "p" * 240, True)):
            before = len(self.seen("calls"))
            self.assertTrue(self.answer(name.encode(), password).startswith(b"-ERR [AUTH] "))
            self.assertEqual(len(self.seen("calls")) > before, fits)
        # with SASL both parts may have 255 octets, and 513 with their NULs are too many
        import base64
        for password_len, fits in ((254, True), (255, False)):
            before = len(self.seen("calls"))
            client = self.connect(PLAIN)
            client.send(b"AUTH PLAIN\r\n")
            client.challenge()
            self.assertTrue(client.command(base64.b64encode(b"\0" + b"n" * 255 + b"\0" + b"p" * password_len)).startswith(b"-ERR [AUTH] "))
            client.quit()
            self.assertEqual(len(self.seen("calls")) > before, fits)
        self.daemon.log_fields("login-failed", reason='"credentials too long"')

    def test_CKP_02_exit_codes(self):
        for status, code in ((1, b"AUTH"), (111, b"SYS/TEMP"), (2, b"SYS/PERM"), (3, b"SYS/PERM"), (110, b"SYS/PERM"), (255, b"SYS/PERM")):
            self.assertTrue(self.answer(b"exit-%d" % status).startswith(b"-ERR [%s] " % code), status)
        for name in (b"signal", b"silent", b"forged", b"exit-0"):
            self.assertTrue(self.answer(name).startswith(b"-ERR [SYS/PERM] "), name)
        self.assertTrue(self.answer(b"joe", "wrong").startswith(b"-ERR [AUTH] "))
        self.daemon.log_wait('reason="checkpassword program: signal 9"')
        self.daemon.log_wait('reason="checkpassword program: status 255"')

    @harness.needs_root
    def test_CKP_02_the_account(self):
        mark = len(self.daemon.log())
        for name, user in ((b"joe", "joe"), (b"noise", "noise"), (b"mapped", "other-name"), (b"bare", "bare"), (b"child", "child")):
            client = self.connect(PLAIN)
            self.assertTrue(client.try_login(name, self.secret.encode()).startswith(b"+OK "), name)
            self.assertEqual(len(client.listing(b"LIST")), 2)
            pid = self.daemon.session_of(self.owner)[0]
            status = harness.status(pid)
            self.assertEqual(status["Gid"].split(), [str(self.owner.gid)] * 4)
            self.assertEqual(status["Groups"].split(), sorted([str(self.owner.gid), "12345"], key=int) if name == b"mapped" else status["Groups"].split())
            client.quit()
            self.daemon.log_fields("login", since=mark, user=user, uid=self.owner.uid, mech="USER")
            harness.wait_for(lambda: not self.daemon.session_of(self.owner))

    @harness.needs_root
    def test_CKP_02_a_known_name_is_its_passwd_entry(self):
        """What a program says counts for users that the host does not know."""
        other = harness.User()
        mark = len(self.daemon.log())
        client = self.connect(PLAIN)
        self.assertTrue(client.try_login(b"as-" + self.owner.name_octets, self.secret.encode()).startswith(b"+OK "))
        self.assertEqual(len(client.listing(b"LIST")), 2)  # at home, and not where HOME says
        client.quit()
        self.daemon.log_fields("login", since=mark, user=self.owner.name, uid=self.owner.uid)
        self.assertTrue(self.answer(b"as-" + other.name_octets).startswith(b"-ERR [SYS/PERM] "))
        self.daemon.log_fields("login-failed", since=mark, reason='"checkpassword program: another user\'s name"')

    def test_CKP_02_the_first_word_counts(self):
        mark = len(self.daemon.log())
        self.assertTrue(self.answer(b"twice").startswith(b"+OK "))
        self.daemon.log_fields("login", since=mark, user="twice", uid=self.owner.uid)

    @harness.needs_root
    def test_CKP_02_no_process_of_the_user_changes_what_is_said(self):
        """Our program that runs as the user is nobody's to trace."""
        program, readable = os.path.join(harness.PREFIX, "libexec", "pop3d", "pop3d-auth"), os.path.join(self.dir, "readable")
        # from its exec on, since its file cannot be read; and by its own doing
        self.assertEqual(os.stat(program).st_mode & 0o044, 0)
        shutil.copyfile(program, readable)
        os.chmod(readable, 0o755)

        def become():
            os.setgroups([])
            os.setresgid(*[self.owner.gid] * 3)
            os.setresuid(*[self.owner.uid] * 3)
        for path in program, readable:
            with self.subTest(path=path):
                mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                child = subprocess.Popen([path, "checked"], stdout=theirs, env={"USER": "joe", "HOME": "/"}, preexec_fn=become)
                theirs.close()
                self.assertIn(b"joe", mine.recv(4096))
                self.assertEqual(os.stat("/proc/%d/mem" % child.pid).st_uid, 0)
                look = subprocess.run(["head", "-c0", "/proc/%d/environ" % child.pid], preexec_fn=become, stderr=subprocess.DEVNULL)
                self.assertNotEqual(look.returncode, 0)
                mine.send(b"x")
                self.assertEqual(child.wait(20), 0)
                mine.close()

    @harness.needs_root
    def test_CKP_02_root_is_refused(self):
        self.assertTrue(self.answer(b"root").startswith(b"-ERR [AUTH] "))
        self.daemon.log_fields("login-failed", reason='"uid not allowed"')
        # what can become root again has not become the user
        self.assertTrue(self.answer(b"half").startswith(b"-ERR [SYS/PERM] "))

    @harness.needs_root
    def test_CKP_03_descriptors_and_environment(self):
        self.assertTrue(self.answer(b"joe").startswith(b"+OK "))
        fds = dict(line.split(" ", 1) for line in self.seen("fds") if line)
        fds.pop("255", None)  # bash's own
        self.assertEqual(sorted(fds), ["0", "1", "2", "3"])
        self.assertEqual(fds["0"], "/dev/null")
        self.assertRegex(fds["3"], r"\Apipe:")
        names = sorted(line.split("=")[0] for line in self.seen("environment") if "=" in line)
        self.assertEqual([n for n in names if n not in ("PWD", "SHLVL", "_")], ["LANG", "PATH", "PROTO", "TCPREMOTEIP"])
        self.assertIn("TCPREMOTEIP=127.0.0.1", self.seen("environment"))

    @harness.needs_root
    def test_CKP_03_apop(self):
        client = self.connect(PLAIN)
        stamp = re.search(rb"<[^>]+>", client.greeting).group(0)
        sent = hashlib.md5(stamp + self.secret.encode()).hexdigest()
        self.assertTrue(client.command(b"APOP joe " + sent[::-1].encode()).startswith(b"-ERR [AUTH] "))
        client.ok(b"APOP joe " + sent.encode())
        client.quit()
        self.assertEqual(self.seen("given")[:3], ["joe", sent, stamp.decode()])
        self.daemon.log_fields("login", user="joe", mech="APOP")

    @harness.needs_root
    def test_CKP_03_time_limit(self):
        daemon = self.own_daemon(auth="checkpassword:" + self.program, auth_deadline=1)
        begun = time.monotonic()
        self.assertTrue(self.answer(b"hang", daemon=daemon).startswith(b"-ERR [SYS/TEMP] "))
        self.assertLess(time.monotonic() - begun, 5)
        left = harness.wait_for(lambda: not [p for p in harness.descendants(os.getpid()) if "sleep 300" in harness.command_line(p)], 3)
        self.assertTrue(left)
        self.assertTrue(self.answer(b"joe", daemon=daemon).startswith(b"+OK "))

    def test_CKP_03_no_process_is_left(self):
        for name in (b"joe", b"exit-1", b"silent", b"signal", b"child"):
            self.answer(name)
        for pid in self.daemon.auth_children():
            self.assertEqual(harness.proc_octets(pid, "task/%d/children" % pid).strip(), b"")

    def test_no_shell_sees_the_credentials(self):
        for name in (b"$(touch${IFS}x)", b"`id`", b";id", b"-n", b"a'b"):
            self.assertTrue(self.answer(name, "$(id) `id` ; '\"").startswith(b"-ERR [AUTH] "))
            self.assertEqual(self.seen("given")[:2], [name.decode(), "$(id) `id` ; '\""])

    def test_program_that_cannot_run(self):
        missing = os.path.join(self.dir, "missing")
        daemon = self.own_daemon(auth="checkpassword:" + missing)
        self.assertTrue(self.answer(b"joe", daemon=daemon).startswith(b"-ERR [SYS/TEMP] "))
        daemon.log_wait("checkpassword program .*missing")
        with open(missing, "w") as f:
            f.write("#!/bin/sh\nexit 1\n")
            os.fchmod(f.fileno(), 0o755)
        self.assertTrue(self.answer(b"joe", daemon=daemon).startswith(b"-ERR [AUTH] "))
