"""CONFORMANCE group TLS: STLS and TLS."""

import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

import harness
import mailbox
import rawtls
from client import EOF, Err, Ok, TestCase, tls_context
from harness import PLAIN, STLS, TLS

MESSAGES = mailbox.simple(3)
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def client_hello(version, suites=b"\xc0\x13\xc0\x14\x00\x2f\x00\x35"):
    """A ClientHello without extensions, as old clients send it."""
    body = version + os.urandom(32) + b"\0" + len(suites).to_bytes(2, "big") + suites + b"\1\0"
    handshake = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake


class Stls(TestCase):
    settings = {"handshake_timeout": 3}

    def test_TLS_01_stls_and_state(self):
        user = self.user(MESSAGES)
        client = self.connect(PLAIN)
        client.stls()
        client.silent(0.3)  # no second greeting
        client.err(b"STAT")
        client.login(user)
        client.quit()

    def test_TLS_01_argument(self):
        self.transcript([("STLS now", Err()), ("NOOP", Err())], login=False, kinds=(PLAIN,))

    def test_TLS_01_not_after_login(self):
        self.transcript([("STLS", Err()), ("NOOP", Ok())], MESSAGES, kinds=(PLAIN,))

    def test_TLS_02_REG_10_nothing_is_smuggled(self):
        for tail in (b"CAPA\r\n", b"QUIT\r\n", b"USER x\r\nPASS y\r\n", b"N"):
            blob = b"STLS\r\n" + tail
            for at in range(1, len(blob) + 1):
                with self.subTest(tail=tail, at=at):
                    self.smuggle(blob[:at], blob[at:])

    def smuggle(self, first, second):
        client = self.connect(PLAIN)
        client.sock.sendall(first)
        if second:
            time.sleep(0.004)
            client.sock.sendall(second)
        self.assertTrue(client._raw_line().startswith(b"+OK "))
        if not second and not first.partition(b"\r\n")[2]:
            client.close()
            return
        try:
            client.sock.settimeout(3)
            client.handshake()
        except (ssl.SSLError, OSError):
            client.close()
            return
        try:
            response = client.command(b"STAT")
        except (AssertionError, OSError):
            client.close()
            return
        self.assertTrue(response.startswith(b"-ERR "), response)
        client.silent(0.2)
        client.close()

    def test_TLS_02_command_after_ok_but_before_the_handshake(self):
        client = self.connect(PLAIN)
        client.ok(b"STLS")
        client.send(b"CAPA\r\n")
        self.assertNotIn(b"+OK", client.rest())

    def test_TLS_03_pending_user_is_forgotten(self):
        user = self.user(MESSAGES)
        client = self.connect(PLAIN)
        client.ok(b"USER " + user.name_octets)
        client.stls()
        self.assertRegex(client.command(b"PASS " + user.password_octets), rb"\A-ERR [^\[]")
        client.login(user)
        client.quit()

    def test_TLS_04_capa_is_computed_anew(self):
        client = self.connect(PLAIN)
        self.assertIn(b"STLS", client.listing(b"CAPA"))
        client.stls()
        self.assertNotIn(b"STLS", client.listing(b"CAPA"))
        client.quit()
        client = self.connect(TLS)
        self.assertNotIn(b"STLS", client.listing(b"CAPA"))
        client.quit()

    def test_TLS_05_stls_with_tls_on(self):
        self.transcript([("STLS", Err()), ("CAPA", Ok(body=lambda b: None)), ("QUIT", Ok(), EOF)], login=False, kinds=(STLS, TLS))
        self.transcript([("STLS", Err()), ("NOOP", Ok())], MESSAGES, kinds=(STLS, TLS))

    def test_TLS_06_failed_handshake_closes(self):
        for junk in (b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.0\r\n\r\n", b"\0" * 100, b"\x80" * 300, b"\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28"):
            client = self.connect(PLAIN)
            client.ok(b"STLS")
            client.send(junk)
            rest = client.rest()
            self.assertNotIn(b"+OK", rest)
            self.assertNotIn(b"-ERR", rest)
            with socket.create_connection((self.daemon.address(TLS), self.daemon.port(TLS)), 10) as s:
                s.sendall(junk)
                try:
                    data = s.recv(1000)
                except ConnectionResetError:
                    data = b""
                self.assertNotIn(b"+OK", data)
        self.connect(TLS).quit()

    def test_TLS_06_stls_without_certificate(self):
        # a plain listener without certificate: refused in words, no broken handshake
        daemon = self.own_daemon(servers={"only": {"addresses": ["127.0.0.1"], "port": harness.free_port(), "socket": "plain"}}, certificate=None, certificate_key=None)
        client = self.connect(PLAIN, daemon)
        client.err(b"STLS")
        client.login(self.user(MESSAGES))
        client.quit()

    def test_TLS_18_records_and_lines_are_unrelated(self):
        self.transcript([("STAT", Ok()), ("RETR 2", Ok(body=mailbox.wire(MESSAGES[1]))), ("NOOP", Ok()), ("QUIT", Ok(), EOF)], MESSAGES, kinds=(STLS, TLS))

    def test_TLS_18_large_records_both_ways(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind((STLS, TLS)):
            client = self.session(user, kind)
            client.send(b"NOOP\r\n" * 5000)
            for _ in range(5000):
                client.response()
            client.quit()


class Versions(TestCase):
    def version(self, version, **options):
        client = self.connect(TLS, context=tls_context(version, version, **options))
        got = client.sock.version(), client.sock.cipher()[0]
        client.login(self.user(MESSAGES))
        self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
        client.quit()
        return got

    def test_TLS_07_1_2_and_1_3(self):
        self.assertEqual(self.version(V12)[0], "TLSv1.2")
        self.assertEqual(self.version(V13)[0], "TLSv1.3")
        client = self.connect(TLS)
        self.assertEqual(client.sock.version(), "TLSv1.3")
        client.quit()

    def test_TLS_07_old_versions_are_refused(self):
        for version in (b"\x03\x00", b"\x03\x01", b"\x03\x02"):
            for stls in (False, True):
                with self.subTest(version=version, stls=stls):
                    s = socket.create_connection((self.daemon.address(PLAIN if stls else TLS), self.daemon.port(PLAIN if stls else TLS)), 10)
                    if stls:
                        s.recv(1000)
                        s.sendall(b"STLS\r\n")
                        s.recv(1000)
                    s.sendall(client_hello(version))
                    try:
                        answer = s.recv(1000)
                    except ConnectionResetError:
                        answer = b""
                    s.close()
                    self.assertTrue(answer == b"" or answer[0] == 0x15, answer)  # an alert or nothing

    def test_TLS_08_weak_suites_are_refused(self):
        for ciphers in ("AES128-GCM-SHA256", "AES128-SHA", "AES256-SHA256", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384", "NULL-SHA256",
                        "ECDHE-RSA-NULL-SHA", "AECDH-AES128-SHA"):
            with self.subTest(ciphers=ciphers):
                context = tls_context(V12, V12)
                try:
                    context.set_ciphers(ciphers + ":@SECLEVEL=0")
                except ssl.SSLError:
                    continue  # unknown to this library
                with self.assertRaises((ssl.SSLError, OSError)):
                    self.connect(TLS, context=context)

    def test_TLS_08_good_suites(self):
        for ciphers in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"):
            self.assertEqual(self.version(V12, ciphers=ciphers)[1], ciphers)

    def test_TLS_08_setting_of_ciphers(self):
        daemon = self.own_daemon(tls_ciphers="ECDHE-RSA-AES256-GCM-SHA384")
        client = self.connect(TLS, daemon, context=tls_context(V12, V12))
        self.assertEqual(client.sock.cipher()[0], "ECDHE-RSA-AES256-GCM-SHA384")
        client.quit()
        with self.assertRaises((ssl.SSLError, OSError)):
            self.connect(TLS, daemon, context=tls_context(V12, V12, ciphers="ECDHE-RSA-AES128-GCM-SHA256"))

    def s_client(self, *arguments, stdin=b"", wait=1.0):
        """The output of openssl s_client against the TLS port."""
        process = subprocess.Popen(["openssl", "s_client", "-connect", "%s:%d" % (self.daemon.address(TLS), self.daemon.port(TLS)), *arguments],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, deadline = b"", time.monotonic() + 10
        while b"+OK" not in out and time.monotonic() < deadline and process.poll() is None:
            if select.select([process.stdout], [], [], 0.2)[0]:
                out += os.read(process.stdout.fileno(), 65536)
        if stdin:
            for line in stdin.splitlines(True):  # K and R count at the start of what it reads
                process.stdin.write(line)
                process.stdin.flush()
                time.sleep(wait)
        process.terminate()
        rest, _ = process.communicate()
        return (out + rest).decode("latin-1")

    def test_TLS_09_renegotiation_info_and_extended_master_secret(self):
        out = self.s_client("-tls1_2")
        self.assertIn("Secure Renegotiation IS supported", out)
        self.assertRegex(out, r"Extended master secret: yes")

    def test_TLS_09_client_renegotiation_is_refused(self):
        out = self.s_client("-tls1_2", stdin=b"R\n")
        self.assertIn("RENEGOTIATING", out)
        self.assertRegex(out, r"no renegotiation|alert|error|closed|errno")

    def test_TLS_10_no_compression_no_early_data(self):
        out = self.s_client("-tls1_3")
        self.assertIn("Compression: NONE", out)
        self.assertFalse(re.search(r"Max Early Data: [1-9]", out))

    def test_TLS_13_KeyUpdate_of_the_client(self):
        out = self.s_client("-tls1_3", stdin=b"K\ncapa\n")  # a C would have s_client connect again
        self.assertIn("KEYUPDATE", out)
        self.assertIn("UIDL", out)

    def test_TLS_15_no_client_certificate_is_asked_for(self):
        for version in ("-tls1_2", "-tls1_3"):
            out = self.s_client(version, "-msg")
            self.assertIn("ServerHello", out)
            self.assertNotIn("CertificateRequest", out)

    def test_TLS_12_alpn(self):
        for kind in self.each_kind((STLS, TLS)):
            client = self.connect(kind, context=tls_context(alpn=["pop3"]))
            self.assertEqual(client.sock.selected_alpn_protocol(), "pop3")
            client.quit()
            client = self.connect(kind, context=tls_context(alpn=["imap", "pop3"]))
            self.assertEqual(client.sock.selected_alpn_protocol(), "pop3")
            client.quit()
            client = self.connect(kind)
            self.assertIsNone(client.sock.selected_alpn_protocol())
            client.quit()

    def test_TLS_12_wrong_alpn_is_fatal(self):
        for version in (V12, V13):
            with self.assertRaises(ssl.SSLError) as caught:
                self.connect(TLS, context=tls_context(version, version, alpn=["http/1.1", "imap"]))
            self.assertIn("NO_APPLICATION_PROTOCOL", str(caught.exception).upper().replace(" ", "_"))

    def test_TLS_14_a_policy_without_service_in_clear(self):
        daemon = self.own_daemon(servers={"secure": {"addresses": ["127.0.0.1"], "port": harness.free_port(), "socket": "tls"}})
        client = self.connect(TLS, daemon)
        client.login(self.user(MESSAGES))
        client.quit()

    def test_TLS_16_version_and_cipher_are_logged(self):
        for version, name in ((V12, "TLSv1.2"), (V13, "TLSv1.3")):
            user = self.user(MESSAGES)
            mark = len(self.daemon.log())
            client = self.connect(TLS, context=tls_context(version, version))
            cipher = client.sock.cipher()[0]
            client.login(user)
            client.quit()
            fields = self.daemon.log_fields("login", since=mark, user=user.name)
            self.assertEqual((fields["tls"], fields["cipher"]), (name, cipher))
            self.assertEqual(self.daemon.log_fields("session-end", since=mark, user=user.name)["tls"], name)


@unittest.skipUnless(rawtls.libraries(), "no OpenSSL 3")
class Floods(TestCase):
    """Records that hold no data end their connection.  All connections are of one worker."""

    settings = {"login_workers": 1, "login_timeout": 300, "idle_timeout": 600}  # making the records takes long
    limit = 200
    RECORDS, TURNS = 200000, 10

    def flood(self, logged_in):
        attacker = rawtls.RawTls((self.daemon.address(TLS), self.daemon.port(TLS)), timeout=120)
        self.addCleanup(attacker.close)
        self.assertTrue(attacker.command(None).startswith(b"+OK "))
        if logged_in:
            user = self.user()
            for line in (b"USER " + user.name_octets, b"PASS " + user.password_octets):
                self.assertTrue(attacker.command(line).startswith(b"+OK "))
        early, session = self.connect(TLS), self.session(self.user(), TLS)
        records = attacker.key_updates(self.RECORDS)
        self.assertGreater(len(records), 20 * self.RECORDS)
        attacker.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        cut = []

        def send():
            try:
                attacker.sock.sendall(records)
            except OSError as error:
                cut.append(error)
        sender = threading.Thread(target=send)
        sender.start()
        for _ in range(self.TURNS):
            session.ok(b"NOOP")
            early.listing(b"CAPA")
        sender.join()
        self.assertTrue(cut, "all records were taken")
        session.quit()

    def test_TLS_18_some_KeyUpdates_end_nothing(self):
        client, user = rawtls.RawTls((self.daemon.address(TLS), self.daemon.port(TLS))), self.user()
        self.addCleanup(client.close)
        lines = [None, b"USER " + user.name_octets, b"PASS " + user.password_octets] + 2 * [b"NOOP"] + [b"QUIT"]
        for line in lines:
            client.sock.sendall(client.key_updates(30))
            self.assertTrue(client.command(line).startswith(b"+OK"))

    def test_TLS_18_KeyUpdate_flood_before_login(self):
        self.flood(False)

    def test_TLS_18_KeyUpdate_flood_of_a_session(self):
        self.flood(True)


class TicketServer:
    """A TLS server that gives tickets, as OpenSSL does unless it is told otherwise; one connection, one line."""

    def __init__(self, version):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*harness.world().certificate())
        self.context.minimum_version = self.context.maximum_version = version
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        with self.listener, self.listener.accept()[0] as s, self.context.wrap_socket(s, server_side=True) as tls:
            tls.sendall(b"+OK\r\n")
            tls.recv(1)


class Resumption(TestCase):
    def has_ticket(self, context, address):
        with socket.create_connection(address, 30) as s, context.wrap_socket(s) as tls:
            self.assertTrue(tls.recv(4096).startswith(b"+OK"))  # a ticket of TLS 1.3 comes before it
            return tls.session is not None and tls.session.has_ticket

    def test_TLS_11_no_ticket_is_sent(self):
        for version in (V12, V13):
            with self.subTest(version=version):
                context = tls_context(version, version)
                self.assertFalse(self.has_ticket(context, (self.daemon.address(TLS), self.daemon.port(TLS))))
                server = TicketServer(version)  # one that is sent is seen
                self.assertTrue(self.has_ticket(context, server.listener.getsockname()))
                server.thread.join()

    def test_TLS_11_no_session_is_resumed(self):
        for version in (V12, V13):
            with self.subTest(version=version):
                context = tls_context(version, version)
                client = self.connect(TLS, context=context)
                client.multi(b"CAPA")
                session = client.sock.session
                client.quit()
                self.assertFalse(session.has_ticket)
                client = self.connect(TLS, context=context, session=session)
                self.assertFalse(client.sock.session_reused)
                client.quit()


class Certificates(TestCase):
    def served(self, daemon):
        context = ssl._create_unverified_context()
        client = self.connect(TLS, daemon, context=context)
        der = client.sock.getpeercert(True)
        client.quit()
        return der

    def test_TLS_17_new_certificate_without_dropping_sessions(self):
        folder = harness.world().path("certs-17")
        os.mkdir(folder)
        cert, key = harness.make_certificate(folder, "live")
        daemon = self.own_daemon(certificate=cert, certificate_key=key)
        user, other = self.user(MESSAGES), self.user(MESSAGES)
        context = ssl._create_unverified_context()
        client = self.session(user, TLS, daemon, context=context)
        waiting = self.connect(TLS, daemon, context=context)
        first = self.served(daemon)
        harness.make_certificate(folder, "next", "/CN=next", "ec")
        shutil.copyfile(os.path.join(folder, "next.pem"), cert)
        shutil.copyfile(os.path.join(folder, "next.key"), key)
        daemon.reload()
        self.assertNotEqual(self.served(daemon), first)
        client.ok(b"NOOP")
        self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
        waiting.login(other)  # begun before the reload, logs in after it
        waiting.quit()
        client.quit()

    def test_TLS_17_broken_new_certificate_keeps_the_old_one(self):
        folder = harness.world().path("certs-17b")
        os.mkdir(folder)
        cert, key = harness.make_certificate(folder, "live")
        daemon = self.own_daemon(certificate=cert, certificate_key=key)
        first = self.served(daemon)
        good = open(cert).read()
        for broken in ("", "nonsense\n", good[:200], good.replace("A", "B")):
            mark = len(daemon.log())
            with open(cert, "w") as f:
                f.write(broken)
            daemon.send_signal(signal.SIGHUP)
            found = harness.wait_for(lambda: daemon.log()[mark:], 5)
            self.assertTrue(found, "nothing in the log")
            time.sleep(0.3)
            self.assertEqual(self.served(daemon), first)
        other_cert, _ = harness.make_certificate(folder, "other")
        shutil.copyfile(other_cert, cert)  # a certificate that is not the key's
        daemon.send_signal(signal.SIGHUP)
        time.sleep(0.7)
        self.assertEqual(self.served(daemon), first)

    @harness.needs_root
    def test_TLS_17_key_readable_by_root_only(self):
        _, key = harness.world().certificate()
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(key).st_uid, 0)
        self.connect(TLS).quit()
        for pid in self.daemon.role("pop3d-login"):
            for target in harness.links(pid).values():
                self.assertNotIn("cert", target)
