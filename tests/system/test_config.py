"""The configuration: every kind of wrong setting, pop3d -t, -T, -V, and reload."""

import os
import re
import signal
import socket
import subprocess
import time
import unittest

import harness
import mailbox
from client import TestCase
from harness import PLAIN, TLS

MESSAGES = mailbox.simple(2)

# (a line that is wrong, a word that its message must hold besides "expected")
WRONG = [
    ('nonsense = 1', "nonsense"),
    ('login_worker = 2', "login_worker"),
    ('login_workers = 0', "login_workers"),
    ('login_workers = -1', "login_workers"),
    ('login_workers = two', "login_workers"),
    ('login_workers = 1.5', "login_workers"),
    ('login_workers = 99999999999999999999', "login_workers"),
    ('login_workers = "2x"', "login_workers"),
    ('login_workers =', None),
    ('login_workers 2', None),
    ('worker_connections = 0', "worker_connections"),
    ('auth_children = 0', "auth_children"),
    ('max_connections = 0', "max_connections"),
    ('max_connections = 4294967297', "max_connections"),
    ('login_timeout = "soon"', "login_timeout"),
    ('idle_timeout = -5', "idle_timeout"),
    ('auth_deadline = 0', "auth_deadline"),
    ('minimum_uid = x', "minimum_uid"),
    ('pam_session = maybe', "pam_session"),
    ('trace = 7', "trace"),
    ('missing_maildir = "perhaps"', "missing_maildir"),
    ('takeover = "on"', "takeover"),
    ('session_memory = 15', "session_memory"),
    ('max_sessions_per_user = 0', "max_sessions_per_user"),
    ('max_sessions_per_user = 100001', "max_sessions_per_user"),
    ('takeover = 0', "takeover"),
    ('last_logins = 0', "last_logins"),
    ('last_logins = "3651d"', "last_logins"),
    ('takeover = 86401', "takeover"),
    ('sandbox = "sometimes"', "sandbox"),
    ('log = "paper"', "log"),
    ('log_level = "loud"', "log_level"),
    ('ps_titles = "some"', "ps_titles"),
    ('login_user = ""', "login_user"),
    ('login_user = "a b"', "login_user"),
    ('runtime_dir = "run"', "runtime_dir"),
    ('certificate = "cert.pem"', "certificate"),
    ('auth = "pam"', "auth"),
    ('auth = "pam:"', "auth"),
    ('auth = "pam:../x"', "auth"),
    ('auth = "magic:x"', "auth"),
    ('auth = "any:"', "auth"),  # of one-user mode only
    ('storage = "archive:/srv"', "storage"),
    ('storage = "maildir"', "storage"),
    ('storage = "maildir:relative"', "storage"),
    ('storage = "mailbox:%h"', "storage"),
    ('storage = "maildir:/x/%q"', "storage"),
    ('storage = "maildir:/x/%"', "storage"),
    ('mbox_format = "mbx"', "mbox_format"),
    ('username_fold = "upper"', "username_fold"),
    ('username_domain = ""', "username_domain"),
    ('username_domain = "@example.org"', "username_domain"),
    ('username_domain = "-example.org"', "username_domain"),
    ('mbox_split = "loose"', "mbox_split"),
    ('mbox_journal = "journals"', "mbox_journal"),
    ('cleartext_login = "sure"', "cleartext_login"),
    ('login_workers = 2\nlogin_workers = 3', "login_workers"),
    ('port = 110', "port"),
    ('server s { port = 0 }', "port"),
    ('server s { port = 65536 }', "port"),
    ('server s { port = "pop3" }', "port"),
    ('server s { socket = "udp" }', "socket"),
    ('server s { addresses = {"localhost"} }', "addresses"),
    ('server s { addresses = {"127.0.0.1.2"} }', "addresses"),
    ('server s { addresses = {} }', "addresses"),
    ('server s { login_workers = 2 }', "login_workers"),
    ('server s { colour = "red" }', "colour"),
    ('server "a b" { port = 1100 }', "server"),
    ('server { port = 1100 }', None),
    ('server s { port = 1100', None),
    ('server s { port = 1100 } }', None),
    ('}', None),
    ('login_user = "unclosed', None),
    ('{', None),
    ('= 3', None),
    ('server a { port = 1100 }\nserver a { port = 1101 }', "server"),
    ('server a { port = 1100 }\nserver b { port = 1100 }', "1100"),
    ('\x01', None),
]


