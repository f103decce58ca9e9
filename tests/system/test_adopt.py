"""pop3ctl adopt: another server's configuration as ours, and the unique-ids of all users taken over.

The configurations of Dovecot have the form in which doveconf -n of 2.3.19 and of 2.4.1 prints them.
"""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios

import harness
import mailbox
from client import TestCase
from control import DONE, FAILED, USAGE, Control

DOVECOT_2_3 = """# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf
# Pigeonhole version 0.5.19 (4eae2f79)
# OS: Linux 6.1.0 x86_64 Debian 12.11
# Hostname: mail
auth_failure_delay = 3 secs
auth_mechanisms = plain login
disable_plaintext_auth = no
first_valid_uid = 2000
haproxy_trusted_networks = 192.0.2.10 198.51.100.0/24
listen = 192.0.2.1, ::1
mail_location = maildir:/var/vmail/%Ld/%Ln:INBOX=/var/vmail/%Ld/%Ln/in:LAYOUT=fs
mail_plugins = quota zlib
namespace inbox {
  inbox = yes
  mailbox Sent {
    special_use = \\Sent
  }
}
passdb {
  args = session=yes mail
  driver = pam
}
passdb {
  args = scheme=CRYPT username_format=%u /etc/dovecot/users
  driver = passwd-file
}
plugin {
  quota = maildir:User quota
  zlib_save = gz
}
pop3_delete_type = flag
pop3_uidl_format = %v.%u
protocols = imap pop3
service pop3-login {
  inet_listener pop3 {
    port = 1110
  }
  inet_listener pop3s {
    haproxy = yes
    port = 1995
    ssl = yes
  }
}
some_new_thing = 1
ssl_cert = </etc/dovecot/a.pem
ssl_cipher_list = ECDHE+AESGCM
ssl_key = </etc/dovecot/a.key
userdb {
  driver = passwd
}
protocol pop3 {
  mail_max_userip_connections = 12
}
local_name mail.example.org {
  ssl_cert = </etc/dovecot/b.pem
  ssl_key = </etc/dovecot/b.key
}
"""
CARRIED_2_3 = """certificate = {"/etc/dovecot/a.pem", "/etc/dovecot/b.pem"}
certificate_key = {"/etc/dovecot/a.key", "/etc/dovecot/b.key"}
storage = "maildir:/var/vmail/%d/%n/in"
auth = "pam:mail"
username_fold = "lower"
cleartext_login = "always"
auth_failure_delay = 3000
minimum_uid = 2000
tls_ciphers = "ECDHE+AESGCM"
max_sessions_per_user = 12
server pop3s {
addresses = {"192.0.2.1", "::1"}
port = 1995
socket = "tls"
proxy_from = {"192.0.2.10", "198.51.100.0/24"}
}
server pop3 {
addresses = {"192.0.2.1", "::1"}
port = 1110
socket = "plain+stls"
}
""".splitlines()

DOVECOT_2_4 = """# 2.4.1-4 (7d8c0e5759): /etc/dovecot/dovecot.conf
# Pigeonhole version 2.4.1-4 (0a86619f)
# OS: Linux 6.12.0 x86_64 Debian 13.1
# Hostname: mail
# 4 default setting changes since version 2.4.0
dovecot_config_version = 2.4.0
auth_allow_cleartext = yes
auth_username_format = %{user | username | lower}
dovecot_storage_version = 2.4.0
fts_autoindex = yes
listen = *
login_greeting = Hello "you" there
mail_control_path = /var/ctl/%{user}
mail_driver = mbox
mail_home = /home/%{user | username}
mail_inbox_path = /var/mail/%{user}
mail_path = %{home}/mail
mail_privileged_group = mail
mail_compress_write_method = zstd
mail_plugins {
  quota = yes
}
pop3_uidl_format = %{uid | hex(8)}%{uidvalidity | hex(8)}
protocols {
  imap = yes
  pop3 = yes
}
passdb pam {
  service_name = mail
}
userdb passwd {
}
ssl_server {
  cert_file = /etc/dovecot/private/dovecot.pem
  key_file = "/etc/dovecot/private/a key"
  request_client_cert = yes
}
local_name mail.example.org {
  ssl_server {
    cert_file = /etc/dovecot/b.pem
    key_file = /etc/dovecot/b.key
  }
}
quota "User quota" {
  driver = maildir
  storage_size = 1G
}
namespace inbox {
  inbox = yes
  mailbox Sent {
    special_use = "\\\\Sent"
  }
}
service pop3-login {
  inet_listener pop3 {
  }
  inet_listener pop3s {
  }
}
service pop3 {
}
protocol pop3 {
  mail_max_userip_connections = 12
}
"""
CARRIED_2_4 = """certificate = {"/etc/dovecot/private/dovecot.pem", "/etc/dovecot/b.pem"}
certificate_key = {"/etc/dovecot/private/a key", "/etc/dovecot/b.key"}
storage = "mbox:/var/mail/%u"
auth = "pam:mail"
username_domain = "strip"
username_fold = "lower"
cleartext_login = "always"
max_sessions_per_user = 12
server pop3s {
addresses = {"0.0.0.0"}
port = 995
socket = "tls"
}
server pop3 {
addresses = {"0.0.0.0"}
port = 110
socket = "plain+stls"
}
""".splitlines()

