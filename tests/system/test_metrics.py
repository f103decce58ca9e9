"""pop3ctl metrics, and the totals of status."""

import grp
import os
import re
import signal
import socket
import subprocess
import time

import harness
import mailbox
from client import PLAIN, TLS, TestCase
from control import FAILED, UNREACHABLE, USAGE, Control

SAMPLE = re.compile(r'^([a-z0-9_]+)(\{[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\[\\"n])*")*\})? ([0-9.]+|\+Inf)$')


def parse(text):
    """The samples by name and labels, after what Prometheus asks of the text: each family has HELP
    and TYPE once, before its samples, and a counter's name ends in _total."""
    samples, types, helped = {}, {}, set()
    family = None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in helped, line
            helped.add(family)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and name not in types, line
            assert (kind == "counter") == name.endswith("_total"), line
            types[name] = kind
        else:
            match = SAMPLE.match(line)
            assert match, line
            name = match[1]
            if types[family] == "histogram":
                assert name in (family + "_bucket", family + "_sum", family + "_count"), line
            else:
                assert name == family, line
            assert name + (match[2] or "") not in samples, line
            samples[name + (match[2] or "")] = float(match[3])
    return samples


class Metrics(TestCase):
    def metrics(self, daemon):
        text = Control(daemon).done("metrics")
        return parse(text), text

    def test_counts_are_what_clients_did(self):
        daemon = self.own_daemon()
        user = self.user(mailbox.simple(3))
        before, _ = self.metrics(daemon)
        client = self.session(user, TLS, daemon)
        client.multi(b"RETR 1")
        client.multi(b"RETR 2")
        client.ok(b"DELE 1")
        now, _ = self.metrics(daemon)
        self.assertEqual(now['pop3d_connections{state="session"}'], 1)
        client.quit()
        client = self.connect(PLAIN, daemon)
        client.try_login(b"nobody-here", b"x")
        client.quit()

        def ended():
            now, _ = self.metrics(daemon)
            return all(now[k] > before[k] for k in ('pop3d_sessions_ended_total{reason="quit"}',
                                                    'pop3d_tls_connections_total{version="TLSv1.3"}',
                                                    'pop3d_connections_ended_before_login_total{reason="quit"}'))
        self.assertTrue(harness.wait_for(ended))
        now, text = self.metrics(daemon)
        self.assertEqual(set(now), set(before))
        self.assertEqual([now["pop3d_%s_seconds_count" % k] for k in ("login_check", "login_check_wrong", "login_open", "update")], [1, 1, 1, 1])
        self.assertLess(now["pop3d_login_check_seconds_sum"] + now["pop3d_login_open_seconds_sum"] + now["pop3d_update_seconds_sum"], 120)
        grown = {k: now[k] - before[k] for k in now if k.split("{")[0].endswith("_total") and now[k] != before[k]}
        self.assertEqual(grown, {
            "pop3d_connections_accepted_total": 2,
            'pop3d_connections_ended_before_login_total{reason="quit"}': 1,
            'pop3d_logins_total{result="ok",mechanism="USER"}': 1,
            'pop3d_logins_total{result="auth",mechanism="USER"}': 1,
            'pop3d_sessions_ended_total{reason="quit"}': 1,
            'pop3d_tls_connections_total{version="TLSv1.3"}': 1,
            "pop3d_messages_retrieved_total": 2,
            "pop3d_messages_retrieved_bytes_total": sum(mailbox.size(m) for m in mailbox.simple(2)),
            "pop3d_messages_deleted_total": 1,
            'pop3d_index_opens_total{result="rebuilt"}': 1,
        })
        self.assertGreater(now["pop3d_worker_resident_memory_bytes"], 100000)
        self.assertTrue([k for k in now if k.startswith("pop3d_certificate_not_after")])
        for private in (user.name, "127.0.0.1", "::1", "nobody-here"):
            self.assertNotIn(private, text)

    def grown(self, daemon, before, ends):
        """What `before` has become when so many sessions more have ended: values that are not the same."""
        def ended():
            now, _ = self.metrics(daemon)
            return sum(now[k] - before[k] for k in now if k.startswith("pop3d_sessions_ended_total")) == ends
        self.assertTrue(harness.wait_for(ended))
        now, _ = self.metrics(daemon)
        return {k: now[k] - before[k] for k in now if re.match("pop3d_(index|deletions|login_check_wrong_seconds_count|messages_deleted)", k) and now[k] != before[k]}

    def test_how_the_index_was_found(self):
        daemon = self.own_daemon()
        user = self.user(mailbox.simple(3))
        time.sleep(mailbox.SETTLED)
        before, _ = self.metrics(daemon)
        for _ in range(3):
            self.session(user, TLS, daemon).quit()
        self.assertEqual(self.grown(daemon, before, 3), {'pop3d_index_opens_total{result="rebuilt"}': 1, 'pop3d_index_opens_total{result="current"}': 2})
        before, _ = self.metrics(daemon)
        user.maildir.fill(mailbox.simple(1))
        self.session(user, PLAIN, daemon).quit()
        self.assertEqual(self.grown(daemon, before, 1), {'pop3d_index_opens_total{result="rebuilt"}': 1})

    def test_deletions_that_do_not_happen(self):
        daemon = self.own_daemon()
        user = self.user(mailbox.simple(3))
        time.sleep(mailbox.SETTLED)
        self.session(user, PLAIN, daemon).quit()
        self.assertTrue(harness.wait_for(lambda: Control(daemon).json("status")["sessions_ended"] == 1))
        index = {'pop3d_index_opens_total{result="current"}': 1}
        before, _ = self.metrics(daemon)
        client = self.session(user, PLAIN, daemon)
        for line in b"DELE 1", b"DELE 2", b"RSET", b"DELE 3", b"DELE 2":
            client.ok(line)
        client.close()
        self.assertEqual(self.grown(daemon, before, 1), {**index, "pop3d_deletions_undone_total": 2})
        # of a session that is killed its scoreboard tells
        before, _ = self.metrics(daemon)
        client = self.session(user, PLAIN, daemon)
        client.ok(b"DELE 1")
        os.kill(daemon.session_of(user)[0], signal.SIGKILL)
        self.assertEqual(self.grown(daemon, before, 1), {**index, "pop3d_deletions_undone_total": 1})
        # a mailbox that cannot be written
        before, _ = self.metrics(daemon)
        client = self.session(user, PLAIN, daemon)
        for line in b"DELE 1", b"DELE 2":
            client.ok(line)
        for name in "cur", "new":
            os.chmod(os.path.join(user.maildir.path, name), 0o500)
        client.err(b"QUIT")
        grown = self.grown(daemon, before, 1)
        for name in "cur", "new":
            os.chmod(os.path.join(user.maildir.path, name), 0o700)
        self.assertEqual(grown, {**index, "pop3d_deletions_failed_total": 2})

    def test_wrong_passwords_that_are_not_checked(self):
        daemon = self.own_daemon(auth_failures_per_user=1, auth_failure_delay=0)
        user = self.user(mailbox.simple(1))
        before, _ = self.metrics(daemon)
        for _ in range(2):
            client = self.connect(PLAIN, daemon)
            client.try_login(user, b"wrong")
            client.quit()
        now, _ = self.metrics(daemon)
        self.assertEqual(now["pop3d_logins_throttled_total"], 1)
        self.assertEqual(now["pop3d_login_check_wrong_seconds_count"], 1)

    def test_rules_and_dashboard_ask_for_what_is_printed(self):
        """A metric that is none makes a rule that never fires, and an empty panel."""
        now, _ = self.metrics(self.own_daemon())
        names = {k.split("{")[0] for k in now}
        for name in "pop3d.rules.yml", "grafana.json":
            with open(os.path.join(os.path.dirname(__file__), "../../etc/prometheus", name)) as f:
                asked = re.findall(r"\bpop3d_[a-z_]+", f.read())
            self.assertGreater(len(asked), 10)
            self.assertEqual(set(asked) - names, set(), name)

    def test_each_alert_has_a_case_in_which_it_fires(self):
        with open(os.path.join(os.path.dirname(__file__), "../../etc/prometheus/pop3d.rules.yml")) as f:
            alerts = re.findall(r"- alert: (\w+)", f.read())
        with open(os.path.join(os.path.dirname(__file__), "../../etc/prometheus/pop3d.rules.test.yml")) as f:
            fire = re.findall(r"alertname: (\w+)\n +exp_alerts:\n", f.read())
        self.assertGreater(len(alerts), 5)
        self.assertEqual(set(alerts) - set(fire), set())

    def test_status_has_totals(self):
        daemon = self.own_daemon()
        ctl = Control(daemon)
        before = ctl.json("status")
        self.session(self.user(mailbox.simple(1)), PLAIN, daemon).quit()
        self.assertTrue(harness.wait_for(lambda: ctl.json("status")["sessions_ended"] == 1))
        status = ctl.json("status")
        self.assertEqual((status["logins"], status["logins_failed"], status["connections_accepted"] - before["connections_accepted"]), (1, 0, 1))
        self.assertEqual(type(status["uptime"]), int)


