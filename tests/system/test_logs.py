"""The log: stable lines, one a login, failed login and session end; never a secret."""

import base64
import calendar
import contextlib
import glob
import os
import re
import select
import signal
import socket
import subprocess
import time

import harness
import mailbox
from client import TestCase, plain_response
from control import USAGE, Control
from harness import ALL_KINDS, PLAIN, STLS, TLS

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
MESSAGES = mailbox.simple(4)
LOGIN = {"conn", "server", "user", "uid", "peer", "mech", "tls", "cipher", "messages", "octets", "sni"}
FAILED = {"conn", "server", "user", "peer", "mech", "tls", "result", "reason"}
END = {"conn", "server", "user", "peer", "reason", "by", "retrieved", "retrieved_octets", "topped", "deleted", "left", "duration", "tls", "fetched_again"}
DISCONNECT = {"conn", "server", "peer", "reason", "failures", "duration"}
VALUE = re.compile(r'[A-Za-z0-9_.@:/+-]+|"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\]|\\x[0-9a-f]{2})*"')
PEER = r'\A"?127\.0\.0\.1:\d+"?\Z'


class Lines(TestCase):
    def mark(self):
        return len(self.daemon.log())

    def check_values(self, fields):
        for key, value in fields.items():
            if key != "peer":
                self.assertTrue(VALUE.fullmatch(value), "%s=%s" % (key, value))

    def test_login_line(self):
        names = {PLAIN: "clear", STLS: "clear", TLS: "secure"}
        for kind in self.each_kind():
            for mech in ("USER", "PLAIN", "LOGIN"):
                user, mark = self.user(MESSAGES), self.mark()
                client = self.connect(kind)
                if mech == "USER":
                    client.login(user)
                elif mech == "PLAIN":
                    client.ok(b"AUTH PLAIN " + plain_response(user))
                else:
                    for part in (b"AUTH LOGIN", base64.b64encode(user.name_octets)):
                        client.send(part + b"\r\n")
                        client.challenge()
                    client.ok(base64.b64encode(user.password_octets))
                fields = self.daemon.log_fields("login", since=mark, user=user.name)
                client.quit()
                self.assertEqual(set(fields), LOGIN)
                self.check_values(fields)
                self.assertEqual((fields["server"], fields["uid"], fields["mech"]), (names[kind], str(user.uid), mech))
                self.assertRegex(fields["peer"], PEER)
                self.assertEqual(fields["messages"], "4")
                self.assertIn(fields["octets"], (str(sum(map(mailbox.size, MESSAGES))), "unknown"))
                if kind == PLAIN:
                    self.assertEqual((fields["tls"], fields["cipher"]), ("none", "none"))
                else:
                    self.assertEqual(fields["tls"], "TLSv1.3")
                    self.assertRegex(fields["cipher"], r"\ATLS_\w+\Z")

    def test_session_end_line(self):
        for kind in self.each_kind():
            user, mark = self.user(MESSAGES), self.mark()
            client = self.session(user, kind)
            client.multi(b"RETR 1")
            client.multi(b"RETR 2")
            client.multi(b"RETR 2")
            client.multi(b"TOP 3 0")
            client.err(b"RETR 9")
            for n in (1, 2, 4):
                client.ok(b"DELE %d" % n)
            client.quit()
            fields = self.daemon.log_fields("session-end", since=mark, user=user.name)
            self.assertEqual(set(fields), END)
            self.check_values(fields)
            self.assertEqual((fields["reason"], fields["by"], fields["topped"], fields["deleted"], fields["left"]), ("quit", "client", "1", "3", "1"))
            self.assertIn(fields["retrieved"], ("2", "3"))
            octets = mailbox.size(MESSAGES[0]) + mailbox.size(MESSAGES[1]) * (int(fields["retrieved"]) - 1)
            self.assertGreaterEqual(int(fields["retrieved_octets"]), octets)
            self.assertRegex(fields["duration"], r"\A\d+(\.\d+)?\Z")
            login = self.daemon.log_fields("login", since=mark, user=user.name)
            self.assertEqual(fields["conn"], login["conn"])
            self.assertEqual(fields["peer"], login["peer"])

    def test_session_end_reasons(self):
        daemon = self.own_daemon(idle_timeout=1)
        for kind in ALL_KINDS:
            for end, reason, by in (("close", "closed", "client"), ("reset", "closed", "client"), ("idle", "timeout", "server"), ("kill", "killed", "server")):
                user, mark = self.user(MESSAGES), len(daemon.log())
                client = self.session(user, kind, daemon)
                client.ok(b"DELE 1")
                if end == "idle":
                    client.eof()
                elif end == "kill":
                    os.kill(daemon.session_of(user)[0], signal.SIGKILL)
                else:
                    getattr(client, end)()
                fields = daemon.log_fields("session-end", since=mark, user=user.name)
                self.assertEqual((fields["reason"], fields["by"], fields["deleted"]), (reason, by, "0"), (kind, end))

    def killed(self, kind, who):
        """The end of a session that had done something when that process was killed, and the log since."""
        daemon, user = self.own_daemon(login_workers=1), self.user(MESSAGES)
        client = self.session(user, kind, daemon)
        client.multi(b"RETR 1")
        client.multi(b"RETR 2")
        client.multi(b"TOP 3 0")
        client.ok(b"DELE 1")
        client.ok(b"NOOP")
        os.kill(who(daemon, user), signal.SIGKILL)
        fields = daemon.log_fields("session-end", user=user.name)
        self.check_values(fields)
        octets = str(sum(map(mailbox.size, MESSAGES[:2])))
        self.assertEqual([fields[key] for key in ("retrieved", "retrieved_octets", "topped", "deleted", "left", "fetched_again")],
                         ["2", octets, "1", "0", str(len(MESSAGES)), "0"])
        return daemon, fields

    def test_killed_session_keeps_its_counts(self):
        for kind in self.each_kind():
            _, fields = self.killed(kind, lambda daemon, user: daemon.session_of(user)[0])
            self.assertEqual((fields["reason"], fields["by"]), ("killed", "server"))

    def test_killed_worker(self):
        for kind in self.each_kind((STLS, TLS)):
            daemon, fields = self.killed(kind, lambda daemon, user: daemon.role("pop3d-login")[0])
            self.assertEqual((fields["reason"], fields["by"]), ("worker-lost", "server"))
            daemon.log_wait(r"worker=1 lost \(gone\) connections=1")
            self.assertNotIn("broke a rule", daemon.log())

    def test_login_failed_line(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            mark = self.mark()
            client = self.connect(kind)
            client.try_login(user, b"wrong")
            fields = self.daemon.log_fields("login-failed", since=mark, user=user.name)
            self.assertEqual(set(fields), FAILED)
            self.check_values(fields)
            self.assertEqual((fields["mech"], fields["result"]), ("USER", "auth"))
            self.assertRegex(fields["peer"], PEER)
            mark = self.mark()
            client.err(b"AUTH PLAIN " + plain_response(b"nobody-here", b"x"))
            fields = self.daemon.log_fields("login-failed", since=mark, user="unknown")
            self.assertEqual((fields["mech"], fields["tls"]), ("PLAIN", "none" if kind == PLAIN else "TLSv1.3"))
            client.quit()
            fields = self.daemon.log_fields("disconnect", since=mark)
            self.assertEqual(set(fields), DISCONNECT)
            self.assertEqual((fields["reason"], fields["failures"]), ("quit", "2"))

    def test_mailbox_not_opened_is_a_failed_login(self):
        user = self.user(MESSAGES)
        holder = self.session(user)
        for kind in self.each_kind():
            mark = self.mark()
            client = self.connect(kind)
            client.try_login(user)
            client.quit()
            failed = self.daemon.log_fields("login-failed", since=mark, user=user.name)
            self.assertEqual(failed["result"], "in-use")
            fields = self.daemon.log_fields("session-end", since=mark, user=user.name)
            self.assertEqual(set(fields), END)
            self.assertEqual((fields["reason"], fields["by"], fields["retrieved"], fields["deleted"]), ("refused", "server", "0", "0"))
            self.assertEqual((fields["conn"], fields["peer"]), (failed["conn"], failed["peer"]))
        holder.quit()

    def test_a_home_or_mailbox_that_everybody_can_write_into(self):
        daemon = self.own_daemon()
        for what, mode, warned in (("mailbox", 0o777, 1), ("home", 0o777, 1), ("home", 0o702, 1), ("home", 0o1777, 0), ("mailbox", 0o775, 0)):
            with self.subTest(what=what, mode=oct(mode)):
                user = self.user(MESSAGES)
                os.chmod(user.home if what == "home" else user.maildir.path, mode)
                for kind in ALL_KINDS:
                    self.session(user, kind, daemon).quit()
                    daemon.log_fields("session-end", user=user.name)
                lines = re.findall(r"\bexposed conn=\S+ server=(\S+) user=%s peer=\S+ what=%s\n" % (user.name, what), daemon.log())
                # one a server: two of the three kinds are of one
                self.assertEqual(sorted(lines), sorted(daemon.servers) if warned else [])

    def test_one_line_each(self):
        user, mark = self.user(MESSAGES), self.mark()
        for kind in ALL_KINDS:
            self.session(user, kind).quit()
        self.daemon.log_wait("session-end", since=mark)
        harness.wait_for(lambda: self.daemon.log()[mark:].count("session-end ") >= 3, 3)
        log = self.daemon.log()[mark:]
        self.assertEqual(len(re.findall(r"\blogin conn=", log)), 3)
        self.assertEqual(len(re.findall(r"\bsession-end conn=", log)), 3)
        self.assertEqual(len(set(re.findall(r"\blogin conn=(\S+)", log))), 3)

    def test_odd_names_cannot_forge_lines(self):
        daemon = harness.shared_daemon(log_level="debug")
        mark = len(daemon.log())
        client = self.connect(TLS, daemon)
        for name in (b"a b", b'x" result=ok user="root', b"user=root", b"\\x0a", b"%s%n%d", b"a=b c=d", b"x" * 200):
            client.err(b"AUTH PLAIN " + plain_response(name, b"x"))
            if b" " not in name:
                client.try_login(name, b"x")
        client.err(b"AUTH PLAIN " + plain_response("z\u00e9\u2028".encode(), b"x"))
        client.err(b"AUTH PLAIN " + plain_response(b"nl\nlogin conn=1 user=root", b"x"))
        client.quit()
        time.sleep(0.3)
        log = daemon.log()[mark:]
        self.assertNotRegex(log, r"(?m)^login conn=1 ")
        self.assertNotRegex(log, r"\blogin conn=1 user=root")
        for line in log.splitlines():
            self.assertRegex(line, r"\A[\x20-\x7e]*\Z")

    def left_by_logcheck(self, lines, program="pop3d[1]"):
        """Of the daemon's lines, as the log daemon writes them."""
        lines = "\n".join("Nov 28 10:00:00 mail %s: %s" % (program, line) for line in lines)
        done = subprocess.run(["grep", "-Evf", os.path.join(TOP, "etc/logcheck/pop3d")], input=lines.encode(), stdout=subprocess.PIPE)
        return done.stdout.decode().splitlines()

    def test_logcheck_rules_leave_nothing_of_a_normal_day(self):
        daemon, user = self.own_daemon(idle_timeout=600), self.user(MESSAGES)
        for kind in ALL_KINDS:
            client = self.connect(kind, daemon=daemon)
            client.login(user)
            client.ok(b"DELE 1")
            client.quit()
        client = self.connect(PLAIN, daemon=daemon)
        client.try_login(user, b"wrong")
        client.quit()
        daemon.reload()
        with socket.create_connection((daemon.address(TLS), daemon.port(TLS))) as s:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while s.recv(4096):
                pass
        daemon.log_wait("TLS handshake failed")
        daemon.may_leave = True
        daemon.send_signal(signal.SIGTERM)
        daemon.log_wait(" stopped$", 30)
        self.assertEqual(self.left_by_logcheck(re.sub(r"^\S+ pop3d\[\d+\]: ", "", line) for line in daemon.log().splitlines()), [])
        odd = "session-crash conn=1 user=ann uid=1000 pid=7 signal=11 doing=RETR"
        self.assertEqual(len(self.left_by_logcheck([odd])), 1)

    def test_logcheck_rules_pass_over_wrong_passwords(self):
        """What PAM says of them; unix_chkpwd does since Debian 13."""
        for program, line in (("pop3d-auth[7]", "pam_unix(pop3d:auth): check pass; user unknown"),
                              ("pop3d-auth", "pam_unix(pop3d:auth): authentication failure; logname= uid=0 euid=0 tty=pop3d ruser=anna rhost=::1  user=anna"),
                              ("unix_chkpwd[746]", "password check failed for user (anna)")):
            self.assertEqual(self.left_by_logcheck([line], program), [])
        self.assertEqual(len(self.left_by_logcheck(["bad user id"], "unix_chkpwd[7]")), 1)

    def lines_of_level_info(self):
        """Made of the formats in the sources: what a normal day may log."""
        calls = r"\b(?:log_info|log_(?:line|try|put)\(LOG_INFO|log_line\(\S+ \? LOG_INFO : LOG_DEBUG)\b"
        literal = r'"(?:[^"\\]|\\.)*"'
        written = re.compile(calls + r'[^";]*?,\s*(%s(?:%s|\s|PRIu64)*)' % (literal, literal))
        roles = {"daemon": "", "worker/login": "role=login pid=7 conn=1a ", "worker/session": "role=session pid=7 conn=1a ",
                 "worker/store": "role=session pid=7 conn=1a "}
        for folder, role in roles.items():
            for path in glob.glob(os.path.join(TOP, folder, "**/*.c"), recursive=True):
                with open(path) as f:
                    formats = written.findall(f.read())
                for text in formats:
                    text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text.replace("PRIu64", '"u"')))
                    text = re.sub(r"^(\S+) %s(?= )", r"\1 conn=1a", text).replace('\\"', '"')
                    text = text.replace("%.3f", "0.001").replace("%s", "a")
                    if text != "a":
                        yield role + re.sub(r"%(?:z|ll?)?u", "7", text)

    def test_logcheck_has_a_rule_for_each_line_of_level_info(self):
        lines = list(self.lines_of_level_info())
        for event in ("login ", "deleted-more ", "role=session .* mbox ", "role=login .* TLS handshake failed"):
            self.assertTrue(any(re.match(event, line) for line in lines), event)
        self.assertEqual(self.left_by_logcheck(lines), [])