COURIER = {
    "pop3d": """##VERSION: $Id: pop3d.dist.in$
##NAME: PIDFILE:0
PIDFILE=/run/courier/pop3d.pid
MAXDAEMONS=40
MAXPERIP=4
POP3AUTH="LOGIN CRAM-MD5"
PORT=110,192.0.2.7.1110
ADDRESS=0
POP3DSTART=YES
MAILDIRPATH=Mail
""",
    "pop3d-ssl": """SSLPORT=995
SSLADDRESS=192.0.2.1
POP3DSSLSTART=YES
POP3_STARTTLS=YES
POP3_TLS_REQUIRED=1
TLS_CERTFILE=/etc/courier/pop3d.pem
TLS_VERIFYPEER=NONE
""",
    "authdaemonrc": 'authmodulelist="authuserdb authpam"\nDEBUG_LOGIN=0\n',
}
CARRIED_COURIER = """certificate = "/etc/courier/pop3d.pem"
certificate_key = "/etc/courier/pop3d.pem"
auth = "pam:pop3"
max_connections = 40
max_connections_per_address = 4
storage = "maildir:%h/Mail"
cleartext_login = "never"
server pop3s {
addresses = "192.0.2.1"
port = 995
socket = "tls"
}
server pop3 {
addresses = "*"
port = 110
socket = "plain+stls"
}
server pop32 {
addresses = "192.0.2.7"
port = 1110
socket = "plain+stls"
}
""".splitlines()


