"""CONFORMANCE group CAP: the capability list."""

import harness
import mailbox
from client import Ok, TestCase
from harness import PLAIN, STLS, TLS

ALWAYS = {b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING"}
SASL = b"SASL PLAIN LOGIN"

# What each kind of connection shows: (cleartext_login, kind) -> before login.
GOLDEN = {
    ("loopback", PLAIN): ALWAYS | {b"USER", b"STLS", SASL},
    ("loopback", STLS): ALWAYS | {b"USER", SASL},
    ("loopback", TLS): ALWAYS | {b"USER", SASL},
    ("always", PLAIN): ALWAYS | {b"USER", b"STLS", SASL},
    ("always", TLS): ALWAYS | {b"USER", SASL},
    ("never", PLAIN): ALWAYS | {b"STLS"},
    ("never", STLS): ALWAYS | {b"USER", SASL},
    ("never", TLS): ALWAYS | {b"USER", SASL},
}


def normal(listing):
    """Capabilities as a set; the order of mechanisms is free."""
    out = set()
    for line in listing:
        words = line.split(b" ")
        if words[0] == b"SASL" and sorted(words[1:]) == [b"LOGIN", b"PLAIN"]:
            line = SASL
        out.add(line)
    return out


class Capabilities(TestCase):
    def test_CAP_01_both_states(self):
        self.transcript([("CAPA", Ok(body=lambda b: None)), ("STAT", Ok()), ("CAPA", Ok(body=lambda b: None))], mailbox.simple(1))
        self.transcript([("CAPA", Ok(body=lambda b: None)), ("CAPA", Ok(body=lambda b: None))], login=False)

    def test_CAP_01_form(self):
        user = self.user()
        for kind in self.each_kind():
            client = self.connect(kind)
            before = client.listing(b"CAPA")
            client.login(user)
            after = client.listing(b"CAPA")
            client.quit()
            for line in before + after:
                self.assertLessEqual(len(line) + 2, 512)
                self.assertRegex(line, rb"\A[!-\x2d\x2f-~]+( [!-~]+)*\Z")
            self.assertEqual(len({line.split(b" ")[0] for line in before}), len(before))

    def test_CAP_02_golden_lists(self):
        user = self.user()
        for (policy, kind), golden in GOLDEN.items():
            with self.subTest(policy=policy, kind=kind):
                daemon = harness.shared_daemon(server_settings={"cleartext_login": policy})
                client = self.connect(kind, daemon)
                before = normal(client.listing(b"CAPA"))
                self.assertEqual({c for c in before if not c.startswith(b"IMPLEMENTATION")}, golden)
                if b"USER" in golden:
                    client.login(user)
                    after = normal(client.listing(b"CAPA"))
                    self.assertEqual({c for c in after if not c.startswith(b"IMPLEMENTATION")}, golden - {b"STLS"})
                    self.assertLessEqual(before - {b"STLS"}, after)
                client.quit()

    def test_CAP_03_stls_only_when_it_would_work(self):
        daemon = self.own_daemon(servers={"only": {"addresses": ["127.0.0.1"], "port": harness.free_port(), "socket": "plain"}},
                                 certificate=None, certificate_key=None)
        client = self.connect(PLAIN, daemon)
        self.assertNotIn(b"STLS", client.listing(b"CAPA"))
        client.err(b"STLS")
        client.quit()

    def test_CAP_04_cleartext_refused_shows_no_mechanism(self):
        daemon = harness.shared_daemon(server_settings={"cleartext_login": "never"})
        client = self.connect(PLAIN, daemon)
        before = client.listing(b"CAPA")
        self.assertNotIn(b"USER", before)
        self.assertFalse([line for line in before if line.startswith(b"SASL")])
        client.stls()
        after = client.listing(b"CAPA")
        self.assertIn(b"USER", after)
        self.assertEqual(normal(after) & {SASL}, {SASL})
        client.quit()

    def test_CAP_05_implementation(self):
        client = self.session(self.user(), TLS)
        found = [line for line in client.listing(b"CAPA") if line.startswith(b"IMPLEMENTATION")]
        self.assertEqual(len(found), 1)
        self.assertRegex(found[0], rb"\AIMPLEMENTATION [!-~]+\Z")
        client.quit()

    def test_CAP_08_09_registered_tags_only(self):
        registered = {b"TOP", b"USER", b"SASL", b"RESP-CODES", b"LOGIN-DELAY", b"PIPELINING", b"EXPIRE", b"UIDL", b"IMPLEMENTATION", b"STLS", b"AUTH-RESP-CODE",
                      b"UTF8", b"LANG"}
        user = self.user()
        for kind in self.each_kind():
            client = self.connect(kind)
            tags = {line.split(b" ")[0] for line in client.listing(b"CAPA")}
            client.login(user)
            tags |= {line.split(b" ")[0] for line in client.listing(b"CAPA")}
            self.assertLessEqual(tags, registered)
            client.quit()