class Secrets(TestCase):
    def exchange(self, daemon, user):
        for kind in ALL_KINDS:
            client = self.connect(kind, daemon)
            client.ok(b"USER " + user.name_octets)
            client.err(b"PASS Wrong-secret-4711")
            client.err(b"PASS Wrong-secret-4712")
            client.err(b"AUTH PLAIN " + plain_response(user, b"Wrong-secret-4713"))
            client.send(b"AUTH LOGIN\r\n")
            client.challenge()
            client.send(base64.b64encode(user.name_octets) + b"\r\n")
            client.challenge()
            client.err(base64.b64encode(b"Wrong-secret-4714"))
            client.err(b"PaSs Wrong-secret-4715 with blank")
            client.err(b" PASS Wrong-secret-4716")
            client.err(b"USER " + b"x" * 300 + b"Wrong-secret-4717")
            client.login(user)
            client.multi(b"RETR 1")
            client.quit()

    def check(self, log, user):
        for secret in ("Wrong-secret-47", user.password, base64.b64encode(b"Wrong-secret-4714").decode(), plain_response(user, b"Wrong-secret-4713").decode(),
                       plain_response(user).decode()):
            self.assertNotIn(secret, log)

    def test_no_password_in_any_log(self):
        for settings in ({}, {"log_level": "debug"}, {"log_level": "debug", "trace": True}):
            with self.subTest(settings=settings):
                daemon = self.own_daemon(**settings)
                user = self.user(MESSAGES)
                self.exchange(daemon, user)
                time.sleep(0.3)
                self.check(daemon.log(), user)

    def test_a_response_that_comes_after_login_is_masked(self):
        # a client may go on with an exchange that the server has ended
        daemon = self.own_daemon(trace=True)
        for kind in self.each_kind():
            user, mark = self.user(MESSAGES), len(daemon.log())
            client = self.connect(kind, daemon)
            client.login(user)
            for line in (plain_response(user), base64.b64encode(user.password.encode()), user.password.encode(),
                         b"AUTH " + plain_response(user), b"NOOP " + user.password.encode()):
                client.err(line)
            client.quit()
            daemon.log_fields("session-end", since=mark, user=user.name)
            log = daemon.log()[mark:]
            for secret in (plain_response(user), base64.b64encode(user.password.encode()), user.password.encode()):
                self.assertNotIn(secret.decode(), log)
            for shown in (r"< \"?\(%d octets\)" % len(plain_response(user)), r"< \"?AUTH \*\*\*\*", r"< \"?NOOP \*\*\*\*"):
                self.assertRegex(log, shown)

    def test_trace_shows_both_directions(self):
        daemon = self.own_daemon(trace=True, log_level="debug")
        user = self.user(MESSAGES)
        for kind in self.each_kind():
            mark = len(daemon.log())
            client = self.connect(kind, daemon)
            client.multi(b"CAPA")
            client.login(user)
            client.ok(b"STAT")
            client.err(b"XYZZ")
            client.quit()
            time.sleep(0.2)
            log = daemon.log()[mark:]
            for pattern in (r"<.*\bCAPA\b", r"<.*USER %s" % user.name, r"<.*PASS", r"<.*STAT", r">.*\+OK 4 \d+", r"<.*\(4 octets\)", r">.*-ERR", r"<.*QUIT"):
                self.assertRegex(log, pattern)
            self.assertNotIn(user.password, log)

    def test_log_level(self):
        daemon = self.own_daemon(log_level="error")
        user = self.user(MESSAGES)
        self.session(user, TLS, daemon).quit()
        time.sleep(0.2)
        self.assertNotIn("login conn=", daemon.log())

    @staticmethod
    def read_until(s, word):
        s.settimeout(5)
        lines = []
        while not lines or word not in lines[-1]:
            lines.append(s.recv(8192))
        return lines

    @harness.needs_root
    def test_syslog(self):
        # without -e the lines go to /dev/log
        user = self.user(MESSAGES)
        s, wrap = harness.private_syslog()
        self.addCleanup(s.close)
        # nobody reads at first, and the queue is full: the mail goes on all the same
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as filler:
            filler.connect(s.getsockname())
            with contextlib.suppress(BlockingIOError):
                while True:
                    filler.send(b"x")
        daemon = self.own_daemon(arguments=("-F",), wrap=wrap)
        self.session(user, TLS, daemon).quit()
        # now it is read, and some lines have waited
        lines = self.read_until(s, b"session-end ")
        found = [line for line in lines if re.search(rb"\blogin conn=", line)]
        self.assertEqual(len(found), 1)
        self.assertRegex(found[0], rb"\A<22>")  # mail.info
        self.assertIn(b"pop3d", found[0])
        self.assertFalse([line for line in lines if b"lost" in line])

    @harness.needs_root
    def test_syslog_behind_at_the_end(self):
        # what waits when the daemon is stopped is still taken
        user = self.user(MESSAGES)
        s, wrap = harness.private_syslog()
        self.addCleanup(s.close)
        daemon = self.own_daemon(arguments=("-F",), wrap=wrap, trace=True)
        client = self.session(user, PLAIN, daemon)
        for _ in range(60):
            client.ok(b"NOOP")
        client.quit()
        daemon.may_leave = True
        daemon.send_signal(signal.SIGTERM)
        lines = self.read_until(s, b": stopped")
        self.assertGreaterEqual(len([line for line in lines if b" trace conn=" in line]), 120)
        daemon.process.wait(10)

    @harness.needs_root
    def test_syslog_behind_for_long(self):
        # more lines than wait: the others are counted
        user = self.user(MESSAGES)
        s, wrap = harness.private_syslog()
        self.addCleanup(s.close)
        daemon = self.own_daemon(arguments=("-F",), wrap=wrap, trace=True)
        client = self.session(user, TLS, daemon)
        for _ in range(400):
            client.ok(b"NOOP")
        client.quit()
        lines = self.read_until(s, b"log lines: syslog did not take them")
        self.assertRegex(lines[-1], rb"\A<20>.* lost \d+ log lines")
        told = len([line for line in lines if b" trace conn=" in line])
        self.assertGreater(told, 256 - 20)
        self.assertGreaterEqual(told + int(re.search(rb"lost (\d+)", lines[-1]).group(1)), 800)