def settings(text):
    """Its lines without comments."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


class Configuration(TestCase):
    def setUp(self):
        super().setUp()
        self.ctl = Control(self.daemon)
        self.folder = self.temporary()

    def temporary(self):
        path = os.path.join(harness.world().dir, "adopt-" + self.id().rsplit(".", 1)[1])
        os.mkdir(path)
        return path

    def put(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def made(self, text, status=DONE):
        """What becomes of that output of doveconf."""
        answer = self.ctl.run("adopt", "dovecot", "--config", self.put("saved", text))
        self.assertEqual(answer.status, status, answer)
        return answer.out

    def is_taken(self, text):
        done = subprocess.run([harness.program(), "-T", "-c", self.put("pop3d.conf", text)], capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_dovecot_2_3(self):
        text = self.made(DOVECOT_2_3)
        self.assertEqual(settings(text), CARRIED_2_3)
        self.is_taken(text)
        notes = text.partition("# Not carried over:")[2].replace("\n#     ", " ")
        for what in ("awk -F: -v OFS=: '{print $1, $2, $3, $4, $6}' /etc/dovecot/users\n", "# pop3_delete_type = flag DELE and QUIT remove", "# some_new_thing = 1 not known here",
                     "# plugin/zlib_save = gz nothing is to be set: files compressed", "takes the unique-ids over", "# plugin/quota = "):
            self.assertIn(what, notes)
        for what in ("special_use", "imap"):
            self.assertNotIn(what, notes)

    def test_dovecot_2_4(self):
        text = self.made(DOVECOT_2_4)
        self.assertEqual(settings(text), CARRIED_2_4)
        self.is_taken(text)
        for what in ("mail_compress_write_method = zstd\n#     nothing is to be set", "# ssl_server_request_client_cert = yes\n#     certificates of clients are not", "lies in the CONTROL directory"):
            self.assertIn(what, text)
        for what in ("fts_", "special_use", "no such choice"):
            self.assertNotIn(what, text)

    def test_tls_that_is_required_goes_first(self):
        for text, word in (("ssl = required\ndisable_plaintext_auth = no\n", "loopback"), ("ssl = yes\ndisable_plaintext_auth = no\n", "always"),
                           ("disable_plaintext_auth = yes\n", "loopback"), ("ssl = required\n", "loopback"), ("auth_allow_cleartext = no\n", "loopback")):
            made = self.made("# 2.3.19.1 (9b53102964): x\nmail_location = maildir:~/Maildir\nprotocols = pop3\n" + text)
            self.assertIn('cleartext_login = "%s"' % word, settings(made), text)

    def test_what_cannot_be_served_is_said(self):
        for location in ("mdbox:~/mdbox", "sdbox:~/dbox", "maildir:/srv/%{ldap:home}", "maildir:/srv/%1Mu/%u"):
            text = self.made("# 2.3.19.1 (9b53102964): x\nmail_location = %s\nprotocols = pop3\n" % location, FAILED)
            self.assertIn("# mail_location = %s\n" % location, text)
            self.assertNotIn("storage = ", "\n".join(settings(text)))

    def test_what_is_no_output_of_doveconf(self):
        for text in ("", "hello\n", "# 2.3.19 (x): y\nservice pop3 {\n", "listen = *\n"):
            self.assertIn("is not the output of", self.ctl.refused(FAILED, "adopt", "dovecot", "--config", self.put("saved", text)))
        self.assertIn("No such file", self.ctl.refused(FAILED, "adopt", "dovecot", "--config", "/nonexistent"))

    def test_a_file_is_not_overwritten(self):
        saved, out = self.put("saved", DOVECOT_2_4), self.put("out", "mine\n")
        self.assertIn("--force", self.ctl.refused(FAILED, "adopt", "dovecot", "--config", saved, "-o", out))
        with open(out) as f:
            self.assertEqual(f.read(), "mine\n")
        self.ctl.done("adopt", "dovecot", "--config", saved, "-o", out, "--force")
        with open(out) as f:
            self.assertEqual(settings(f.read()), CARRIED_2_4)

    def test_courier(self):
        for name, text in COURIER.items():
            self.put(name, text)
        text = self.ctl.done("adopt", "courier", "--config", self.folder) + "\n"
        self.assertEqual(settings(text), CARRIED_COURIER)
        self.is_taken(text)
        self.assertIn("# authuserdb\n", text)
        self.assertIn("No such file", self.ctl.refused(FAILED, "adopt", "courier", "--config", "/nonexistent"))

    def test_usage(self):
        for words in (("nonsense",), (), ("dovecot", "--nonsense"), ("uids",), ("uids", "dovecot"), ("uids", "dovecot", "--jobs", "0", "clear"), ("uids", "dovecot", "--jobs", "9", "clear"),
                      ("uids", "dovecot", "--config", "/", "clear")):
            self.ctl.refused(USAGE, "adopt", *words)


# In the place of Dovecot's programs: what they say is in files.
DOVEADM = """#!/bin/sh
# doveadm exec pop3 -u USER
read line && read line
test "$1 $2 $3" = "exec pop3 -u" && exec cat "%s/$4"
"""
DOVECONF = """#!/bin/sh
# doveconf -f protocol=pop3 pop3_uidl_format; -h is refused by 2.4 where a section might have another
test "$*" = "-f protocol=pop3 pop3_uidl_format" && echo 'pop3_uidl_format = %v.%u'
"""


class Uids(TestCase):
    """Dovecot's files are real, and its programs are made up."""

    def setUp(self):
        super().setUp()
        self.ctl = Control(self.daemon)
        self.folder = os.path.join(harness.world().dir, "adopt-" + self.id().rsplit(".", 1)[1])
        os.mkdir(self.folder)
        for name, text in (("doveadm", DOVEADM % self.folder), ("doveconf", DOVECONF)):
            with open(os.path.join(self.folder, name), "w") as f:
                f.write(text)
            os.chmod(os.path.join(self.folder, name), 0o755)

    def box(self, told=None, known=True):
        """A user with three messages in an order of Dovecot's; `told`: what it says of their unique-ids."""
        user = self.user(mailbox.simple(3))
        names = sorted(os.path.basename(path).split(":")[0] for path in user.maildir.paths())
        if known:
            path = os.path.join(user.maildir.path, "dovecot-uidlist")
            with open(path, "w") as f:
                f.write("3 V77 N9 G0123456789abcdef0123456789abcdef\n" + "".join("%d :%s\n" % (i, name) for i, name in enumerate(reversed(names), 4)))
            os.chown(path, user.uid, user.gid)
        with open(os.path.join(self.folder, user.name), "w") as f:
            f.write("+OK Logged in.\r\n+OK\r\n%s.\r\n+OK Logging out.\r\n" % "".join("%d %s\r\n" % pair for pair in enumerate(told or ["77.4", "77.5", "77.6"], 1)))
        return user

    def adopt(self, status, *words):
        answer = self.ctl.run("adopt", "uids", "dovecot", *words, env={"PATH": self.folder + ":/usr/bin:/bin"})
        self.assertEqual((answer.status, answer.err), (status, ""), answer)
        return answer.out

    def on_terminal(self, columns, *words, wrap=()):
        """What stands on a terminal of that width at the end, and each state of its last line before."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        done = subprocess.Popen([*wrap, *self.ctl.argv("adopt", "uids", "dovecot", *words)], stdin=theirs, stdout=theirs, stderr=theirs, env={"PATH": self.folder + ":/usr/bin:/bin"})
        os.close(theirs)
        out = b""
        with contextlib.suppress(OSError):  # EIO is its end
            while piece := os.read(ours, 65536):
                out += piece
        os.close(ours)
        self.assertIn(done.wait(60), (DONE, FAILED))
        return out.decode()

    def test_the_bar_fits_the_terminal(self):
        users = [self.box() for _ in range(3)]
        users.append(self.box(["77.4", "77.5", "other"]))
        for columns, bar in ((80, "[%s] 4 of 4 users" % (40 * "#")), (40, "[%s] 4 of 4 users" % (24 * "#")), (17, "[#] 4 of 4 users"), (14, "4 of 4 users"), (8, "4 of 4 ")):
            out = self.on_terminal(columns, "--force", *self.names(*users))
            states = [state for line in out.split("\r\n") for state in line.split("\r") if " of 4 " in state and "users:" not in state and "messages" not in state]
            if columns > 30:
                self.assertRegex(states[0], r"\A\[ +\] 0 of 4 users\Z")
            self.assertEqual((len(states), states[-1]), (5, bar), out)
            self.assertLess(max(map(len, states)), columns)
            self.assertIn("\r\033[K%s: different, 3 messages" % users[3].name, out)
            self.assertNotIn(users[0].name, out)

    def test_users_are_the_accounts_from_minimum_uid_on(self):
        user = self.box()
        # In the place of the host's, for pop3ctl alone: a folder, as a file would come off when useradd replaces the host's.
        etc = os.path.join(self.folder, "etc")
        os.mkdir(etc)
        with open(os.path.join(etc, "passwd"), "w") as f:
            for name, uid in (("root", 0), ("p3t-below", user.uid - 1), (user.name, user.uid), ("p3t-above", user.uid + 1), ("nobody", 65534)):
                f.write("%s:x:%d:%d::/nonexistent:/bin/false\n" % (name, uid, uid))
        mounts = harness.private_mounts('mount --bind "$0" /etc', etc)
        for minimum, taken in ((user.uid, [user.name, "p3t-above"]), (1, ["p3t-below", user.name, "p3t-above"]), (0, ["p3t-below", user.name, "p3t-above"]), (user.uid + 1, ["p3t-above"])):
            ctl = Control(self.own_daemon(minimum_uid=minimum))
            done = subprocess.run([*mounts, *ctl.argv("adopt", "uids", "dovecot", "clear")],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env={"PATH": self.folder + ":/usr/bin:/bin:/usr/sbin"})
            self.assertEqual(done.stderr, "")
            self.assertEqual(sorted(line.split(":")[0] for line in done.stdout.splitlines() if ": " in line and " users: " not in line), sorted(taken), (minimum, done.stdout))

    def names(self, *users):
        return ["clear", *[user.name for user in users]]

    def test_all_are_taken_over_and_it_can_be_repeated(self):
        users = [self.box() for _ in range(6)]
        out = self.adopt(DONE, "--jobs", "3", *self.names(*users))
        for user in users:
            self.assertIn("%s: taken over and the same, 3 messages\n" % user.name, out)
            client = self.session(user)
            self.assertEqual(client.listing(b"UIDL"), [b"1 77.4", b"2 77.5", b"3 77.6"])
            client.quit()
        self.assertTrue(out.endswith("6 users, 18 messages, 0 would be fetched again\n6 of 6 users: taken over and the same\n"), out)
        out = self.adopt(DONE, *self.names(*users))
        self.assertTrue(out.endswith("6 of 6 users: taken over before and the same\n"), out)
        out = self.adopt(DONE, "--force", *self.names(*users))
        self.assertTrue(out.endswith("6 of 6 users: taken over and the same\n"), out)

    def test_differences_are_told(self):
        other, order, unused = self.box(["77.4", "77.5", "other"]), self.box(["77.5", "77.4", "77.6"]), self.box(known=False)
        out = self.adopt(FAILED, *self.names(other, order, unused))
        self.assertIn("%s: different, 3 messages: 1 of 3 messages would be fetched again\n" % other.name, out)
        self.assertIn("%s: different, 3 messages: the order is not the same\n" % order.name, out)
        self.assertIn("%s: without unique-ids of the other server, 0 messages\n" % unused.name, out)
        self.assertIn("3 users, 6 messages, 1 would be fetched again\n", out)
        self.assertIn("2 of 3 users: different\n", out)

    def test_whoever_cannot_be_asked_is_not_compared(self):
        user = self.box()
        os.unlink(os.path.join(self.folder, user.name))
        out = self.adopt(FAILED, *self.names(user))
        self.assertRegex(out, r"%s: taken over and not compared, 3 messages: doveadm fails: cat: ." % user.name)
        os.unlink(os.path.join(self.folder, "doveadm"))
        self.assertIn("doveadm cannot be run\n", self.adopt(FAILED, "--force", *self.names(user)))
        os.unlink(os.path.join(self.folder, "doveconf"))
        answer = self.ctl.run("adopt", "uids", "dovecot", *self.names(user), env={"PATH": self.folder})
        self.assertEqual((answer.status, answer.out, answer.err), (FAILED, "", "pop3ctl: doveconf does not say what pop3_uidl_format is\n"))

    def says(self, script):
        """What doveadm does in the place of its own."""
        with open(os.path.join(self.folder, "doveadm"), "w") as f:
            f.write("#!/bin/sh\n" + script + "\n")

    def test_what_is_asked_has_no_terminal_to_type_into(self):
        user = self.box()
        self.says('if (exec </dev/tty) 2>/dev/null; then echo terminal; else echo none; fi >"%s/found"; exec cat "%s/$4"' % (self.folder, self.folder))
        out = self.on_terminal(80, "--force", *self.names(user), wrap=("setsid", "--ctty", "--wait"))
        self.assertIn("1 of 1 users: taken over and the same", out)
        with open(os.path.join(self.folder, "found")) as f:
            self.assertEqual(f.read(), "none\n")

    def test_a_listing_without_end_is_given_up(self):
        user = self.box()
        self.says("exec yes '1 77.4'")
        self.assertRegex(self.adopt(FAILED, *self.names(user)), r"%s: taken over and not compared, 3 messages: doveadm says too much for a listing\n" % user.name)

    def test_who_says_all_and_does_not_end_is_ended(self):
        user = self.box()
        self.says('cat "%s/$4"; exec sleep infinity >&-' % self.folder)
        self.assertRegex(self.adopt(FAILED, *self.names(user)), r"%s: taken over and not compared, 3 messages: doveadm does not end\n" % user.name)

    def test_what_fails_is_told(self):
        user = self.box()
        with open(os.path.join(user.maildir.path, "dovecot-uidlist"), "w") as f:
            f.write("nonsense\n")
        out = self.adopt(FAILED, *self.names(user), "nobody-of-that-name")
        self.assertRegex(out, r"%s: failed, 0 messages: dovecot-uidlist: line 1 is of no version" % user.name)
        self.assertRegex(out, r"nobody-of-that-name: failed, 0 messages: .")
        self.assertIn("2 of 2 users: failed\n", out)
