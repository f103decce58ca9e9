"""pop3ctl metrics, and the totals of status."""

import grp
import os
import re

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
                                                    'pop3d_connections_ended_before_login_total{reason="quit"}'))
        self.assertTrue(harness.wait_for(ended))
        now, text = self.metrics(daemon)
        self.assertEqual(set(now), set(before))
        grown = {k: now[k] - before[k] for k in now if k.split("{")[0].endswith("_total") and now[k] != before[k]}
        self.assertEqual(grown, {
            "pop3d_connections_accepted_total": 2,
            'pop3d_connections_ended_before_login_total{reason="quit"}': 1,
            'pop3d_logins_total{result="ok",mechanism="USER"}': 1,
            'pop3d_logins_total{result="auth",mechanism="USER"}': 1,
            'pop3d_sessions_ended_total{reason="quit"}': 1,
            "pop3d_messages_retrieved_total": 2,
            "pop3d_messages_retrieved_bytes_total": sum(mailbox.size(m) for m in mailbox.simple(2)),
            "pop3d_messages_deleted_total": 1,
        })
        self.assertGreater(now["pop3d_worker_resident_memory_bytes"], 100000)
        self.assertTrue([k for k in now if k.startswith("pop3d_certificate_not_after")])
        for private in (user.name, "127.0.0.1", "::1", "nobody-here"):
            self.assertNotIn(private, text)

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


def commands():
    """Each command of the daemon's table, with as many words as it needs."""
    source = open(os.path.join(os.path.dirname(__file__), "../../daemon/control/commands.c")).read()
    rows = re.findall(r'\{"([a-z]+)", (NULL|"[a-z]+"), ([0-9]+), ', source)
    assert len(rows) > 12, rows
    for word, second, least in rows:
        words = [word] + ([] if second == "NULL" else [second.strip('"')])
        if word != "metrics":
            yield words + ["x"] * (int(least) - len(words))