class Socket(TestCase):
    """The socket of the right `metrics`."""

    def test_it_answers_nothing_but_metrics(self):
        daemon = self.own_daemon()
        control, metrics = Control(daemon), Control(daemon)
        metrics.path = os.path.join(os.path.dirname(control.path), "metrics")
        control.done("new", "x")
        parse(metrics.done("metrics"))
        for words in commands():
            with self.subTest(words=words):
                self.assertEqual(metrics.refused(FAILED, *words), 'this socket answers "metrics" only')
        self.assertEqual(metrics.refused(USAGE, "metrics", "x"), 'wrong # args: should be "pop3ctl metrics"')
        metrics.refused(USAGE, "nonsense")
        self.assertEqual(control.done("cget", "x", "-state"), "down")  # nobody has changed anything

    @harness.needs_root
    def test_metrics_group(self):
        member, stranger = self.user(), self.user()
        gid = harness.pwd.getpwnam(member.name).pw_gid
        daemon = self.own_daemon(metrics_group=grp.getgrgid(gid).gr_name)
        control, metrics = Control(daemon), Control(daemon)
        metrics.path = os.path.join(os.path.dirname(control.path), "metrics")
        self.assertEqual(os.stat(metrics.path).st_mode & 0o777, 0o660)
        own = {"user": member.uid, "group": member.gid, "extra_groups": []}
        parse(metrics.run("metrics", **own).out)
        self.assertEqual(metrics.run("metrics", user=stranger.uid, group=stranger.gid, extra_groups=[]).status, UNREACHABLE)
        self.assertEqual(control.run("metrics", **own).status, UNREACHABLE)

    def test_silent_clients_take_no_place_of_the_control_socket(self):
        daemon = self.own_daemon()
        control, metrics = Control(daemon), Control(daemon)
        metrics.path = os.path.join(os.path.dirname(control.path), "metrics")
        for _ in range(8):
            self.addCleanup(metrics.raw(30).close)
        self.assertEqual(metrics.run("metrics").status, UNREACHABLE)
        control.done("metrics")


