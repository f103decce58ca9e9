"""pop3ctl autoconfig: what lets mail programs find the servers of a configuration, as they would read it."""

import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import harness
from client import TestCase
from control import DONE, FAILED, USAGE, Answer, Control

BOTH = 'server pop3s { port = 995 socket = "tls" }\nserver pop3 { port = {110, 1110} socket = "plain+stls" }\n'
NOWHERE = (0, 0, 0, ".")


class Autoconfig(TestCase):
    def setUp(self):
        super().setUp()
        self.ctl = Control(self.daemon)
        self.folder = os.path.join(harness.world().dir, "autoconfig-" + self.id().rsplit(".", 1)[1])
        os.mkdir(self.folder)

    def certificate(self, *names):
        path = os.path.join(self.folder, "cert-%d" % len(os.listdir(self.folder)))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=x",
                        "-keyout", path + ".key", "-out", path, *(["-addext", "subjectAltName=" + ",".join("DNS:" + n for n in names)] if names else [])],
                       check=True, capture_output=True)
        return path

    def named(self, *paths):
        """Those of certificates."""
        def listed(suffix):
            return "{%s}" % ", ".join('"%s%s"' % (path, suffix) for path in paths)
        return "certificate = %s\ncertificate_key = %s\n" % (listed(""), listed(".key"))

    def run_on(self, text, *words, host="elsewhere.example.net"):
        """On a host of that name, with this configuration."""
        path = os.path.join(self.folder, "pop3d.conf")
        with open(path, "w") as f:
            f.write(text)
        command = self.ctl.argv("autoconfig", "--conf", path, *words)
        done = subprocess.run(["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        return Answer(done.returncode, done.stdout, done.stderr)

    def done(self, text, *words, **options):
        answer = self.run_on(text, *words, **options)
        self.assertEqual((answer.status, answer.err), (DONE, ""), answer)
        return answer.out

    def records(self, text):
        """SRV records of a zone: {(service, domain): [(priority, weight, port, target), ...]}."""
        out = {}
        for line in text.splitlines():
            found = re.fullmatch(r"(_[a-z0-9]+)\._tcp\.(\S+)\. IN SRV (\d+) (\d+) (\d+) (\S+)", line)
            if not found:
                self.assertRegex(line, r"\A(;.*)?\Z")
                continue
            service, domain, *numbers, target = found.groups()
            self.assertTrue(target.endswith("."))
            out.setdefault((service, domain), []).append((*map(int, numbers), target))
        return out

    def servers(self, text):
        """The domain and the servers of a file for Thunderbird: (type, host, port, socket, user name, how)."""
        top = ElementTree.fromstring(text.encode())
        self.assertEqual((top.tag, top.attrib), ("clientConfig", {"version": "1.1"}))
        provider, = top
        return provider.findtext("domain"), [
            (s.get("type"), *[s.findtext(name) for name in ("hostname", "port", "socketType", "username", "authentication")]) for s in provider.findall("incomingServer")]

    def test_names_of_the_certificate(self):
        conf = self.named(self.certificate("*.example.org", "mail.example.org", "www.example.org")) + BOTH
        self.assertEqual(self.records(self.done(conf, "--dns")), {
            ("_pop3s", "example.org"): [(0, 1, 995, "mail.example.org.")],
            ("_pop3", "example.org"): [(0, 1, 110, "mail.example.org."), (1, 1, 1110, "mail.example.org.")]})
        domain, servers = self.servers(self.done(conf, "--xml"))
        self.assertEqual(domain, "example.org")
        self.assertEqual(servers, [("pop3", "mail.example.org", port, kind, "%EMAILLOCALPART%", "password-cleartext")
                                   for port, kind in (("995", "SSL"), ("110", "STARTTLS"), ("1110", "STARTTLS"))])
        both = self.done(conf)
        self.assertIn("https://autoconfig.example.org/mail/config-v1.1.xml", both)
        records, _, file = both.partition("\n<?xml")
        self.assertEqual(len(self.records(records)), 2)
        self.assertEqual(self.servers("<?xml" + file), (domain, servers))

    def test_one_server_and_what_is_not_there(self):
        conf = self.named(self.certificate("mail.example.org")) + BOTH
        self.assertEqual(self.records(self.done(conf, "--dns", "pop3s")), {("_pop3s", "example.org"): [(0, 1, 995, "mail.example.org.")], ("_pop3", "example.org"): [NOWHERE]})
        answer = self.run_on(conf, "other")
        self.assertEqual((answer.status, answer.out), (FAILED, ""))
        self.assertIn('no such server "other"', answer.err)

    def test_domains_of_several_certificates(self):
        conf = self.named(self.certificate("mail.example.org"), self.certificate("pop.example.com")) + BOTH
        records = self.records(self.done(conf, "--dns"))
        self.assertEqual(records["_pop3s", "example.org"], [(0, 1, 995, "mail.example.org.")])
        self.assertEqual(records["_pop3s", "example.com"], [(0, 1, 995, "pop.example.com.")])
        answer = self.run_on(conf, "--xml")
        self.assertEqual((answer.status, answer.out), (FAILED, ""))
        self.assertIn("by --domain, as example.org or example.com", answer.err)
        domain, servers = self.servers(self.done(conf, "--xml", "--domain", "example.com"))
        self.assertEqual((domain, servers[0][1]), ("example.com", "pop.example.com"))
        domain, servers = self.servers(self.done(conf, "--xml", "--domain", "example.net"))
        self.assertEqual((domain, servers[0][1]), ("example.net", "mail.example.org"))

    def test_names_that_need_escapes(self):
        conf = self.named(self.certificate("a&b<c>.example.org", "two words.example.org")) + BOTH
        domain, servers = self.servers(self.done(conf, "--xml"))
        self.assertEqual((domain, servers[0][1]), ("example.org", "a&b<c>.example.org"))
        self.assertEqual(self.records(self.done(conf, "--dns", "--domain", 'x"y;z'))["_pop3s", r"x\034y\059z"], [(0, 1, 995, r"a\038b\060c\062.example.org.")])
        self.assertEqual(self.servers(self.done(conf, "--xml", "--domain", 'x"y&z<'))[0], 'x"y&z<')
        for name in ("", "two words", "ex\u00e4mple.org", "a\nb"):
            self.assertEqual(self.run_on(conf, "--domain", name).status, USAGE, name)

    def test_without_tls(self):
        conf = 'server pop3 { port = 110 socket = "plain" cleartext_login = "%s" }\n'
        text = self.done(conf % "always", "--dns", host="mx.example.net")
        self.assertEqual(self.records(text), {("_pop3s", "example.net"): [NOWHERE], ("_pop3", "example.net"): [(0, 1, 110, "mx.example.net.")]})
        self.assertEqual(self.servers(self.done(conf % "always", "--xml", host="mx.example.net"))[1],
                         [("pop3", "mx.example.net", "110", "plain", "%EMAILLOCALPART%", "password-cleartext")])
        for word in ("loopback", "never"):
            answer = self.run_on(conf % word)
            self.assertEqual((answer.status, answer.out), (FAILED, ""))
            self.assertIn('"pop3" is left out: it has no TLS', answer.err)

    def test_whose_certificate_names_no_host(self):
        for names in ((), ("*.example.org",)):
            conf = self.named(self.certificate(*names)) + BOTH
            self.assertEqual(self.servers(self.done(conf, "--xml"))[1][0][1], "elsewhere.example.net")

    def test_what_users_log_in_as(self):
        certificate = self.named(self.certificate("mail.example.org"))
        for setting, domain, name in (('username_domain = "strip"', "example.org", "%EMAILADDRESS%"), ('username_domain = "example.com"', "example.com", "%EMAILADDRESS%"),
                                      ('storage = "maildir:/srv/%d/%n"', "example.org", "%EMAILADDRESS%"), ("", "example.org", "%EMAILLOCALPART%")):
            found, servers = self.servers(self.done("%s\n%s%s" % (setting, certificate, BOTH), "--xml"))
            self.assertEqual((found, {s[4] for s in servers}), (domain, {name}), setting)

    def test_where_no_client_comes(self):
        answer = self.ctl.run("autoconfig")  # of the running daemon
        self.assertEqual((answer.status, answer.out), (FAILED, ""))
        for name in ("clear", "secure"):
            self.assertIn('server "%s" is left out: it listens on this host\'s own addresses alone\n' % name, answer.err)
        conf = self.named(self.certificate("mail.example.org")) + 'server a { port = 1995 socket = "tls" addresses = {"127.0.0.1", "::1"} }\n' + BOTH
        answer = self.run_on(conf, "--dns")
        self.assertEqual(answer.status, DONE)
        self.assertIn('server "a" is left out: ', answer.err)
        self.assertEqual(self.records(answer.out)["_pop3s", "example.org"], [(0, 1, 995, "mail.example.org.")])
        conf = conf.replace('"::1"', '"192.0.2.1"')
        self.assertEqual(len(self.records(self.done(conf, "--dns"))["_pop3s", "example.org"]), 2)

    def test_what_is_wrong_is_said(self):
        for words in (("--nonsense",), ("a", "b"), ("--dns", "--xml"), ("--conf",)):
            self.ctl.refused(USAGE, "autoconfig", *words)
        for conf, said in (("nonsense = 1\n", "nonsense"), (self.named("/nonexistent/cert") + BOTH, "/nonexistent/cert")):
            answer = self.run_on(conf)
            self.assertEqual((answer.status, answer.out), (FAILED, ""), answer)
            self.assertIn(said, answer.err)