def pipe_ends(case):
    """The ends of a pipe, which are closed at the end of the test."""
    ends = [os.fdopen(fd, mode, buffering=0) for fd, mode in zip(os.pipe(), ("rb", "wb"))]
    for end in ends:
        case.addCleanup(end.close)
    return ends


class Errors(TestCase):
    """pop3ctl log errors: the last errors and warnings, without a log daemon."""

    @harness.needs_root
    def test_the_log_daemon_is_gone(self):
        s, wrap = harness.private_syslog()
        daemon = self.own_daemon(arguments=("-F",), wrap=wrap)
        s.close()
        ctl = Control(daemon)
        self.assertEqual(ctl.json("log", "errors"), [])
        exposed, broken = self.user(MESSAGES), self.user(MESSAGES)
        os.chmod(exposed.maildir.path, 0o777)
        self.session(exposed, TLS, daemon).quit()
        os.chmod(os.path.join(broken.maildir.path, "cur"), 0)
        self.assertIn(b"SYS/", self.connect(TLS, daemon).try_login(broken))
        self.assertGreater(int(ctl.pairs("status")["log_lines_lost"]), 0)
        before = time.time()
        os.kill(daemon.role("pop3d-login")[0], signal.SIGKILL)
        self.assertTrue(harness.wait_for(lambda: "worker" in ctl.json("log", "errors", 1)[0]["text"], 20))
        found = ctl.json("log", "errors")
        self.assertEqual(set(found[0]), {"time", "priority", "count", "role", "text"})
        self.assertEqual([(f["role"], f["priority"]) for f in found],
                         [("master", "warning"), ("session", "error"), ("master", "warning")], found)
        self.assertRegex(found[0]["text"], r"\Aexposed conn=\S+ server=\S+ user=%s " % exposed.name)
        self.assertRegex(found[1]["text"], r"\Apid=\d+ conn=\S+ .*Permission denied")
        self.assertEqual([f["count"] for f in found], [1, 1, 1])
        self.assertEqual(found, sorted(found, key=lambda f: f["time"]))
        self.assertLess(abs(calendar.timegm(time.strptime(found[2]["time"], "%Y-%m-%dT%H:%M:%SZ")) - before), 60)
        # the last ones, and as a table
        self.assertEqual(ctl.json("log", "errors", 2), found[1:])
        lines = ctl.lines("log", "errors", 256)
        self.assertEqual([len(lines)] + lines[0].split(), [4, "time", "priority", "count", "role", "text"])
        self.assertTrue(lines[1].endswith(found[0]["text"]))

    def test_counts_that_are_none(self):
        ctl = Control(self.daemon)
        for count in ("0", "257", "-1", "+1", " 1", "1x", "", "99999999999999999999"):
            self.assertEqual(ctl.refused(USAGE, "log", "errors", count), 'bad count "%s": must be 1 to 256' % count)
        self.assertEqual(ctl.refused(USAGE, "log", "errors", "1", "2"), 'wrong # args: should be "pop3ctl log errors ?count?"')
        self.assertEqual(ctl.refused(USAGE, "log", "x"), 'bad option "x": must be errors')


