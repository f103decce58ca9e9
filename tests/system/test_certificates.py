"""A changed certificate is taken up without a signal; a broken one is refused and the old one stays."""

import os
import re
import shutil
import ssl
import subprocess
import threading
import time
import unittest

import client
import control
import harness


def any_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(daemon):
    """Whatever certificate is served."""
    return client.Client(daemon, harness.TLS, context=any_context())


def served(daemon):
    """The certificate that a new connection is shown, in DER."""
    c = connect(daemon)
    der = c.sock.getpeercert(binary_form=True)
    c.ok(b"QUIT")
    return der


def der_of(path):
    with open(path) as f:
        return ssl.PEM_cert_to_DER_cert(f.read())


class Files:
    """Two pairs, and the names by which the daemon knows one of them."""

    def make_pairs(self):
        self.dir = harness.world().path("certs-%s" % self._testMethodName)
        os.mkdir(self.dir)
        self.pairs = [harness.make_certificate(self.dir, "pair%d" % i, key="ec") for i in range(2)]
        self.cert, self.key = (os.path.join(self.dir, name) for name in ("cert.pem", "key.pem"))

    def link(self, number):
        """Point both names to a pair, as certificate tools do."""
        for name, target in zip((self.cert, self.key), self.pairs[number]):
            os.symlink(target, name + ".new")
            os.rename(name + ".new", name)

    def copy(self, number):
        for name, source in zip((self.cert, self.key), self.pairs[number]):
            shutil.copy(source, name)

    def wait_served(self, daemon, number, seconds=15):
        want = der_of(self.pairs[number][0])
        self.assertTrue(harness.wait_for(lambda: served(daemon) == want, seconds, 0.5), daemon.log()[-2000:])


class Certificates(unittest.TestCase, Files):
    def setUp(self):
        self.make_pairs()

    def start(self):
        daemon = harness.Daemon(certificate=self.cert, certificate_key=self.key)
        self.addCleanup(lambda: self.assertEqual(daemon.stop(), []))
        return daemon

    def test_TLS_17_a_swapped_link_is_noticed_and_sessions_go_on(self):
        self.link(0)
        daemon = self.start()
        old = connect(daemon)
        self.wait_served(daemon, 0)
        self.link(1)
        self.wait_served(daemon, 1)
        old.err(b"NOOP")  # it still answers
        old.ok(b"QUIT")

    def test_TLS_17_written_in_two_steps(self):
        self.copy(0)
        daemon = self.start()
        self.wait_served(daemon, 0)
        shutil.copy(self.pairs[1][0], self.cert)
        time.sleep(0.2)  # the key follows, well within the two seconds of quiet that are waited for
        shutil.copy(self.pairs[1][1], self.key)
        self.wait_served(daemon, 1)
        self.assertNotIn("refused:", daemon.log())

    def test_TLS_17_a_broken_pair_is_refused_and_the_old_one_stays(self):
        self.copy(0)
        daemon = self.start()
        self.wait_served(daemon, 0)
        shutil.copy(self.pairs[1][1], self.key)  # no longer belongs to the certificate
        daemon.log_wait("pop3d-key refused: .*does not belong to certificate", 15)
        self.wait_served(daemon, 0, 1)
        self.copy(1)
        self.wait_served(daemon, 1)


