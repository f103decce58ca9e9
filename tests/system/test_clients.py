"""Real mail clients fetch the difficult mailbox; what arrives is compared octet by octet.

Where a client itself changes what it gets, the test says so and allows exactly
that.  Nothing is allowed to the server.
"""

import contextlib
import os
import poplib
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import termios
import time
import unittest

import harness
import mailbox
from client import TestCase, difference, tls_context
from harness import PLAIN, STLS, TLS

LARGE = 50 << 20


def lf(stored):
    """The message as a client with Unix line ends keeps it."""
    return mailbox.plain(stored).replace(b"\r\n", b"\n")


class ClientCase(TestCase):
    """Clients run as a user."""

    def run_client(self, arguments, user=None, environment=None, allowed=(0,), **options):
        account = {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=200,
                              env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": user.home if user else harness.world().dir, **(environment or {})}, **account, **options)
        self.assertIn(done.returncode, allowed, (done.stdout[-1500:] + done.stderr[-1500:]).decode("latin-1"))
        return done

    def folder(self, user, name):
        """A directory that the user may write."""
        path = os.path.join(user.home, name)
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path, 0o700)
        os.chown(path, user.uid, user.gid)
        return path

    def maildir_folder(self, user, name):
        path = self.folder(user, name)
        for sub in ("new", "cur", "tmp"):
            os.mkdir(os.path.join(path, sub), 0o700)
            os.chown(os.path.join(path, sub), user.uid, user.gid)
        return path

    def private(self, user, name, text):
        path = os.path.join(user.home, name)
        with open(path, "w") as f:
            f.write(text)
        os.chown(path, user.uid, user.gid)
        os.chmod(path, 0o600)
        return path