def run(*arguments):
    return subprocess.run([harness.program(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)


class Checks(TestCase):
    settings = None

    def setUp(self):
        super().setUp()
        self.path = harness.world().path("check.conf")
        self.certificate, self.key = harness.world().certificate()

    def write(self, text):
        with open(self.path, "w") as f:
            f.write(text)

    def good_head(self):
        return 'certificate = "%s"\ncertificate_key = "%s"\n' % (self.certificate, self.key)

    def test_wrong_settings_name_file_line_and_what_was_expected(self):
        for wrong, word in WRONG:
            with self.subTest(wrong=wrong):
                head = "# a comment\n\n" if wrong.startswith("certificate") else "# a comment\n" + self.good_head()
                self.write(head + wrong + "\n# behind it\n")
                first = head.count("\n") + 1
                lines = range(first, first + wrong.count("\n") + 3)
                done = run("-t", "-c", self.path)
                text = done.stderr.decode()
                self.assertNotEqual(done.returncode, 0, text)
                self.assertGreater(done.returncode, 0)
                found = re.search(r"^(?:pop3d: )?%s:(\d+): (.*)$" % re.escape(self.path), text, re.M)
                self.assertTrue(found, text)
                self.assertIn(int(found.group(1)), lines, text)
                self.assertIn("expected", text)
                if word:
                    self.assertIn(word, text)

    def test_every_fault_is_named_in_one_run(self):
        self.write(self.good_head() + 'login_workers = 0\nnonsense = 1\nsandbox = "x"\n')
        text = run("-t", "-c", self.path).stderr.decode()
        for line, word in ((3, "login_workers"), (4, "nonsense"), (5, "sandbox")):
            self.assertRegex(text, r"(?m)^.*:%d: .*%s" % (line, word))

    def test_a_wrong_setting_stops_the_start(self):
        self.write(self.good_head() + "login_workers = 0\n")
        done = run("-F", "-e", "-c", self.path)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"login_workers", done.stderr)

    def test_missing_file_and_directory(self):
        for path in ("/nonexistent/pop3d.conf", harness.world().dir):
            done = run("-t", "-c", path)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(path, done.stderr.decode())

    def test_binary_file(self):
        with open(self.path, "wb") as f:
            f.write(bytes(range(256)) * 40)
        done = run("-t", "-c", self.path)
        self.assertGreater(done.returncode, 0)
        self.assertIn(self.path + ":", done.stderr.decode("latin-1"))

    def test_good_files(self):
        for text in ("", "# nothing\n", "idle_timeout = 600\n", "login_workers = 4 # trailing\n", 'server a {\n port = 1100\n socket = "plain"\n}\n',
                     'server a { port = 1100 socket = "tls" }\nserver b { port = 1101 addresses = {"127.0.0.1", "::1"} }\n'):
            with self.subTest(text=text):
                self.write(self.good_head() + 'log = "stderr"\n' + text)  # whatever takes the log here
                done = run("-t", "-c", self.path)
                self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_CON_05_short_idle_timeout_is_a_warning(self):
        self.write(self.good_head() + "idle_timeout = 2\n")
        done = run("-t", "-c", self.path)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"600", done.stderr)
        self.assertIn(b"idle_timeout", done.stderr)

    def checked(self, text):
        """pop3d -t: its status, standard output and standard error."""
        self.write(text)
        done = run("-t", "-c", self.path)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    @harness.needs_root
    def test_what_a_start_needs(self):
        server = 'log = "stderr"\nserver a { port = %d socket = "tls" }\n' % harness.free_port()
        status, out, err = self.checked(self.good_head() + server)
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"(?m)\Acertificate %s: valid for \d+ days\n%s: good\n\Z" % (re.escape(self.certificate), re.escape(self.path)))
        other = harness.make_certificate(harness.world().dir, "check-other", key="ec")
        missing = harness.world().path("no-such-file")
        for text, fault in (('certificate = "%s"\ncertificate_key = "%s"\n' % (self.certificate, other[1]) + server, "%s does not belong to certificate" % other[1]),
                            ('certificate = "%s"\ncertificate_key = "%s"\n' % (missing, self.key) + server, "certificate %s: No such file" % missing),
                            (self.good_head() + 'tls_ciphers = "NONE-SUCH"\n' + server, "no cipher of this list"),
                            (self.good_head() + 'login_user = "p3t-nobody"\n' + server, 'no usable system user "p3t-nobody"'),
                            (self.good_head() + 'auth_user = "root"\n' + server, 'no usable system user "root"'),
                            (self.good_head() + 'control_group = "p3t-no-such-group"\n' + server, 'control_group "p3t-no-such-group"'),
                            (self.good_head() + 'server a { port = 1 addresses = { "192.0.2.1" } socket = "plain" }\n', "192.0.2.1:1: Cannot assign requested address")):
            with self.subTest(fault=fault):
                status, out, err = self.checked(text)
                self.assertEqual(status, 1, err)
                self.assertNotIn(": good", out)
                self.assertIn(fault, err)

    @harness.needs_root
    def test_every_thing_that_a_start_lacks_is_named_in_one_run(self):
        missing = harness.world().path("no-such-file")
        status, _, err = self.checked('certificate = "%s"\nlogin_user = "p3t-nobody"\nserver a { port = 1 addresses = { "192.0.2.1" } }\n' % missing)
        self.assertEqual(status, 1)
        for word in (missing, "p3t-nobody", "192.0.2.1:1"):
            self.assertIn(word, err)

    @harness.needs_root
    def test_a_port_that_is_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            status, _, err = self.checked(self.good_head() + 'log = "stderr"\nruntime_dir = "%s"\nserver a { port = %d addresses = { "127.0.0.1" } socket = "plain" }\n' % (harness.world().path("none-runs"), port))
            self.assertEqual(status, 0, err)
            self.assertRegex(err, r"\Awarning: server a: 127\.0\.0\.1:%d: Address already in use by [^,]+, pid %d\n\Z" % (port, os.getpid()))
        daemon = self.own_daemon()  # its own ports are no news
        done = run("-t", "-c", daemon.conf_path)
        self.assertEqual(done.returncode, 0)
        self.assertNotIn(b"in use", done.stderr)

    def test_no_certificate(self):
        self.write('server a { port = 1100 socket = "plain" }\n')
        done = run("-t", "-c", self.path)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_CON_01_print_effective_settings(self):
        self.write(self.good_head())
        done = run("-T", "-c", self.path)
        self.assertEqual(done.returncode, 0, done.stderr)
        text = done.stdout.decode()
        for line in ("login_workers = 2", "worker_connections = 4096", "auth_children = 4", "session_spares = 4", "max_connections = 2000", "max_connections_per_address = 50",
                     "max_connections_per_network = 500", "max_connections_per_site = 1000", 'trusted_networks = ""', "max_connections_before_login = 500",
                     "session_memory = 256", "login_timeout = 60", "password_timeout = 300", "handshake_timeout = 30", "idle_timeout = 600", "shutdown_timeout = 30", "max_auth_failures = 6", "auth_deadline = 30",
                     "auth_failure_delay = 1000", "auth_failure_window = 300", "auth_failures_per_user = 20", "auth_failures_per_source = 100", "auth_account_delay = 5000", "minimum_uid = 1000",
                     'missing_maildir = "empty"', 'takeover = "off"', "last_logins = 31536000", 'sandbox = "on"', 'ps_titles = "role"', 'log = "syslog"', 'log_level = "info"',
                     'login_user = "_pop3d"', 'auth_user = "_pop3auth"', "port = 995", "port = 110", 'socket = "tls"', 'socket = "plain+stls"', 'cleartext_login = "loopback"',
                     'auth = "pam:pop3d"', 'username_fold = "no"', 'username_domain = "keep"', 'storage = "maildir:%h/Maildir"',
                     'max_sessions_per_user = 100', 'mbox_format = "mboxrd"', 'mbox_split = "strict"', 'mbox_journal = ""'):
            self.assertRegex(text, r"(?m)^\s*%s\s*(#.*)?$" % re.escape(line).replace("\\ =\\ ", r"\s*=\s*"), line)

    def test_print_round_trip(self):
        self.write(self.good_head() + 'login_workers = 3\npam_session = yes\nstorage = "maildir:/v/%d/%n"\ntls_ciphers = "ECDHE+AESGCM"\n'
                   'server one { addresses = {"127.0.0.1", "::1"} port = 1100 socket = "plain" auth = "pam:other" }\nserver two { port = 1101 cleartext_login = "never" mbox_format = "mboxcl2" mbox_split = "lax" mbox_journal = "/var/spool/j" username_fold = "lower" username_domain = "example.org" }\n')
        first = run("-T", "-c", self.path)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.write(first.stdout.decode())
        second = run("-T", "-c", self.path)
        self.assertEqual((second.returncode, second.stderr), (0, b""))
        self.assertEqual(second.stdout, first.stdout)
        self.assertIn(b'"maildir:/v/%d/%n"', second.stdout)
        self.assertRegex(second.stdout, rb'(?s)server "two" .*mbox_format = "mboxcl2"')

    def test_version_and_usage(self):
        for asked in ("-V", "--version"):
            done = run(asked)
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stdout, rb"\Apop3d \d+\.\d+\S*\n\Z")
        for asked in ("-h", "--help"):
            done = run(asked)
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stdout, rb"\Ausage: pop3d ")
        for wrong in (["-x"], ["surplus"], ["-c"]):
            done = run(*wrong)
            self.assertGreater(done.returncode, 0)
            self.assertIn(b"usage: pop3d", done.stderr)