class DuringLogins(client.TestCase, Files):
    """Clients log in all the time and none of them fails; one idles from the beginning to the end."""

    settings = None
    limit = 300
    CLIENTS = 4

    def setUp(self):
        super().setUp()
        self.make_pairs()

    def work(self, daemon, user, kind, known):
        context = any_context()
        while not self.over.is_set():
            try:
                c = client.Client(daemon, kind, context=context, timeout=60)
                if c.sock.getpeercert(binary_form=True) not in known:
                    raise AssertionError("an unknown certificate")
                c.login(user)
                c.ok(b"STAT")
                c.quit()
                harness.wait_for(lambda: not daemon.session_of(user))
                self.logins += 1
            except Exception as e:  # noqa: BLE001 (told by the test)
                self.failed.append("%s: %r" % (kind, e))

    def more_logins(self):
        before = self.logins
        self.assertTrue(harness.wait_for(lambda: self.logins >= before + 2 * self.CLIENTS or self.failed, 60))

    def test_TLS_17_renewed_while_clients_log_in(self):
        self.link(0)
        daemon = self.own_daemon(certificate=self.cert, certificate_key=self.key)
        known = [der_of(cert) for cert, _ in self.pairs]
        idle = self.session(self.user(), harness.TLS, daemon, context=any_context())
        self.over, self.failed, self.logins = threading.Event(), [], 0
        kinds = (harness.TLS, harness.STLS)
        threads = [threading.Thread(target=self.work, args=(daemon, self.user(), kinds[i % 2], known)) for i in range(self.CLIENTS)]
        for t in threads:
            t.start()
        try:
            self.more_logins()
            self.link(1)  # two links, swapped
            self.wait_served(daemon, 1, 60)
            self.more_logins()
            for name in (self.cert, self.key):
                os.unlink(name)
            self.copy(1)
            self.more_logins()
            refused = daemon.log().count("certificate refused, the one in use stays")
            shutil.copy(self.pairs[0][0], self.cert)  # in two steps, so far apart that the first is looked at alone
            self.assertTrue(harness.wait_for(lambda: daemon.log().count("certificate refused, the one in use stays") > refused, 60))
            self.more_logins()
            self.assertEqual(served(daemon), known[1])
            shutil.copy(self.pairs[0][1], self.key)
            self.wait_served(daemon, 0, 60)
            with open(self.cert, "w") as f:  # broken
                f.write("-----BEGIN CERTIFICATE-----\nnonsense\n")
            refused = daemon.log().count("certificate refused, the one in use stays")
            self.assertTrue(harness.wait_for(lambda: daemon.log().count("certificate refused, the one in use stays") > refused, 60))
            self.more_logins()
            self.assertEqual(served(daemon), known[0])
            self.copy(1)
            self.wait_served(daemon, 1, 60)
            self.more_logins()
        finally:
            self.over.set()
            for t in threads:
                t.join(60)
        self.assertEqual(self.failed, [])
        idle.ok(b"NOOP")
        idle.quit()