class Clients(ClientCase):
    limit = 240
    settings = {"idle_timeout": 120}

    def box(self, *leave_out):
        """A user with the difficult mailbox, without the messages a client cannot transport."""
        self.names, messages = [], []
        for name, octets in mailbox.difficult(LARGE):
            if name not in leave_out:
                self.names.append(name)
                messages.append(octets)
        self.messages = messages
        return self.user(messages)

    def same(self, name, got, want):
        if got != want:
            self.fail("%s: %s" % (name, difference(got, want)))

    @staticmethod
    def read_all(path):
        """The contents of all files of a folder, a Maildir or a plain one."""
        out = []
        for root, _, names in os.walk(path):
            for name in names:
                with open(os.path.join(root, name), "rb") as f:
                    out.append(f.read())
        return out

    def compare_all(self, got, want):
        """Each message arrived once: compare by content, whatever the order."""
        got = list(got)
        self.assertEqual(len(got), len(want))
        for name, octets in want:
            if octets in got:
                got.remove(octets)
            else:
                nearest = min(got, key=lambda g: abs(len(g) - len(octets)))
                self.fail("%s did not arrive as it is; the nearest: %s" % (name, difference(nearest, octets)))

    # --- curl ---

    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_curl(self):
        user = self.box()
        out = os.path.join(harness.world().dir, "curl-out")
        for kind in self.each_kind():
            scheme = "pop3s" if kind == TLS else "pop3"
            base = ["curl", "-sS", "--cacert", harness.world().certificate()[0], "-u", "%s:%s" % (user.name, user.password)]
            if kind == STLS:
                base.append("--ssl-reqd")
            url = "%s://127.0.0.1:%d/" % (scheme, self.daemon.port(kind))
            listing = self.run_client(base + [url]).stdout
            self.assertEqual(listing, b"".join(b"%d %d\r\n" % (i, mailbox.size(m)) for i, m in enumerate(self.messages, 1)))
            for i, (name, stored) in enumerate(zip(self.names, self.messages), 1):
                self.run_client(base + ["-o", out, url + str(i)])
                with open(out, "rb") as f:
                    # curl writes one line end for a message of no octets
                    self.same(name, f.read(), mailbox.plain(stored) or b"\r\n")
            for mechanism in ("PLAIN", "LOGIN"):
                self.run_client(base + ["--login-options", "AUTH=" + mechanism, "-o", out, url + "1"])
            self.run_client(base + ["--sasl-ir", "-o", out, url + "1"])
            self.run_client(base + ["-X", "UIDL", "-o", out, url])
            self.run_client([user.name + ":wrong" if a.startswith(user.name) else a for a in base] + [url], allowed=(67,))
        self.run_client(base + ["-X", "DELE", "-I", url + "1"], allowed=(0, 8, 56))

    # --- poplib ---

    def test_poplib(self):
        user = self.box()
        self.addCleanup(setattr, poplib, "_MAXLINE", poplib._MAXLINE)
        poplib._MAXLINE = 4 << 20  # it refuses lines of more than 2048 octets by itself
        for kind in self.each_kind():
            if kind == TLS:
                box = poplib.POP3_SSL("127.0.0.1", self.daemon.port(TLS), context=tls_context())
            else:
                box = poplib.POP3("127.0.0.1", self.daemon.port(kind))
                if kind == STLS:
                    box.stls(tls_context())
            box.user(user.name)
            box.pass_(user.password)
            self.assertEqual(box.stat(), (len(self.messages), sum(map(mailbox.size, self.messages))))
            for i, (name, stored) in enumerate(zip(self.names, self.messages), 1):
                got = b"".join(line + b"\r\n" for line in box.retr(i)[1])
                self.same(name, got, mailbox.plain(stored))
                self.assertEqual(len(box.top(i, 0)[1]), mailbox.top(stored, 0).count(b"\r\n"))
            self.assertEqual(len(box.uidl()[1]), len(self.messages))
            self.assertIn("UIDL", box.capa())
            box.dele(1)
            box.rset()
            box.quit()

    # --- Perl ---

    PERL = r"""
use strict; use Net::POP3;
my ($port, $ssl, $stls, $ca, $user, $pass, $count, $out) = @ARGV;
my @tls = (SSL_ca_file => $ca, SSL_verifycn_scheme => 'none');
my $p = Net::POP3->new('127.0.0.1', Port => $port, Timeout => 100, $ssl ? (SSL => 1, @tls) : ()) or die "connect: $@";
$p->starttls(@tls) or die "starttls" if $stls;
my $n = $p->login($user, $pass); defined $n or die "login: " . $p->message;
$n == $count or die "count $n";
for my $i (1 .. $count) {
	open my $f, '>', "$out/$i" or die; binmode $f;
	$p->get($i, $f) or die "get $i"; close $f or die;
}
scalar(keys %{$p->uidl}) == $count or die "uidl";
$p->quit or die "quit";
"""

    @unittest.skipUnless(shutil.which("perl"), "no perl")
    def test_perl_net_pop3(self):
        if subprocess.run(["perl", "-MNet::POP3", "-e", "1"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("no Net::POP3")
        ssl_there = subprocess.run(["perl", "-MIO::Socket::SSL", "-e", "1"], stderr=subprocess.DEVNULL).returncode == 0
        user = self.box()
        script = self.private(user, "fetch.pl", self.PERL)
        for kind in self.each_kind() if ssl_there else (PLAIN,):
            out = self.folder(user, "perl")
            self.run_client(["perl", script, str(self.daemon.port(kind)), "1" if kind == TLS else "0", "1" if kind == STLS else "0", harness.world().certificate()[0],
                             user.name, user.password, str(len(self.messages)), out])
            for i, (name, stored) in enumerate(zip(self.names, self.messages), 1):
                with open(os.path.join(out, str(i)), "rb") as f:
                    self.same(name, f.read().replace(b"\r\n", b"\n"), lf(stored))  # Net::Cmd turns CRLF into LF, at times

    # --- mpop ---

    @harness.needs_root
    @unittest.skipUnless(shutil.which("mpop"), "no mpop")
    def test_mpop(self):
        # mpop's lines are C strings: what stands behind a NUL is lost in mpop itself
        user = self.box("nul")
        for kind in self.each_kind():
            out = self.maildir_folder(user, "mpop")
            conf = self.private(user, "mpoprc", "\n".join([
                "account x", "host 127.0.0.1", "port %d" % self.daemon.port(kind), "user " + user.name, 'password "%s"' % user.password, "auth plain" if kind != PLAIN else "auth user",
                "tls " + ("off" if kind == PLAIN else "on"), "tls_starttls " + ("on" if kind == STLS else "off"),
                "" if kind == PLAIN else "tls_trust_file " + harness.world().certificate()[0], "keep on", "received_header off",
                "uidls_file %s/uidls-%s" % (user.home, kind), "delivery maildir " + out]) + "\n")
            self.run_client(["mpop", "-C", conf, "x"], user=user)
            self.compare_all(self.read_all(out), [(n, lf(m)) for n, m in zip(self.names, self.messages)])

    # --- getmail ---

    @harness.needs_root
    @unittest.skipUnless(shutil.which("getmail"), "no getmail")
    def test_getmail(self):
        user = self.box()
        for kind in self.each_kind((PLAIN, TLS)):
            out = self.maildir_folder(user, "getmail")
            while b"waiting child pid" in self.getmail(user, kind, out).stderr:
                shutil.rmtree(out)  # it misses the end of its own child now and then
                out = self.maildir_folder(user, "getmail")
            self.compare_getmail(out)

    def getmail(self, user, kind, out):
        folder = self.folder(user, "getmailrc.d")
        self.private(user, "getmailrc.d/rc", "\n".join([
            "[retriever]", "type = SimplePOP3SSLRetriever" if kind == TLS else "type = SimplePOP3Retriever", "server = 127.0.0.1", "port = %d" % self.daemon.port(kind),
            "username = " + user.name, "password = " + user.password, "ca_certs = " + harness.world().certificate()[0] if kind == TLS else "", "timeout = 20",
            "[destination]", "type = Maildir", "path = %s/" % out,
            "[options]", "read_all = true", "delete = false", "delivered_to = false", "received = false", "verbose = 0"]) + "\n")
        done = self.run_client(["getmail", "--getmaildir", folder, "--rcfile", "rc"], user=user, allowed=(0, 127))
        if b"waiting child pid" not in done.stderr:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def compare_getmail(self, out):
        # it puts a Return-Path in front where none is, and ends a header with a blank line
        want = []
        for name, stored in zip(self.names, self.messages):
            octets = lf(stored)
            if b"\n\n" not in octets:
                octets += b"\n"
            if not octets.startswith(b"Return-Path:"):
                octets = b"Return-Path: <unknown>\n" + octets
            want.append((name, octets))
        self.compare_all(self.read_all(out), want)

    # --- fetchmail ---

    @harness.needs_root
    @unittest.skipUnless(shutil.which("fetchmail"), "no fetchmail")
    def test_fetchmail(self):
        # it cuts lines of more than 8 KiB by itself
        user = self.box("long-line")
        for kind in self.each_kind():
            out = self.folder(user, "fetchmail")
            mda = self.private(user, "mda.sh", '#!/bin/sh\nexec cat > "$(mktemp %s/XXXXXXXX)"\n' % out)
            os.chmod(mda, 0o700)
            tls = {PLAIN: "sslproto ''", STLS: "sslproto 'auto' sslcertck sslcertfile %s" % harness.world().certificate()[0],
                   TLS: "ssl sslcertck sslcertfile %s" % harness.world().certificate()[0]}[kind]
            conf = self.private(user, "fetchmailrc", "set invisible\nset no bouncemail\npoll localhost protocol POP3 port %d bad-header accept\n user '%s' password '%s' is '%s' here\n %s\n"
                                " fetchall keep no rewrite pass8bits no mimedecode\n mda '%s'\n" % (self.daemon.port(kind), user.name, user.password, user.name, tls, mda))
            self.run_client(["fetchmail", "-f", conf, "--nosyslog", "--pidfile", user.home + "/fetchmail.pid", "--nodetach"], user=user)
            self.compare_fetchmail(out)

    def compare_fetchmail(self, out):
        # it makes a header for a message of no octets, and ends a header with a blank line
        daemon = re.compile(rb"From: FETCHMAIL-DAEMON\nTo: [^\n]*\nSubject: Headerless mail from [^\n]*\n\n")
        got = [b"" if daemon.fullmatch(octets) else octets for octets in self.read_all(out)]
        want = [(n, lf(m) + b"\n" if n == "header-only" else lf(m)) for n, m in zip(self.names, self.messages)]
        self.compare_all(got, want)

    # --- mutt ---

    @harness.needs_root
    @unittest.skipUnless(shutil.which("mutt"), "no mutt")
    def test_mutt(self):
        # it loses what stands behind a NUL, and stops copying at a message of no octets
        user = self.box("nul", "empty")
        for kind in self.each_kind():
            out = self.maildir_folder(user, "mutt-" + kind)
            conf = self.private(user, "muttrc", "\n".join([
                "set folder=%s" % user.home, "set mbox_type=Maildir", "set pop_pass=\"%s\"" % user.password, "set certificate_file=%s" % harness.world().certificate()[0],
                "set ssl_verify_host=no", "set ssl_starttls=%s" % ("yes" if kind == STLS else "no"), "set ssl_force_tls=%s" % ("no" if kind == PLAIN else "yes"),
                "set pop_delete=no", "set pop_reconnect=no", "set move=no", "set quit=yes", "set confirmappend=no", "set confirmcreate=no", "set header_cache=''", "set message_cachedir=''",
                "set wait_key=no", "set sort=mailbox-order", "set copy=no", "set delete=no", "set mark_old=no",
                'push "<tag-pattern>~A<enter><tag-prefix><copy-message>^U%s<enter><exit>"' % out.replace("@", "\\@")]) + "\n")
            url = "%s://%s@127.0.0.1:%d/" % ("pops" if kind == TLS else "pop", user.name, self.daemon.port(kind))
            self.terminal(["mutt", "-n", "-F", conf, "-f", url], user, out)
            self.compare_mutt(out)

    def terminal(self, arguments, user, out):
        """Run a full-screen program in a pseudo-terminal until it ends."""
        pid, fd = pty.fork()
        if pid == 0:
            try:
                termios.tcsetwinsize(0, (24, 80))
                os.setgroups([])
                os.setgid(user.gid)
                os.setuid(user.uid)
                os.chdir(user.home)
                os.execvpe(arguments[0], arguments, {"PATH": "/usr/bin:/bin", "HOME": user.home, "TERM": "vt100", "LC_ALL": "C"})
            finally:
                os._exit(127)
        screen, deadline = b"", time.monotonic() + 100
        try:
            while time.monotonic() < deadline:
                if not select.select([fd], [], [], 1)[0]:
                    continue
                try:
                    piece = os.read(fd, 65536)
                except OSError:
                    return
                if not piece:
                    return
                screen = (screen + piece)[-3000:]
            self.fail("it hangs; the screen: %r; %d files" % (screen[-800:], len(self.read_all(out))))
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(fd)

    def compare_mutt(self, out):
        # it ends each header with two fields of its own (one counts its pieces of a long line as lines) and a blank line
        count = re.compile(rb"(\nContent-Length: \d+\nLines: )\d+(?=\n\n)")
        got = [count.sub(rb"\1N", octets, count=1) for octets in self.read_all(out)]
        want = []
        for name, stored in zip(self.names, self.messages):
            header, _, body = lf(stored).partition(b"\n\n")
            header = header.rstrip(b"\n")
            want.append((name, header + b"\nContent-Length: %d\nLines: N\n\n" % len(body) + body))
        self.compare_all(got, want)


if __name__ == "__main__":
    unittest.main()


def blame(reply):
    """What Claws and Sylpheed take a refused login for; a wrong password is asked for anew and forgotten."""
    if any(word in reply for word in (b"lock", b"Lock", b"LOCK", b"wait")):
        return "mailbox"
    return "server" if b"timeout" in reply.lower() else "password"


class Refusals(ClientCase):
    """Clients decide by the words of a reply who is to blame; what they show is the reply."""

    settings = None
    limit = 120
    FETCHMAIL = {"password": 3, "mailbox": 9, "server": 14}

    def servers(self, **auth):
        return {name: {"addresses": ["127.0.0.1"], "port": harness.free_port(), "socket": "plain", "cleartext_login": "always", **keys} for name, keys in auth.items()}

    def refusal(self, port, user, password):
        """The server's own words to such a client."""
        lines = []
        with contextlib.closing(socket.create_connection(("127.0.0.1", port), 20)) as s, s.makefile("rb") as reader:
            for line in (None, b"USER " + user.name_octets, b"PASS " + password):
                if line is not None:
                    s.sendall(line + b"\r\n")
                lines.append(reader.readline().rstrip(b"\r\n"))
                if lines[-1].startswith(b"-ERR"):
                    return lines[-1]
        self.fail("not refused: %r" % lines)

    def fetchmail(self, port, user, password):
        conf = self.private(user, "fetchmailrc", "set invisible\npoll localhost protocol POP3 port %d\n user '%s' password '%s' is '%s' here\n sslproto ''\n"
                            " mda '/bin/false'\n" % (port, user.name, password.decode(), user.name))
        return self.run_client(["fetchmail", "-v", "-v", "-f", conf, "--nosyslog", "--pidfile", user.home + "/fetchmail.pid", "--nodetach"], user=user, allowed=range(64))

    def mpop(self, port, user, password):
        conf = self.private(user, "mpoprc", "\n".join(["account x", "host 127.0.0.1", "port %d" % port, "user " + user.name, 'password "%s"' % password.decode(), "auth user",
                                                       "tls off", "uidls_file %s/uidls" % user.home, "delivery maildir " + self.maildir_folder(user, "mpop")]) + "\n")
        return self.run_client(["mpop", "-C", conf, "x"], user=user, allowed=(76, 77))

    def getmail(self, port, user, password):
        folder = self.folder(user, "getmailrc.d")
        self.private(user, "getmailrc.d/rc", "\n".join([
            "[retriever]", "type = SimplePOP3Retriever", "server = 127.0.0.1", "port = %d" % port, "username = " + user.name, "password = " + password.decode(),
            "[destination]", "type = Maildir", "path = %s/" % self.maildir_folder(user, "getmail")]) + "\n")
        return self.run_client(["getmail", "--getmaildir", folder, "--rcfile", "rc"], user=user, allowed=(127,))

    def check(self, whose, code, port, user, password=None):
        password = password or user.password_octets
        reply = self.refusal(port, user, password)
        self.assertTrue(reply.startswith(b"-ERR " + code), reply)
        self.assertEqual(blame(reply), whose, reply)
        for client in (self.fetchmail, self.mpop, self.getmail):
            with self.subTest(client=client.__name__, reply=reply):
                done = client(port, user, password)
                if client == self.fetchmail:
                    self.assertEqual(done.returncode, self.FETCHMAIL[whose], (done.stdout + done.stderr)[-1500:])
                # since when and from where may differ between two connections
                self.assertIn(re.sub(rb" since .*", b"", reply), done.stdout + done.stderr)

    @unittest.skipUnless(harness.have("fetchmail", "getmail", "mpop"), "no fetchmail, getmail or mpop")
    def test_RSP_who_is_to_blame_for_a_refused_login(self):
        user = self.user(mailbox.simple(1))
        module = harness.pam_service("auth required pam_p3t_missing.so\naccount required pam_permit.so\n")
        servers = self.servers(clear={}, down={"auth": "file:/nonexistent/users"}, module={"auth": "pam:" + module}, never={"cleartext_login": "never"},
                               nobox={"storage": "mbox:%h"})
        daemon = self.own_daemon(servers=servers)
        port = {name: keys["port"] for name, keys in servers.items()}
        self.check("password", b"[AUTH] wrong user name or password", port["clear"], user, b"not-this-one")
        self.check("password", b"login without TLS", port["never"], user)
        self.check("server", b"[SYS/TEMP] ", port["down"], user)
        self.check("server", b"[SYS/PERM] ", port["module"], user)
        self.check("server", b"[SYS/PERM] ", port["nobox"], user)
        holder = self.session(user, daemon=daemon)
        self.check("mailbox", b"[IN-USE] ", port["clear"], user)
        holder.quit()

    @harness.needs_root
    @unittest.skipUnless(harness.have("fetchmail", "getmail", "mpop"), "no fetchmail, getmail or mpop")
    def test_RSP_who_is_to_blame_for_a_refused_connection(self):
        user = self.user()
        servers = self.servers(clear={})
        daemon = self.own_daemon(servers=servers, max_connections_per_address=1)
        self.assertTrue(harness.wait_for(lambda: self.connected(daemon)), "no place for the first connection")
        self.check("server", b"[SYS/TEMP] ", servers["clear"]["port"], user)

    def connected(self, daemon):
        with contextlib.suppress(AssertionError, OSError):  # the probes of the start may still be leaving
            return self.connect(daemon=daemon)
        return None