class Unread(TestCase):
    """Standard error is a pipe, and nobody reads it."""

    LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} pop3d\[\d+\]: ([ -~]*)\n")

    def start(self, **settings):
        """The end that reads, and a pop3d that has the other."""
        reads, writes = pipe_ends(self)
        put = 'exec "$@" 2>&%d %d>&-' % (writes.fileno(), writes.fileno())
        daemon = self.own_daemon(wrap=["sh", "-c", put, "sh"], pass_fds=(writes.fileno(),), idle_timeout=600, **settings)
        writes.close()
        return reads, daemon

    def chatter(self, client, count=1500):
        """Two traced lines each."""
        client.pump(b"NOOP\r\n" * count, lambda got: got.count(b"\n") >= count)

    def read_until(self, reads, word):
        """All that comes until a line has this word, in lines that are whole."""
        text = b""
        deadline = time.monotonic() + 30
        while not (word in text and text.endswith(b"\n")) and time.monotonic() < deadline:
            if select.select([reads], [], [], 1)[0]:
                text += reads.read(65536)
        lines = text.splitlines(keepends=True)
        self.assertEqual([line for line in lines if not self.LINE.fullmatch(line)], [])
        return [self.LINE.fullmatch(line).group(1) for line in lines]

    def test_mail_goes_on_and_the_lost_are_counted(self):
        user = self.user(MESSAGES)
        reads, daemon = self.start(trace=True)
        client = self.session(user, PLAIN, daemon)
        self.chatter(client)
        for kind in (TLS, PLAIN):
            self.session(self.user(MESSAGES), kind, daemon).quit()
        client.ok(b"DELE 1")
        client.quit()
        self.assertEqual(len(user.maildir.paths()), len(MESSAGES) - 1)
        self.assertEqual(Control(daemon).pairs("status")["state"], "serving")
        lines = self.read_until(reads, b"log lines: standard error did not take them")
        found = [re.fullmatch(rb"lost (\d+) log lines: standard error did not take them", line) for line in lines]
        lost = sum(int(m.group(1)) for m in found if m)
        told = len([line for line in lines if line.startswith(b"trace conn=")])
        self.assertGreater(told * 60, 65536)
        self.assertGreater(told + lost, 3000)
        # what comes now is read
        self.session(user, PLAIN, daemon).quit()
        self.assertTrue(self.read_until(reads, b"session-end "))

    def test_it_ends(self):
        user = self.user(MESSAGES)
        _reads, daemon = self.start(trace=True)
        client = self.session(user, PLAIN, daemon)
        self.chatter(client)
        client.quit()  # the rest is looked at by whoever stops the daemon

    def test_the_reader_has_gone(self):
        user = self.user(MESSAGES)
        reads, daemon = self.start(trace=True)
        reads.close()
        client = self.session(user, PLAIN, daemon)
        self.chatter(client)
        client.ok(b"DELE 1")
        client.quit()
        self.assertEqual(len(user.maildir.paths()), len(MESSAGES) - 1)

    @harness.needs_root
    def test_whoever_shares_the_pipe_is_not_affected(self):
        _reads, daemon = self.start()
        flags = [line for line in harness.proc_octets(daemon.pid, "fdinfo/2").splitlines() if line.startswith(b"flags:")]
        self.assertEqual(int(flags[0].split()[1], 8) & os.O_NONBLOCK, 0)