class Names(unittest.TestCase):
    """TLS-13: several certificates, the name that the client asks for picks one."""

    NAMES = ("one.example", "two.example", "*.three.example")

    def setUp(self):
        self.dir = harness.world().path("names-%s" % self._testMethodName)
        os.mkdir(self.dir)
        self.pairs = [self.pair(name, i) for i, name in enumerate(self.NAMES)]

    def pair(self, name, number):
        return harness.make_certificate(self.dir, "name%d" % number, key="ec", subject="/CN=%d" % number, names="DNS:" + name)

    def start(self, **settings):
        daemon = harness.Daemon(certificate=[c for c, _ in self.pairs], certificate_key=[k for _, k in self.pairs], **settings)
        self.addCleanup(lambda: self.assertEqual(daemon.stop(), []))
        return daemon

    def ask(self, daemon, name, kind=harness.TLS, maximum=None):
        """The number of the certificate that a client with this name sees; None: it is refused for the name."""
        context = any_context()
        if maximum:
            context.maximum_version = maximum
        try:
            c = client.Client(daemon, kind, context=context, hostname=name)
        except ssl.SSLError as e:
            self.assertIn("UNRECOGNIZED_NAME", str(e))
            return None
        der = c.sock.getpeercert(binary_form=True)
        c.ok(b"CAPA")
        c.close()
        return [der_of(cert) for cert, _ in self.pairs].index(der)

    def test_TLS_13_the_name_picks_the_certificate(self):
        daemon = self.start()
        for kind in (harness.TLS, harness.STLS):
            for maximum in (ssl.TLSVersion.TLSv1_2, None):
                for name, number in (("one.example", 0), ("two.example", 1), ("TWO.EXAMPLE", 1), ("pop.three.example", 2), (None, 0),
                                     ("three.example", None), ("a.b.three.example", None), ("elsewhere.example", None)):
                    with self.subTest(kind=kind, maximum=maximum, name=name):
                        self.assertEqual(self.ask(daemon, name, kind, maximum), number)
        daemon.log_wait("TLS handshake failed: no certificate has the name that the client asks for", 30)

    def test_TLS_13_a_dot_at_the_end_is_not_part_of_the_name(self):
        daemon = self.start()
        for name, number in (("two.example.", 1), ("pop.three.example.", 2), ("elsewhere.example.", None), ("two.example..", None)):
            with self.subTest(name=name):
                self.assertEqual(self.ask_by_openssl(daemon, name, "-tls1_3"), number)

    def test_TLS_13_an_address_is_no_name(self):
        """RFC 6066 section 3.  Python sends none itself, so the octets are our own."""
        daemon = self.start()
        for name in ("192.0.2.1", "2001:db8::1", "::1"):
            for maximum in ("-tls1_2", "-tls1_3"):
                with self.subTest(name=name, maximum=maximum):
                    self.assertEqual(self.ask_by_openssl(daemon, name, maximum), 0)

    def ask_by_openssl(self, daemon, name, version):
        """As ask(), of a client that sends any name."""
        run = subprocess.run(["openssl", "s_client", version, "-servername", name, "-connect", "127.0.0.1:%d" % daemon.port(harness.TLS)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        found = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", run.stdout.decode("latin-1"), re.DOTALL)
        if found is None:
            return None
        return [der_of(cert) for cert, _ in self.pairs].index(ssl.PEM_cert_to_DER_cert(found[0]))

    def test_TLS_13_unknown_names_may_get_the_first(self):
        daemon = self.start(tls_unknown_name="first")
        for name, number in (("elsewhere.example", 0), ("two.example", 1), (None, 0)):
            self.assertEqual(self.ask(daemon, name), number)

    def test_TLS_13_one_certificate_serves_every_name(self):
        self.pairs = self.pairs[:1]
        daemon = self.start()
        for name in ("elsewhere.example", "one.example", None):
            self.assertEqual(self.ask(daemon, name), 0)

    def test_TLS_13_17_each_of_them_is_watched_and_checked(self):
        daemon = self.start()
        self.assertEqual(self.ask(daemon, "two.example"), 1)
        self.pair("two.example", 1)  # anew, under its name
        new = der_of(self.pairs[1][0])
        self.assertTrue(harness.wait_for(lambda: self.ask_der(daemon, "two.example") == new, 20, 0.5), daemon.log()[-2000:])
        good = daemon.settings["certificate_key"]
        daemon.write_conf(certificate_key=[good[0], good[2], good[1]])
        ctl = control.Control(daemon)
        self.assertRegex(ctl.refused(control.FAILED, "reload"), "certificate_key .*does not belong to")
        daemon.write_conf(certificate_key=good[:2])
        self.assertIn("expected a certificate_key for each certificate", ctl.refused(control.FAILED, "reload"))
        self.assertEqual(self.ask(daemon, "pop.three.example"), 2)
        daemon.write_conf(certificate_key=good)
        ctl.done("reload")

    def test_when_each_of_them_expires_is_told(self):
        daemon = self.start()
        ends = {}
        for path, _ in self.pairs:
            said = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", path], stdout=subprocess.PIPE, check=True).stdout
            end = ssl.cert_time_to_seconds(said.decode().strip().split("=")[1])
            ends[path] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
        ctl = control.Control(daemon)

        def told():
            return {k["path"]: k["expires"] for k in ctl.json("status")["certificates"]}
        self.assertEqual(told(), ends)
        for path, end in ends.items():
            self.assertIn("certificate path=%s expires=%s\n" % (path, end), daemon.log())
        ctl.done("reload")  # also of the new workers
        self.assertEqual(told(), ends)

    def ask_der(self, daemon, name):
        c = client.Client(daemon, harness.TLS, context=any_context(), hostname=name)
        try:
            return c.sock.getpeercert(binary_form=True)
        finally:
            c.close()


if __name__ == "__main__":
    unittest.main()
