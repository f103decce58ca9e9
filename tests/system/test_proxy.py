"""CONFORMANCE group PXY: behind a load balancer that announces its clients."""

import re
import socket
import struct
import subprocess
import time

import harness
import mailbox
from client import TestCase
from control import Control
from harness import PLAIN, TLS

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT, OTHER, SERVER = "192.0.2.7", "198.51.100.9", "192.0.2.200"


def v1(source=CLIENT, family="TCP4", destination=SERVER):
    return b"PROXY %s %s %s 4242 995\r\n" % (family.encode(), source.encode(), destination.encode())


def v2(source=CLIENT, tlv=b"", command=0x21):
    body = socket.inet_aton(source) + socket.inet_aton(SERVER) + struct.pack("!HH", 4242, 995) + tlv
    return SIGNATURE + bytes((command, 0x11)) + struct.pack("!H", len(body)) + body


UNKNOWN = b"PROXY UNKNOWN\r\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def tls_tlv(flags, names, verify=0):
    """The client reached the balancer over TLS (1), with a certificate (2)."""
    return tlv(0x20, struct.pack("!BL", flags, verify) + names)


CLIENT_TLS = b"\x20\x00\x05\x01\x00\x00\x00\x00"


def servers(**settings):
    one = {"addresses": ["127.0.0.1"], "proxy_from": ["127.0.0.0/8"], "proxy_loopback": True, **settings}
    return {"clear": {**one, "port": harness.free_port(), "socket": "plain+stls"},
            "secure": {**one, "port": harness.free_port(), "socket": "tls"}}


SERVERS = servers(cleartext_login="always")