class Reload(TestCase):
    settings = None

    def test_broken_file_keeps_the_daemon_working(self):
        daemon = self.own_daemon()
        user = self.user(MESSAGES)
        client = self.session(user, TLS, daemon)
        with open(daemon.conf_path) as f:
            good = f.read()
        for wrong, _ in WRONG[:6] + WRONG[-8:]:
            mark = len(daemon.log())
            with open(daemon.conf_path, "w") as f:
                f.write(good + wrong + "\n")
            daemon.send_signal(signal.SIGHUP)
            daemon.log_wait(re.escape(daemon.conf_path) + r":\d+: ", since=mark)
            self.assertIsNone(daemon.process.poll())
            client.ok(b"NOOP")
            self.connect(TLS, daemon).quit()
        os.unlink(daemon.conf_path)
        daemon.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        self.connect(PLAIN, daemon).quit()
        client.quit()
        self.session(user, PLAIN, daemon).quit()

    def test_reload_takes_new_settings(self):
        daemon = self.own_daemon()
        user = self.user(MESSAGES)
        client = self.session(user, TLS, daemon)
        waiting = self.connect(PLAIN, daemon)
        daemon.servers["clear"]["cleartext_login"] = "never"
        daemon.write_conf(login_workers=3)
        daemon.reload()
        self.assertNotIn(b"USER", self.connect(PLAIN, daemon).listing(b"CAPA"))
        self.assertTrue(harness.wait_for(lambda: len(daemon.role("pop3d-login")) >= 3, 5))
        client.ok(b"NOOP")
        self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
        waiting.ok(b"QUIT")
        client.quit()

    def test_reload_changes_ports(self):
        daemon = self.own_daemon()
        user = self.user(MESSAGES)
        client = self.session(user, PLAIN, daemon)
        old = daemon.port(PLAIN)
        daemon.servers["clear"]["port"] = harness.free_port()
        daemon.servers["third"] = {"addresses": ["127.0.0.1"], "port": harness.free_port(), "socket": "plain"}
        daemon.write_conf()
        daemon.reload()
        daemon.wait_ready(10)
        with self.assertRaises(OSError):
            harness.socket.create_connection(("127.0.0.1", old), 2)
        client.ok(b"NOOP")
        client.quit()
        self.session(user, PLAIN, daemon).quit()

    def test_many_reloads_lose_nothing(self):
        daemon = self.own_daemon()
        user = self.user(MESSAGES)
        client = self.session(user, TLS, daemon)
        for _ in range(8):
            daemon.send_signal(signal.SIGHUP)
            time.sleep(0.15)
            self.connect(TLS, daemon).quit()
        client.ok(b"NOOP")
        client.quit()
        self.session(user, PLAIN, daemon).quit()
        self.assertTrue(harness.wait_for(lambda: len(daemon.role("pop3d-login")) <= 2, 10), "old generations stay")

    def test_old_generation_serves_its_connections(self):
        daemon = self.own_daemon()
        user = self.user(MESSAGES)
        plain, tls = self.connect(PLAIN, daemon), self.connect(TLS, daemon)
        daemon.reload()
        plain.login(user)
        plain.quit()
        tls.login(user)
        self.assertEqual(tls.multi(b"RETR 2"), mailbox.wire(MESSAGES[1]))
        tls.quit()
        self.assertTrue(harness.wait_for(lambda: len(daemon.role("pop3d-login")) <= 2, 10))


