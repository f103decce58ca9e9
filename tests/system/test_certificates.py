"""A changed certificate is taken up without a signal; a broken one is refused and the old one stays."""

import os
import shutil
import ssl
import unittest

import client
import harness


def connect(daemon):
    """Whatever certificate is served."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return client.Client(daemon, harness.TLS, context=context)


def served(daemon):
    """The certificate that a new connection is shown, in DER."""
    c = connect(daemon)
    der = c.sock.getpeercert(binary_form=True)
    c.ok(b"QUIT")
    return der


def der_of(path):
    with open(path) as f:
        return ssl.PEM_cert_to_DER_cert(f.read())


class Certificates(unittest.TestCase):
    def setUp(self):
        self.dir = harness.world().path("certs-%s" % self._testMethodName)
        os.mkdir(self.dir)
        self.pairs = [harness.make_certificate(self.dir, "pair%d" % i, key="ec") for i in range(2)]
        self.cert, self.key = (os.path.join(self.dir, name) for name in ("cert.pem", "key.pem"))

    def start(self):
        daemon = harness.Daemon(certificate=self.cert, certificate_key=self.key)
        self.addCleanup(lambda: self.assertEqual(daemon.stop(), []))
        return daemon

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
        self.assertFalse(harness.wait_for(lambda: False, 1))  # the key follows a second later
        shutil.copy(self.pairs[1][1], self.key)
        self.wait_served(daemon, 1)
        self.assertNotIn("refused:", daemon.log())

    def test_TLS_17_a_broken_pair_is_refused_and_the_old_one_stays(self):
        self.copy(0)
        daemon = self.start()
        self.wait_served(daemon, 0)
        shutil.copy(self.pairs[1][1], self.key)  # no longer belongs to the certificate
        daemon.log_wait("login refused: .*does not belong to the certificate", 15)
        self.wait_served(daemon, 0, 1)
        self.copy(1)
        self.wait_served(daemon, 1)


if __name__ == "__main__":
    unittest.main()