class Proxied(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.shared_daemon(servers=SERVERS)

    def serve(self, settings=None, **more):
        return self.own_daemon(servers=servers(**(settings or {})), **more)

    def connect_by(self, header, kind=PLAIN, daemon=None):
        return self.connect(kind, daemon, header=header)

    def log_has(self, pattern, mark=0):
        harness.wait_for(lambda: re.search(pattern, self.daemon.log()[mark:]), 20)

    def test_PXY_11_the_announced_client_is_the_peer_everywhere(self):
        user = self.user(mailbox.simple(1))
        for kind in self.each_kind((PLAIN, TLS)):
            for header in (v1(), v2()):
                client = self.connect_by(header, kind)
                client.login(user)
                client.quit()
                self.log_has(r"login conn=\S+ server=\S+ user=\S+ peer=192\.0\.2\.7:4242 balancer=127\.0\.0\.1:\d+")

    def test_PXY_05_ipv6(self):
        user = self.user(mailbox.simple(1))
        client = self.connect_by(v1("2001:db8::7", "TCP6", "2001:db8::1"))
        client.login(user)
        client.quit()
        self.log_has(r"login conn=\S+ server=\S+ user=\S+ peer=\[2001:db8::7\]:4242")

    def is_the_balancer_itself(self, header):
        mark = len(self.daemon.log())
        self.connect_by(header).quit()
        self.log_has(r"disconnect conn=\S+ server=clear peer=127\.0\.0\.1:\d+ reason=quit", mark)

    def test_PXY_06_unknown(self):
        self.is_the_balancer_itself(UNKNOWN)

    def test_PXY_07_local(self):
        self.is_the_balancer_itself(LOCAL)

    def test_PXY_08_all_of_its_length_is_the_header(self):
        self.is_the_balancer_itself(SIGNATURE + b"\x21\x31" + struct.pack("!H", 216) + 216 * b"x")
        user = self.user(mailbox.simple(1))
        client = self.connect_by(v2(tlv=b"\xe0" + struct.pack("!H", 40000) + 40000 * b"Q"))
        client.login(user)
        client.quit()

    def test_PXY_13_a_health_check_is_no_noise(self):
        mark = len(self.daemon.log())
        self.connect_by(LOCAL).close()
        self.log_has("disconnect", mark)
        self.assertNotRegex(self.daemon.log()[mark:], "warning|error")

    def test_PXY_03_nothing_is_said_before_the_header(self):
        for kind in (PLAIN, TLS):
            with socket.create_connection((self.daemon.address(kind), self.daemon.port(kind)), 5) as s:
                s.settimeout(0.3)
                with self.assertRaises(TimeoutError):
                    s.recv(1)
                s.sendall(v1()[:20])
                with self.assertRaises(TimeoutError):
                    s.recv(1)

    def test_PXY_04_the_header_has_three_seconds(self):
        with socket.create_connection((self.daemon.address(PLAIN), self.daemon.port(PLAIN)), 5) as s:
            begun = time.monotonic()
            s.settimeout(20)
            s.sendall(v1()[:-1])
            self.assertEqual(s.recv(100), b"")
            self.assertGreaterEqual(time.monotonic() - begun, 2.9)

    def test_PXY_05_what_is_no_header_gets_no_answer(self):
        for octets in (b"USER ann\r\n", b"PROXY TCP4 1.2.3.4\r\n", v1()[:-2] + b"\n", b"\x16\x03\x01",
                       SIGNATURE + b"\x11\x11\x00\x0c" + 12 * b"\0", v2()[:14] + b"\0\3abc"):
            with socket.create_connection((self.daemon.address(PLAIN), self.daemon.port(PLAIN)), 5) as s:
                s.settimeout(20)
                s.sendall(octets)
                try:
                    self.assertEqual(s.recv(100), b"")
                except ConnectionResetError:
                    pass

    def test_PXY_10_octets_behind_the_header_are_the_clients(self):
        client = self.connect_by(v2() + b"CAPA\r\n")
        self.assertTrue(client.response().startswith(b"+OK "))

    def test_PXY_01_no_header_is_looked_for_elsewhere(self):
        daemon = self.own_daemon()
        client = self.connect(PLAIN, daemon)
        client.err(v1()[:-2])

    def test_PXY_02_only_a_listed_balancer_is_heard(self):
        daemon = self.own_daemon(servers=servers(proxy_from=["192.0.2.0/24"]), start=False)
        daemon.start(wait=False)
        harness.wait_for(lambda: "serving" in daemon.log(), 20)
        with socket.create_connection((daemon.address(PLAIN), daemon.port(PLAIN)), 5) as s:
            s.settimeout(20)
            try:
                s.sendall(v1())
                self.assertEqual(s.recv(100), b"")
            except (ConnectionResetError, BrokenPipeError):
                pass
        harness.wait_for(lambda: "proxy_from" in daemon.log(), 20)

    def test_limits_are_the_announced_clients(self):
        daemon = self.serve(max_connections_per_address=2)
        kept = [self.connect_by(v1(), daemon=daemon) for _ in range(2)]
        with self.assertRaises(AssertionError) as refused:
            self.connect_by(v1(), daemon=daemon)
        self.assertIn("too many connections", str(refused.exception))
        for n in range(6):  # the balancer has no share in it
            kept.append(self.connect_by(v1("198.51.100.%d" % n), daemon=daemon))
        for client in kept:
            client.quit()
        harness.wait_for(lambda: daemon.log().count("reason=quit") >= 8, 20)
        self.connect_by(v1(), daemon=daemon).quit()

    def test_CON_13_who_is_served_is_the_announced_client(self):
        daemon = self.serve({"allow": ["127.0.0.0/8", "192.0.2.0/24"], "deny": ["192.0.2.9"], "cleartext_login": "always"})
        user = self.user(mailbox.simple(1))
        for source, good in ((CLIENT, True), ("192.0.2.9", False), (OTHER, False)):
            for kind in (PLAIN, TLS):
                if good:
                    client = self.connect_by(v1(source), kind, daemon)
                    client.login(user)
                    client.quit()
                    continue
                with self.assertRaises((AssertionError, OSError)) as refused:
                    self.connect_by(v1(source), kind, daemon)
                if kind == PLAIN:
                    self.assertIn("[SYS/PERM]", str(refused.exception))
            why = "deny" if source == "192.0.2.9" else "allow"
            if not good:
                daemon.log_wait(r"refused server=clear peer=%s:4242 reason=%s count=1" % (re.escape(source), why))
                daemon.log_wait(r"disconnect conn=\S+ server=clear peer=127\.0\.0\.1:\d+ reason=barred")

    def test_failures_are_the_announced_clients(self):
        daemon = self.serve({"cleartext_login": "always"}, auth_failures_per_source=3)
        user = self.user(mailbox.simple(1))
        guesser = self.connect_by(v1(OTHER), daemon=daemon)
        for n in range(4):
            guesser.ok(b"USER " + user.name_octets)
            guesser.err(b"PASS wrong%d" % n)
        for source, good in ((OTHER, False), (CLIENT, True)):
            client = self.connect_by(v1(source), daemon=daemon)
            client.ok(b"USER " + user.name_octets)
            (client.ok if good else client.err)(b"PASS " + user.password_octets)

    def test_an_announced_loopback_address_relaxes_nothing(self):
        daemon = self.serve({"cleartext_login": "loopback"}, trusted_networks=["127.0.0.0/8"], max_connections_per_address=1)
        user = self.user(mailbox.simple(1))
        client = self.connect_by(v1("127.0.0.1"), daemon=daemon)
        client.err(b"USER " + user.name_octets)
        with self.assertRaises(AssertionError):
            self.connect_by(v1("127.0.0.1"), daemon=daemon)

    def test_PXY_12_tls_of_the_balancer_counts_by_a_setting(self):
        user = self.user(mailbox.simple(1))
        for setting in (False, True):
            daemon = self.serve({"cleartext_login": "never", "proxy_tls": setting})
            for tlv in (b"", CLIENT_TLS):
                client = self.connect_by(v2(tlv=tlv), daemon=daemon)
                if setting and tlv:
                    client.login(user)
                else:
                    client.err(b"USER " + user.name_octets)

    def facts_shown(self, client, **want):
        """What conn state and top's details show of a balancer, and the log on login."""
        ctl = Control(self.daemon)
        number = ctl.done("conn", "list", "clear").split()[-1]
        state = ctl.json("conn", "state", "clear", number)
        self.assertEqual({k: state[k] for k in want}, want)
        text = ctl.done("conn", "state", "clear", number)
        self.assertTrue(text.isascii() and text.replace("\n", "").isprintable(), text)
        mark = len(self.daemon.log())
        client.login(self.user(mailbox.simple(1)))
        fields = self.daemon.log_fields("login", since=mark, timeout=20)
        client.quit()
        return {k: fields.get(k) for k in want}

    def test_PXY_14_tls_of_the_balancer_is_shown(self):
        names = tlv(0x21, b"TLSv1.3") + tlv(0x23, b"TLS_AES_128_GCM_SHA256")
        client = self.connect_by(v2(tlv=tls_tlv(3, names + tlv(0x22, b"ann"))))
        want = {"balancer_tls": "TLSv1.3", "balancer_cipher": "TLS_AES_128_GCM_SHA256", "client_name": "ann"}
        self.assertEqual(self.facts_shown(client, **want), want)
        client = self.connect_by(v2(tlv=tls_tlv(1, names)))
        want["client_name"] = ""
        self.assertEqual(self.facts_shown(client, **want), {**want, "client_name": "none"})
        client = self.connect_by(v2())
        self.assertEqual(self.facts_shown(client, **dict.fromkeys(want, "")), dict.fromkeys(want))
        # before login
        mark = len(self.daemon.log())
        self.connect_by(v2(tlv=tls_tlv(3, tlv(0x22, b"eve")))).quit()
        self.assertEqual(self.daemon.log_fields("disconnect", since=mark, timeout=20)["client_name"], "eve")

    def test_PXY_14_a_hostile_client_name(self):
        for name, shown in ((b"ann\nlogin conn=1 user=root", r'"ann\x0alogin conn=1 user=root"'), (b"\x1b[2J\tann", r'"\x1b[2J\x09ann"'),
                            (b"\xff\xc2\x9b", r'"\xff\xc2\x9b"'), ("ä".encode(), r'"\xc3\xa4"'), (b'"ann"\\', r'"\"ann\"\\"'),
                            (b"x" * 255, "x" * 255), (b"x" * 256, ""), (b"ann\0root", ""), (b"x" * 65000, "")):
            with self.subTest(name=name[:30]):
                client = self.connect_by(v2(tlv=tls_tlv(3, tlv(0x22, name))))
                mark = len(self.daemon.log())
                logged = self.facts_shown(client, client_name=shown)["client_name"]
                self.assertEqual(logged, shown or None)
                self.assertNotRegex(self.daemon.log()[mark:], "[^\\n -~]")

    def test_loopback_balancers_need_a_setting(self):
        daemon = self.own_daemon(start=False, servers=servers(proxy_loopback=False))
        checked = subprocess.run([harness.program(), "-t", "-c", daemon.conf_path], capture_output=True)
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn(b"proxy_loopback = yes", checked.stdout + checked.stderr)