class Starts(TestCase):
    settings = None

    def test_addresses(self):
        port = harness.free_port()
        daemon = self.own_daemon(servers={"all": {"addresses": ["*"], "port": port, "socket": "plain"}})
        for address in ("127.0.0.1", "127.0.0.5"):
            self.connect(PLAIN, daemon, address=(address, port)).quit()
        if os.path.exists("/proc/net/if_inet6"):
            user = self.user(MESSAGES)
            mark = len(daemon.log())
            client = self.connect(PLAIN, daemon, address=("::1", port))
            client.login(user)
            client.quit()
            self.assertTrue(daemon.log_fields("login", since=mark, user=user.name)["peer"].strip('"').startswith("[::1]:"))

    def test_port_in_use(self):
        daemon = self.own_daemon()
        other = harness.Daemon(servers=dict(daemon.servers), start=False)
        done = subprocess.run([harness.program(), "-F", "-e", "-c", other.conf_path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
        self.assertGreater(done.returncode, 0)
        self.assertIn(str(daemon.port(PLAIN)).encode(), done.stdout)
        self.connect(PLAIN, daemon).quit()

    @harness.needs_root
    def test_missing_account_for_a_role(self):
        other = harness.Daemon(start=False, login_user="p3t-nobody-here")
        done = subprocess.run([harness.program(), "-F", "-e", "-c", other.conf_path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
        self.assertGreater(done.returncode, 0)
        self.assertIn(b"p3t-nobody-here", done.stdout)

    def test_certificate_that_cannot_be_used(self):
        folder = harness.world().dir
        cert, key = harness.world().certificate()
        nonsense = os.path.join(folder, "nonsense.pem")
        with open(nonsense, "w") as f:
            f.write("nonsense\n")
        fifo = os.path.join(folder, "fifo.pem")  # who opens it waits for somebody who writes
        os.mkfifo(fifo)
        other, other_key = harness.make_certificate(folder, "otherpair")
        for pair in ((fifo, key), (cert, fifo), (nonsense, key), (cert, nonsense), ("/nonexistent", key), (cert, "/nonexistent"), (cert, other_key), (other, key)):
            with self.subTest(pair=pair):
                daemon = harness.Daemon(start=False, certificate=pair[0], certificate_key=pair[1])
                done = subprocess.run([harness.program(), "-F", "-e", "-c", daemon.conf_path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
                self.assertGreater(done.returncode, 0)
                self.assertRegex(done.stdout, rb"(?i)certificate|key|nonsense|nonexistent")
                if fifo in pair:
                    self.assertIn(b"fifo.pem is not a regular file", done.stdout)

    def background(self, daemon, *arguments):
        return subprocess.run([harness.program(), *arguments, "-c", daemon.conf_path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=30, text=True)

    def masters(self, daemon):
        # this program is a subreaper, so a daemon whose parent has ended is its child
        return [pid for pid in harness.descendants(os.getpid()) if harness.executable(pid) == "pop3d" and daemon.conf_path in harness.command_line(pid)]

    def stop(self, daemon):
        """Every process of the daemon in the background ends after TERM."""
        (master,) = self.masters(daemon)
        known = [(pid, harness.start_time(pid)) for pid in [master] + harness.descendants(master)]
        try:
            os.kill(master, signal.SIGTERM)
            self.assertTrue(harness.wait_for(lambda: not harness.Daemon.alive(known), 10))
        finally:
            for pid, _ in harness.Daemon.alive(known):
                os.kill(pid, signal.SIGKILL)

    @harness.needs_root
    def test_background(self):
        for arguments in ((), ("-e",)):
            daemon = harness.Daemon(start=False)
            done = self.background(daemon, *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            (master,) = self.masters(daemon)
            pid_file = os.path.join(daemon.settings["runtime_dir"], "pop3d.pid")
            with open(pid_file) as f:
                self.assertEqual(int(f.read()), master)
            self.connect(TLS, daemon).quit()  # it served when the parent ended
            self.assertNotEqual(os.getsid(master), os.getsid(0))
            self.assertEqual({os.readlink("/proc/%d/fd/%d" % (master, fd)) for fd in range(3)}, {"/dev/null"})
            self.stop(daemon)
            self.assertFalse(os.path.exists(pid_file))

    @harness.needs_root
    def test_background_tells_why_it_failed(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen(1)
            port = taken.getsockname()[1]
            faults = (
                ({"port": port}, {}, "cannot listen on 127.0.0.1:%d: Address already in use" % port),
                ({}, {"certificate": "/nonexistent"}, "/nonexistent"),
                ({}, {"auth": "pam:pop3d-none"}, "the PAM service has no file"),
                ({}, {"login_user": "nobody-here"}, 'no usable system user "nobody-here"'),
                ({}, {"runtime_dir": "/nonexistent/run"}, "runtime_dir /nonexistent/run: No such file or directory"),
            )
            for server, settings, why in faults:
                for arguments in ((), ("-e",)):
                    daemon = harness.Daemon(start=False, **settings)
                    daemon.servers["clear"].update(server)
                    daemon.write_conf()
                    done = self.background(daemon, *arguments)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(why, done.stderr)

    @harness.needs_root
    def test_background_can_be_tried_again_at_once(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen(1)
            daemon = harness.Daemon(start=False)
            daemon.servers["clear"]["port"] = taken.getsockname()[1]
            daemon.write_conf()
            for _ in range(5):
                done = self.background(daemon)
                self.assertEqual(done.returncode, 1)
                self.assertIn("Address already in use", done.stderr)
                self.assertNotIn("another pop3d runs", done.stderr)
        self.assertEqual(self.background(daemon).returncode, 0)
        self.assertIn("another pop3d runs", self.background(daemon).stderr)
        self.stop(daemon)

    @harness.needs_root
    def test_a_second_master_leaves_the_pid_file(self):
        first = self.own_daemon()
        second = harness.Daemon(start=False, runtime_dir=first.settings["runtime_dir"])
        refused = self.background(second)
        self.assertIn("another pop3d runs", refused.stderr)
        self.assertTrue(os.path.exists(os.path.join(first.settings["runtime_dir"], "pop3d.pid")))  # not its to remove


class Manual(unittest.TestCase):
    def test_sample_configuration_is_good(self):
        sample = os.path.join(harness.HERE, "../../etc/pop3d.conf")
        if not os.path.exists(sample):
            self.skipTest("no source tree")
        with open(sample) as f:
            text = f.read()
        path = harness.world().path("sample.conf")
        cert, key = harness.world().certificate()
        # every setting that is commented out is given its default by hand
        live = re.sub(r"(?m)^#(?=[a-z_\t}])", "", text)
        live = live.replace("/etc/pop3d/cert.pem", cert).replace("/etc/pop3d/key.pem", key)
        with open(path, "w") as f:
            f.write(live)
        done = run("-T", "-c", path)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        with open(path, "w") as f:
            f.write('certificate = "%s"\ncertificate_key = "%s"\n' % (cert, key))
        self.assertEqual(run("-T", "-c", path).stdout, done.stdout)
