"""The key process: it signs handshakes, and no other process has a private key."""

import concurrent.futures
import os
import re
import signal
import ssl
import subprocess
import unittest

import harness
import mailbox
from client import Client, TestCase
from harness import STLS, TLS
from test_certificates import any_context

MESSAGES = mailbox.simple(2)
KINDS = ("rsa:2048", "ec:P-256", "ec:P-384", "ec:P-521", "ed25519")
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
PROGRAM = "pop3d-key"


def context_of(version):
    context = any_context()
    context.minimum_version = context.maximum_version = version
    return context


class Pairs(TestCase):
    """A daemon with a certificate of each kind, each with a name of its own."""

    def start(self, kinds=KINDS, **settings):
        folder = harness.world().path("keys-%s" % self._testMethodName)
        os.mkdir(folder)
        self.pairs = [harness.make_certificate(folder, "key%d" % i, key=kind, names="DNS:" + self.name(i)) for i, kind in enumerate(kinds)]
        return self.own_daemon(certificate=[c for c, _ in self.pairs], certificate_key=[k for _, k in self.pairs], **settings)

    @staticmethod
    def name(number):
        return "k%d.example" % number


class Handshakes(Pairs):
    def test_TLS_19_each_kind_of_key_in_each_version(self):
        daemon, user = self.start(), self.user(MESSAGES)
        for number, kind in enumerate(KINDS):
            for version in VERSIONS:
                for how in (TLS, STLS):
                    with self.subTest(key=kind, version=version, how=how):
                        client = Client(daemon, how, context=context_of(version), hostname=self.name(number))
                        client.login(user)
                        client.quit()

    def test_TLS_19_each_scheme_of_signatures(self):
        """What the client verifies is said by openssl: "Peer signature type: RSA-PSS"."""
        daemon = self.start()
        for number, schemes in ((0, ("rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512", "RSA+SHA256", "RSA+SHA384", "RSA+SHA512")),
                                (1, ("ECDSA+SHA256",)), (2, ("ECDSA+SHA384",)), (3, ("ECDSA+SHA512",)), (4, ("ed25519",))):
            for scheme in schemes:
                for version in ("-tls1_2", "-tls1_3"):
                    only_12 = scheme.startswith("RSA+") and version == "-tls1_3"
                    with self.subTest(scheme=scheme, version=version):
                        found = re.search("Peer signature type: ([^\n]+)", self.openssl(daemon, number, version, "-sigalgs", scheme))
                        self.assertEqual(found is None, only_12)

    def test_TLS_19_no_key_exchange_but_ECDHE(self):
        daemon = self.start(("rsa:2048",), tls_ciphers="ALL:@SECLEVEL=1")
        for cipher in ("AES128-GCM-SHA256", "AES256-SHA", "DHE-RSA-AES128-GCM-SHA256"):
            self.assertIn("alert handshake failure", self.openssl(daemon, 0, "-tls1_2", "-cipher", cipher + ":@SECLEVEL=1"))

    def openssl(self, daemon, number, *options):
        run = subprocess.run(["openssl", "s_client", *options, "-servername", self.name(number), "-connect", "127.0.0.1:%d" % daemon.port(TLS)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return run.stdout.decode("latin-1")


class Process(Pairs):
    def handshake(self, daemon):
        """One that begins now; the future of its outcome."""
        pool = concurrent.futures.ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)
        return pool.submit(Client, daemon, TLS, context=any_context())

    @staticmethod
    def is_asked(pid):
        """Does a message of a worker, or of master, wait for the stopped process?"""
        lines = subprocess.check_output(["ss", "-Hxpn"]).decode().splitlines()
        return any(line.startswith("u_seq") and "pid=%d," % pid in line and int(line.split()[2]) > 0 for line in lines)

    def stop(self, daemon):
        pids = daemon.role(PROGRAM)
        self.assertEqual(len(pids), 1)
        os.kill(pids[0], signal.SIGSTOP)
        harness.wait_for(lambda: harness.status(pids[0])["State"].startswith("T"), 10)
        return pids[0]

    @harness.needs_root
    def test_SYS_09_it_has_a_user_of_its_own_and_nothing_else(self):
        daemon = self.start(("ec",))
        self.connect(TLS, daemon, context=any_context()).quit()
        (pid,) = daemon.role(PROGRAM)
        state = harness.status(pid)
        uid = int(subprocess.check_output(["id", "-u", daemon.settings["key_user"]]))
        self.assertEqual(state["Uid"].split(), [str(uid)] * 4)
        self.assertEqual((int(state["CapEff"], 16), int(state["CapBnd"], 16), state["Groups"].split()), (0, 0, []))
        self.assertEqual(os.listdir("/proc/%d/root/" % pid), [])
        if harness.SANDBOX != "off":
            self.assertEqual((state["NoNewPrivs"], state["Seccomp"]), ("1", "2"))
        for fd, target in harness.links(pid).items():
            self.assertTrue(target.startswith(("socket:", "anon_inode:", "/dev/null", "pipe:")), "%d %s" % (fd, target))

    def test_SYS_09_one_that_is_killed_is_started_again_and_sessions_go_on(self):
        daemon, user = self.start(("ec",)), self.user(MESSAGES)
        client = self.session(user, TLS, daemon, context=any_context())
        (old,) = daemon.role(PROGRAM)
        os.kill(old, signal.SIGKILL)
        daemon.log_wait("key process lost(.|\n)* keys ready generation=1", 10)
        self.assertNotIn(old, daemon.role(PROGRAM))
        self.assertEqual(client.multi(b"RETR 1"), mailbox.wire(MESSAGES[0]))
        for _ in range(4):  # each worker
            self.connect(TLS, daemon, context=any_context()).quit()
        client.quit()

    @harness.needs_root
    def test_SYS_09_a_handshake_under_way_fails_with_it(self):
        daemon = self.start(("ec",), login_workers=1, handshake_timeout=60)
        pid = self.stop(daemon)
        done = self.handshake(daemon)
        self.assertTrue(harness.wait_for(lambda: self.is_asked(pid), 10))
        os.kill(pid, signal.SIGKILL)
        self.assertIsInstance(done.exception(30), (OSError, ssl.SSLError, AssertionError))
        daemon.log_wait("the key process gives no signature", 10)
        self.assertTrue(harness.wait_for(lambda: self.serves(daemon), 10))

    def test_SYS_09_a_client_that_goes_meanwhile_leaves_nothing(self):
        daemon = self.start(("ec",), login_workers=1, handshake_timeout=1)
        (worker,) = daemon.role("pop3d-login")
        pid = self.stop(daemon)
        for _ in range(3):
            self.assertIsNotNone(self.handshake(daemon).exception(30))
        self.assertTrue(harness.wait_for(lambda: daemon.log().count("it took too long") == 3, 10))
        os.kill(pid, signal.SIGCONT)
        self.assertTrue(harness.wait_for(lambda: self.serves(daemon), 10))
        self.assertEqual((daemon.role("pop3d-login"), daemon.role(PROGRAM)), ([worker], [pid]))

    def test_SYS_09_a_reload_brings_new_keys_and_ends_the_former_process(self):
        daemon = self.start(("ec",))
        (old,) = daemon.role(PROGRAM)
        daemon.reload()
        self.assertTrue(harness.wait_for(lambda: len(daemon.role(PROGRAM)) == 1 and daemon.role(PROGRAM) != [old], 10))
        self.connect(TLS, daemon, context=any_context()).quit()

    def test_SYS_09_a_former_generation_keeps_its_keys_while_it_has_clients(self):
        daemon, user = self.start(("ec",)), self.user(MESSAGES)
        waiting = Client(daemon, harness.PLAIN, context=any_context())
        daemon.reload()
        self.assertEqual(len(daemon.role(PROGRAM)), 2)
        waiting.stls()
        waiting.login(user)
        waiting.quit()
        self.assertTrue(harness.wait_for(lambda: len(daemon.role(PROGRAM)) == 1, 10))

    def test_SYS_09_none_without_a_certificate(self):
        daemon = self.own_daemon(certificate=None, certificate_key=None, servers={
            "clear": {"addresses": ["127.0.0.1"], "port": harness.free_port(), "socket": "plain"}})
        self.assertEqual(daemon.role(PROGRAM), [])

    @staticmethod
    def serves(daemon):
        try:
            Client(daemon, TLS, context=any_context()).quit()
        except (OSError, AssertionError):
            return False
        return True


def private_numbers(path):
    """The secret numbers of a private key file, as octets in either order."""
    text = subprocess.check_output(["openssl", "pkey", "-in", path, "-noout", "-text"]).decode()
    found = re.findall(r"^(?:priv|privateExponent|prime1|prime2):\s*((?:\s+[0-9a-f:]+\n)+)", text, re.M)
    numbers = [bytes.fromhex(re.sub("[^0-9a-f]", "", n)).lstrip(b"\0") for n in found]
    return [n for number in numbers for n in (number, number[::-1])]


def holds(pid, secrets):
    return any(secret in piece for piece in harness.memory(pid) for secret in secrets)


class Memory(Pairs):
    LOGINS = 40

    @harness.needs_root
    def test_SYS_09_no_private_key_but_in_the_key_process(self):
        kinds = ("rsa:2048", "ec:P-256", "ed25519")
        daemon, user = self.start(kinds), self.user(MESSAGES)
        for i in range(self.LOGINS):
            client = Client(daemon, TLS, context=context_of(VERSIONS[i % 2]), hostname=self.name(i % len(kinds)))
            client.login(user)
            client.quit()
        (key,) = daemon.role(PROGRAM)
        others = [daemon.pid] + daemon.role("pop3d-login") + daemon.role("pop3d-auth") + daemon.role("pop3d-dispatch") + daemon.role("pop3d-session")
        for kind, (_, path) in zip(kinds, self.pairs):
            secrets = private_numbers(path)
            self.assertTrue(secrets, path)
            with self.subTest(key=kind):
                self.assertTrue(holds(key, secrets), "the search finds no key where one is")
                self.assertEqual([harness.command_line(pid) for pid in others if holds(pid, secrets)], [])


if __name__ == "__main__":
    unittest.main()
