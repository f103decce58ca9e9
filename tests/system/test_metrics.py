"""pop3ctl metrics, and the totals of status."""

import re

import harness
import mailbox
from client import PLAIN, TLS, TestCase
from control import Control

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