class Exporter(TestCase):
    """pop3d-exporter."""

    settings = None

    def setUp(self):
        super().setUp()
        self.daemon_of_it = self.own_daemon()
        self.port = harness.free_port()
        self.base = "http://127.0.0.1:%d" % self.port

    def start(self, *arguments, metrics=None):
        metrics = metrics or os.path.join(os.path.dirname(Control(self.daemon_of_it).path), "metrics")
        exporter = subprocess.Popen([harness.program("pop3d-exporter"), "-s", metrics, *arguments], stderr=subprocess.PIPE)

        def end():
            exporter.kill()
            exporter.communicate()
        self.addCleanup(end)
        return exporter

    def listening(self, exporter):
        def look():
            self.assertIsNone(exporter.poll())
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                return False
            return True
        self.assertTrue(harness.wait_for(look, 30))

    def started(self, *arguments, **options):
        self.listening(self.start("-l", "127.0.0.1:%d" % self.port, *arguments, **options))

    def curl(self, *arguments):
        """The status, the fields of the answer and its body."""
        done = subprocess.run(["curl", "-sS", "-i", "--noproxy", "*", "--max-time", "30", *arguments], stdout=subprocess.PIPE, check=True)
        head, _, body = done.stdout.decode().partition("\r\n\r\n")
        status, *fields = head.split("\r\n")
        return int(status.split(" ")[1]), dict(f.lower().split(": ", 1) for f in fields), body

    def test_metrics_are_those_of_pop3ctl(self):
        self.started()
        status, fields, body = self.curl(self.base + "/metrics")
        self.assertEqual((status, fields["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.assertEqual(set(parse(body)), set(parse(Control(self.daemon_of_it).done("metrics"))))
        status, fields, body = self.curl("-H", "Accept: application/openmetrics-text;version=1.0.0", self.base + "/metrics")
        self.assertTrue(fields["content-type"].startswith("application/openmetrics-text; version=1.0.0"))
        self.assertIn("\n# TYPE pop3d_logins counter\npop3d_logins_total{", body)
        self.assertTrue(body.endswith("\n# EOF\n"))

    def test_refusals(self):
        self.started("-H", "mail.example")
        for status, arguments in ((403, ("-H", "Host: evil.example")), (400, ("-H", "Host:")), (405, ("-X", "POST")),
                                  (405, ("-X", "DELETE")), (404, ("--path-as-is", self.base + "/../etc/passwd")),
                                  (431, ("-H", "X: " + "x" * 20000)), (200, ("-H", "Host: mail.example:%d" % self.port))):
            with self.subTest(arguments=arguments[:1]):
                self.assertEqual(self.curl(*arguments, *([] if "--path-as-is" in arguments else [self.base + "/metrics"]))[0], status)
        status, fields, body = self.curl("-I", self.base + "/metrics")
        self.assertEqual((status, body), (200, ""))
        self.assertGreater(int(fields["content-length"]), 1000)

    def test_page(self):
        self.started()
        status, fields, body = self.curl(self.base + "/")
        self.assertEqual((status, fields["content-type"]), (200, "text/html; charset=utf-8"))
        self.assertIn("default-src 'none'", fields["content-security-policy"])
        self.assertEqual(body.count("<svg"), 4)
        self.assertNotRegex(body, r"<script|<link|<img|src=|https?:")

    def test_eight_connections(self):
        self.started()
        silent = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(8)]
        for s in silent:
            self.addCleanup(s.close)
        ninth = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.addCleanup(ninth.close)
        self.assertEqual(ninth.recv(1), b"")
        silent[0].close()
        self.assertTrue(harness.wait_for(lambda: subprocess.run(
            ["curl", "-s", "--noproxy", "*", self.base + "/"], stdout=subprocess.DEVNULL).returncode == 0, 30))

    def test_a_silent_client_is_let_go(self):
        self.started()
        with socket.create_connection(("127.0.0.1", self.port), timeout=120) as s:
            s.sendall(b"GET / HTTP/1.1\r\n")
            self.assertEqual(s.recv(1), b"")

    def test_without_a_daemon(self):
        self.started(metrics="/nonexistent/metrics")
        self.assertEqual(self.curl(self.base + "/metrics")[0], 503)
        status, _, body = self.curl(self.base + "/")
        self.assertEqual(status, 200)
        self.assertIn("The daemon does not answer: No such file or directory", body)

    def test_unix_socket(self):
        path = os.path.join(os.path.dirname(Control(self.daemon_of_it).path), "http")
        self.start("-l", "unix:" + path)
        self.assertTrue(harness.wait_for(lambda: os.path.exists(path), 30))
        self.assertEqual(self.curl("--retry", "5", "--retry-all-errors", "--unix-socket", path, "http://localhost/metrics")[0], 200)

    def test_wrong_arguments(self):
        for arguments, status in ((("-l", "127.0.0.1"), 1), (("-l", "nonsense:1"), 1), (("-l", "127.0.0.1:99999"), 1), (("x",), 2)):
            exporter = self.start(*arguments)
            _, said = exporter.communicate(timeout=60)
            self.assertEqual(exporter.returncode, status, said)
            self.assertTrue(said)


def commands():
    """Each command of the daemon's table, with as many words as it needs."""
    source = open(os.path.join(os.path.dirname(__file__), "../../daemon/control/commands.c")).read()
    rows = re.findall(r'\{"([a-z]+)", (NULL|"[a-z]+"), ([0-9]+), ', source)
    assert len(rows) > 12, rows
    for word, second, least in rows:
        words = [word] + ([] if second == "NULL" else [second.strip('"')])
        if word != "metrics":
            yield words + ["x"] * (int(least) - len(words))
