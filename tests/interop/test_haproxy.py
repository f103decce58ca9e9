"""HAProxy in front of two daemons, with each of the forms in which it announces clients."""

import os
import secrets
import subprocess

import harness
import mailbox
import peers
from client import Client, TestCase, tls_context
from control import Control
from harness import PLAIN, TLS

GUESSER, OWNER = "192.0.2.7", "192.0.2.8"  # clients, as HAProxy is made to see them

CONF = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
"""

FRONT = """
listen {name}
    bind 127.0.0.1:{port}{tls}
    tcp-request connection set-src str({client})
    balance roundrobin
    server first 127.0.0.1:{backs[0]} {form}
    server second 127.0.0.1:{backs[1]} {form}
"""


class Front:
    """One listener of HAProxy, as a daemon that clients can be connected to."""

    def __init__(self, port):
        self.one = port

    def port(self, _kind):
        return self.one

    def address(self, _kind):
        return "127.0.0.1"


class Balanced(TestCase):
    settings = None

    @classmethod
    def setUpClass(cls):
        why = peers.missing("haproxy")
        if why:
            cls.skipTest(cls, why)
        super().setUpClass()

    def daemons(self, **settings):
        """Two of them; with `balanced`, they expect headers."""
        header = {"proxy_from": ["127.0.0.1"], "proxy_loopback": True} if settings.pop("balanced", True) else {}
        more = {"addresses": ["127.0.0.1"], "cleartext_login": settings.pop("cleartext_login", "always"),
                "proxy_tls": settings.pop("proxy_tls", False), **header}
        return [self.own_daemon(servers={"clear": {**more, "port": harness.free_port(), "socket": "plain+stls"},
                                         "secure": {**more, "port": harness.free_port(), "socket": "tls"}}, **settings)
                for _ in range(2)]

    def fronts(self, daemons, kind, form, tls=""):
        """A listener for each client: what GUESSER and OWNER connect to."""
        found = [Front(harness.free_port()) for _ in range(2)]
        path = harness.world().path("haproxy-" + secrets.token_hex(4))
        with open(path, "w") as f:
            f.write(CONF)
            for n, client in enumerate((GUESSER, OWNER)):
                f.write(FRONT.format(name="front%d" % n, port=found[n].one, client=client, form=form, tls=tls,
                                     backs=[d.port(kind) for d in daemons]))
        process = subprocess.Popen(peers.inside("haproxy", ["/usr/sbin/haproxy", "-db", "-f", path]), start_new_session=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        harness.world().registry.add("process", process.pid, harness.start_time(process.pid))

        def stop():
            self._close()
            process.kill()
            process.communicate()
        self.addCleanup(stop)
        for front in found:
            if not harness.wait_for(lambda front=front: self.answers(front, TLS if tls else kind, process), 20):
                self.fail("HAProxy does not answer")
        return found

    def answers(self, front, kind, process):
        if process.poll() is not None:
            self.fail("HAProxy ended: %s" % process.stderr.read().decode(errors="replace")[-2000:])
        try:
            client = Client(front, kind)
        except (OSError, AssertionError):
            return False
        client.close()
        return True

    def session_by(self, front, user, kind):
        client = self.connect(kind, front)
        client.login(user)
        client.quit()

    def test_PXY_11_peer_with_version_1_and_2_on_both(self):
        user = self.user(mailbox.simple(1))
        for kind in self.each_kind((PLAIN, TLS)):
            for form in ("send-proxy", "send-proxy-v2"):
                daemons = self.daemons()
                _, front = self.fronts(daemons, kind, form)
                for _ in range(4):
                    self.session_by(front, user, kind)
                for daemon in daemons:
                    self.assertRegex(daemon.log(), r"login conn=\S+ server=\S+ user=\S+ peer=192\.0\.2\.8:\d+ balancer=127\.0\.0\.1:")
                    self.assertNotRegex(daemon.log(), "no PROXY header")

    def certificate(self):
        path = harness.world().path("haproxy-%s.pem" % secrets.token_hex(4))
        with open(path, "w") as out:
            for part in harness.world().certificate():
                with open(part) as f:
                    out.write(f.read())
        os.chmod(path, 0o600)
        return path

    def test_PXY_12_tls_that_ends_at_the_balancer(self):
        user = self.user(mailbox.simple(1))
        daemons = self.daemons(cleartext_login="never", proxy_tls=True)
        _, front = self.fronts(daemons, PLAIN, "send-proxy-v2-ssl-cn", " ssl crt " + self.certificate())
        for _ in range(2):
            self.session_by(front, user, TLS)

    def client_certificate(self, name):
        return harness.make_certificate(harness.world().dir, "haproxy-" + secrets.token_hex(4), subject="/CN=" + name)

    def facts_of(self, front, daemons, certificate):
        """What a daemon shows of a connection through the listener, and logs at its login."""
        client = self.connect(TLS, front, context=tls_context(certificate=certificate))
        keys = "balancer_tls", "balancer_cipher", "client_name"
        for daemon in daemons:
            numbers = Control(daemon).lines("conn", "list", "clear")
            if numbers:
                break
        state = Control(daemon).json("conn", "state", "clear", numbers[-1])
        self.assertRegex(state["balancer"], r"127\.0\.0\.1:\d+")
        self.assertEqual(state["tls"], "none")
        client.login(self.user(mailbox.simple(1)))
        fields = daemon.log_fields("login", timeout=20, conn=state["id"])
        client.quit()
        daemon.log_fields("session-end", timeout=20, conn=state["id"])
        self.assertEqual([fields[k] for k in keys], [state[k] or "none" for k in keys])
        return tuple(state[k] for k in keys)

    def test_PXY_14_tls_and_client_certificate_are_shown(self):
        daemons = self.daemons(cleartext_login="never", proxy_tls=True)
        for name, shown in (("ann", "ann"), ("ann\x1b[2J\x7f\n", r'"ann\x1b[2J\x7f\x0a"')):
            with self.subTest(name=name):
                pair = self.client_certificate(name)
                ssl = " ssl crt %s ca-file %s verify optional" % (self.certificate(), pair[0])
                _, front = self.fronts(daemons, PLAIN, "send-proxy-v2-ssl-cn proxy-v2-options ssl-cipher", ssl)
                version, cipher, client = self.facts_of(front, daemons, pair)
                self.assertEqual((version, client), ("TLSv1.3", shown))
                self.assertRegex(cipher, "^TLS_[A-Z0-9_]+$")
                self.assertEqual(self.facts_of(front, daemons, None)[2], "")
        # one that HAProxy could not verify, and let in all the same
        stranger = self.client_certificate("root")
        ssl = " ssl crt %s ca-file %s verify optional crt-ignore-err all ca-ignore-err all" % (self.certificate(), pair[0])
        _, front = self.fronts(daemons, PLAIN, "send-proxy-v2-ssl-cn", ssl)
        self.assertEqual(self.facts_of(front, daemons, stranger), ("TLSv1.3", "", ""))

    def guess(self, daemons, form):
        """Wrong passwords of one client until both daemons refuse it; then the owner's own login by another one."""
        user = self.user(mailbox.simple(1))
        guessers, owners = self.fronts(daemons, PLAIN, form)
        for n in range(12):
            client = self.connect(PLAIN, guessers)
            client.ok(b"USER nobody%d" % n)
            client.err(b"PASS wrong")
            client.close()
        answers = []
        for _ in range(2):
            client = self.connect(PLAIN, owners)
            answers.append(client.try_login(user)[:3])
            client.quit()
        return answers

    def test_guesses_of_one_client_lock_no_other_out(self):
        self.assertEqual(self.guess(self.daemons(auth_failures_per_source=4), "send-proxy"), [b"+OK", b"+OK"])

    def test_without_headers_they_do(self):
        """What it is for."""
        daemons = self.daemons(auth_failures_per_source=4, balanced=False)
        self.assertEqual(self.guess(daemons, ""), [b"-ER", b"-ER"])
