"""pop3ctl doctor: hosts and mailboxes in each of which one thing is broken, and what names it.

A case breaks one thing; the doctor has to name its cause in a line of the level that is given.
"""

import contextlib
import fcntl
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time

import harness
import mailbox
import mboxes
from client import TestCase
from control import Control, answer_of
from harness import PLAIN

MESSAGES = mailbox.simple(3)
OK, WARNING, CRITICAL, UNKNOWN = range(4)
LEVELS = ("ok", "warning", "critical", "unknown")
DAY = 86400


class Doctor(TestCase):
    def found(self, answer, level, cause):
        """A line of this level names the cause."""
        self.assertRegex(answer.out, r"(?m)^%s +[a-z]+: .*%s" % (LEVELS[level], cause), answer)
        self.assertIn(answer.status, (WARNING, CRITICAL) if level == WARNING else (level,), answer)


class Host(Doctor):
    """No daemon runs; what is wrong is found before one is started."""

    settings = None

    def setUp(self):
        super().setUp()
        self.host = harness.Daemon(start=False, log="stderr", idle_timeout=600)
        self.dir = self.host.dir

    def doctor(self, *words, wrap=(), **options):
        done = subprocess.run([*wrap, harness.program("pop3ctl"), "-s", os.path.join(self.dir, "none"), "doctor", "--conf", self.host.conf_path, *words],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, **options)
        self.assertEqual(done.stderr, "")
        done.out, done.status = done.stdout, done.returncode
        return done

    def names(self, level, cause, wrap=(), **options):
        self.found(self.doctor(wrap=wrap, **options), level, cause)

    def test_daemon_does_not_run(self):
        self.names(CRITICAL, "no pop3d runs with this control socket.*to do: start pop3d")

    @harness.needs_root
    def test_nothing_else_is_wrong(self):
        bad = [line for line in self.doctor().out.splitlines() if not line.startswith(("ok ", "critical daemon"))]
        self.assertEqual([line for line in bad if "/dev/log" not in line], [])

    def test_setting_that_does_not_exist(self):
        self.host.write_conf(no_such_setting=1)
        self.names(CRITICAL, r"pop3d.conf:\d+: .*no_such_setting")

    def test_configuration_is_missing(self):
        os.unlink(self.host.conf_path)
        self.names(CRITICAL, "%s: cannot open the configuration file: No such file" % self.host.conf_path)

    @harness.needs_root
    def test_certificate_is_missing(self):
        self.host.write_conf(certificate=self.dir + "/none.pem")
        self.names(CRITICAL, "certificate %s/none.pem: No such file" % self.dir)

    @harness.needs_root
    def test_key_is_another_certificates(self):
        _, key = harness.make_certificate(self.dir, "other")
        self.host.write_conf(certificate_key=key)
        self.names(CRITICAL, "%s.*does not (belong|fit|match)" % key)

    @harness.needs_root
    def test_key_may_be_read_by_all(self):
        cert, key = harness.make_certificate(self.dir, "open")
        os.chmod(key, 0o644)
        self.host.write_conf(certificate=cert, certificate_key=key)
        self.names(WARNING, "%s: every user of this host can read it" % key)

    def dated(self, first, last):
        cert, key = harness.make_certificate(self.dir, "dated")
        stamps = [time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY)) for days in (first, last)]
        conf = os.path.join(self.dir, "ca.conf")
        with open(conf, "w") as f:
            f.write("[ca]\ndefault_ca=a\n[a]\ndatabase=%s/index\nnew_certs_dir=%s\npolicy=p\ndefault_md=sha256\nrand_serial=yes\n[p]\ncommonName=supplied\n" % (self.dir, self.dir))
        open(os.path.join(self.dir, "index"), "w").close()
        request = os.path.join(self.dir, "request")
        for words in (["req", "-new", "-key", key, "-subj", "/CN=localhost", "-out", request],
                      ["ca", "-batch", "-notext", "-selfsign", "-config", conf, "-keyfile", key, "-in", request, "-out", cert,
                       "-startdate", stamps[0], "-enddate", stamps[1]]):
            subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.host.write_conf(certificate=cert, certificate_key=key)
        return cert

    @harness.needs_root
    def test_certificate_has_expired(self):
        cert = self.dated(-20, -10)
        self.names(CRITICAL, "certificate %s: it has expired" % cert)

    @harness.needs_root
    def test_certificate_expires_soon(self):
        cert = self.dated(-20, 5)
        self.names(WARNING, "certificate %s: it expires in [45] days" % cert)

    @harness.needs_root
    def test_clock_is_before_the_certificate(self):
        cert = self.dated(10, 20)
        self.names(CRITICAL, "certificate %s: it is not valid yet.*clock" % cert)

    @harness.needs_root
    def test_pam_service_is_missing(self):
        self.host.write_conf(auth="pam:p3t-no-such-service")
        self.names(CRITICAL, "pam:p3t-no-such-service: the PAM service has no file")

    @harness.needs_root
    def test_pam_module_is_misspelt(self):
        service = harness.pam_service("auth required pam_unixx.so\naccount required pam_unix.so\n")
        self.host.write_conf(auth="pam:" + service)
        self.names(CRITICAL, "/etc/pam.d/%s:1: .*pam_unixx.so" % service)

    @harness.needs_root
    def test_pam_include_is_missing(self):
        service = harness.pam_service("@include common-auht\naccount required pam_unix.so\n")
        self.host.write_conf(auth="pam:" + service)
        self.names(CRITICAL, "/etc/pam.d/%s:1: .*common-auht" % service)

    @harness.needs_root
    def test_pam_control_is_misspelt(self):
        service = harness.pam_service("auth requird pam_unix.so\naccount required pam_unix.so\n")
        self.host.write_conf(auth="pam:" + service)
        self.names(CRITICAL, "/etc/pam.d/%s:1: .*requird" % service)

    @harness.needs_root
    def test_pam_has_no_account_phase(self):
        service = harness.pam_service("auth required pam_unix.so\n")
        self.host.write_conf(auth="pam:" + service)
        self.names(WARNING, "%s: no line for account" % service)

    def user_file(self, text, mode=0o600):
        path = os.path.join(self.dir, "users")
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        self.host.write_conf(auth="file:" + path)
        return path

    def test_user_file_has_a_fault(self):
        path = self.user_file("ann:{plain}x:2001:2001:/srv/ann\nbob\n")
        self.names(WARNING, "%s:2: expected name:password" % path)

    def test_user_file_is_missing(self):
        self.host.write_conf(auth="file:%s/none" % self.dir)
        self.names(CRITICAL, "%s/none: No such file" % self.dir)

    @harness.needs_root
    def test_user_file_may_be_written_by_all(self):
        path = self.user_file("ann:{plain}x:2001:2001:/srv/ann\n", 0o666)
        self.names(CRITICAL, "%s: may be written by group or others" % path)

    @harness.needs_root
    def test_account_of_a_role_is_missing(self):
        self.host.write_conf(login_user="p3t-nobody")
        self.names(CRITICAL, 'system user "p3t-nobody": No such file')

    @harness.needs_root
    def test_port_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.host.servers["clear"]["port"] = taken.getsockname()[1]
            self.host.write_conf()
            self.names(WARNING, "server clear: 127.0.0.1:%d: Address already in use" % taken.getsockname()[1])

    @harness.needs_root
    def test_address_is_not_this_hosts(self):
        self.host.servers["clear"]["addresses"] = ["192.0.2.1"]
        self.host.write_conf()
        self.names(CRITICAL, "server clear: 192.0.2.1:.*Cannot assign")

    @harness.needs_root
    def test_state_directory_may_be_written_by_all(self):
        path = os.path.join(self.dir, "state")
        os.mkdir(path)
        os.chmod(path, 0o777)
        self.names(WARNING, "state_dir %s: .*mode 0777" % path)

    @harness.needs_root
    def test_runtime_directory_is_anothers(self):
        path = os.path.join(self.dir, "run")
        os.mkdir(path)
        os.chown(path, 65534, 65534)
        self.names(CRITICAL, "runtime_dir %s: .*owner 65534" % path)

    @harness.needs_root
    def test_log_daemon_does_not_run(self):
        self.host.write_conf(log="syslog")
        log, wrap = harness.private_syslog()
        self.assertNotIn("/dev/log", self.doctor(wrap=wrap).out)
        log.close()
        self.names(WARNING, "/dev/log: Connection refused", wrap=wrap)

    @harness.needs_root
    def test_too_few_descriptors(self):
        self.host.write_conf(max_connections=500)
        self.names(WARNING, "max_connections.*descriptors", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)))

    def pam_stack(self, text):
        self.service = harness.pam_service(text + "account required pam_unix.so\n")
        self.host.write_conf(auth="pam:" + self.service)

    @harness.needs_root
    def test_pam_jump_lands_on_deny(self):
        # a line was put in, and the number above it left as it was
        self.pam_stack("auth [success=1 default=ignore] pam_unix.so\nauth optional pam_faildelay.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n")
        self.names(CRITICAL, "%s: its lines for auth let nobody in: even if its modules agree, pam_deny.so of .*:3 refuses" % self.service)

    @harness.needs_root
    def test_pam_line_of_another_source_goes_wrong(self):
        self.pam_stack("auth [success=1 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_userdb.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n")
        self.assertNotIn(self.service, self.doctor().out)
        self.pam_stack("auth [success=1 default=ignore] pam_userdb.so\nauth requisite pam_deny.so\nauth [success=1 default=ignore] pam_unix.so\n"
                       "auth requisite pam_deny.so\nauth required pam_permit.so\n")
        self.names(WARNING, "%s:1: whom pam_userdb.so lets in for auth is refused by pam_deny.so of .*:4" % self.service)

    @harness.needs_root
    def test_pam_permit_is_missing(self):
        self.pam_stack("auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n")
        self.names(CRITICAL, "%s: its lines for auth let nobody in" % self.service)

    @harness.needs_root
    def test_pam_lets_everybody_in(self):
        self.pam_stack("auth sufficient pam_unix.so\nauth required pam_permit.so\n")
        self.names(CRITICAL, "%s: its lines for auth let anybody in without a password" % self.service)

    @harness.needs_root
    def test_intermediate_is_missing(self):
        root = harness.make_certificate(self.dir, "root", "/CN=Root of tests")
        between = harness.make_certificate(self.dir, "between", "/CN=Between", issuer=root, ca=True)
        cert, key = harness.make_certificate(self.dir, "leaf", issuer=between)
        self.host.write_conf(certificate=cert, certificate_key=key)
        self.names(WARNING, "certificate %s: an issuer is missing, CN=Between: .*fullchain" % cert)
        with open(cert, "a") as f, open(between[0]) as g, open(root[0]) as h:
            f.write(g.read() + h.read())
        self.assertNotIn("issuer", self.doctor().out)

    @harness.needs_root
    def test_certificates_in_the_wrong_order(self):
        root = harness.make_certificate(self.dir, "root", "/CN=Root of tests")
        cert, key = harness.make_certificate(self.dir, "leaf", issuer=root)
        both = os.path.join(self.dir, "both.pem")
        with open(both, "w") as f:
            f.write(open(root[0]).read() + open(cert).read())
        self.host.write_conf(certificate=both, certificate_key=key)
        self.names(CRITICAL, "%s does not belong to the first certificate of %s but to certificate 2 there" % (key, both))

    @harness.needs_root
    def test_key_has_a_passphrase(self):
        cert, key = harness.make_certificate(self.dir, "secret")
        subprocess.run(["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:x1y2", "-out", key + ".enc"], check=True)
        self.host.write_conf(certificate=cert, certificate_key=key + ".enc")
        self.names(CRITICAL, "%s.enc: .*passphrase" % key)

    @harness.needs_root
    def test_certificate_is_der(self):
        cert, key = harness.make_certificate(self.dir, "binary")
        subprocess.run(["openssl", "x509", "-in", cert, "-outform", "DER", "-out", cert + ".der"], check=True)
        self.host.write_conf(certificate=cert + ".der", certificate_key=key)
        self.names(CRITICAL, "%s.der: .*must be PEM" % cert)

    @harness.needs_root
    def test_port_is_anothers(self):
        with subprocess.Popen([sys.executable, "-c", "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            port = int(other.stdout.readline())
            self.host.servers["clear"]["port"] = port
            self.host.write_conf()
            self.names(WARNING, r"server clear: 127.0.0.1:%d: Address already in use by python3.*, pid %d" % (port, other.pid))
            other.stdin.close()


class Running(Doctor):
    """What the daemon tells of itself."""

    settings = None

    def test_another_certificate_on_disk_than_served(self):
        cert, key = harness.make_certificate(harness.world().dir, "served")
        daemon = self.own_daemon(certificate=cert, certificate_key=key, sandbox="on")
        ctl = Control(daemon)
        before = os.stat(cert)
        shutil.copy2(cert, cert + ".kept")
        subprocess.run(["openssl", "req", "-x509", "-key", key, "-days", "9", "-subj", "/CN=localhost", "-out", cert + ".new"], check=True, stderr=subprocess.DEVNULL)
        os.kill(daemon.pid, 19)  # it cannot look
        try:
            os.rename(cert + ".new", cert)
            self.assertNotEqual(os.stat(cert).st_ino, before.st_ino)
        finally:
            os.kill(daemon.pid, 18)
        self.found(ctl.run("doctor"), WARNING, "certificate %s: the one that is served expires .*to do: .*reload" % cert)

    @harness.needs_root
    def test_certificate_has_another_name(self):
        cert, key = harness.make_certificate(harness.world().dir, "named", "/CN=mail.example.org", names="DNS:mail.example.org,DNS:pop.example.org")
        ctl = Control(self.own_daemon(certificate=cert, certificate_key=key))
        for host, level in (("host.example.net", WARNING), ("pop.example.org", OK)):
            done = subprocess.run(["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host, *ctl.argv("doctor")],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
            wrong = "certificate %s: it has not this host's name %s, but mail.example.org pop.example.org" % (cert, host)
            (self.assertIn if level == WARNING else self.assertNotIn)(wrong, done.stdout, done.stderr)

    def test_host_is_well(self):
        answer = Control(self.own_daemon()).run("doctor")
        self.assertRegex(answer.out, "(?m)^ok +daemon: pop3d is serving$")
        self.assertNotRegex(answer.out, "(?m)^critical")

    def test_json(self):
        rows = answer_of(Control(self.own_daemon()).run("doctor", "--json").out)
        self.assertIn("pop3d is serving", [row["what"] for row in rows])
        for row in rows:
            self.assertEqual(sorted(row), ["action", "check", "level", "what"])

    @harness.needs_root
    def test_control_socket_is_gone(self):
        ctl = Control(daemon := self.own_daemon())
        os.unlink(ctl.path)
        self.found(ctl.run("doctor"), CRITICAL, "pop3d runs with pid %d.*%s" % (daemon.pid, ctl.path))

    @harness.needs_root
    def test_daemon_may_have_too_few_descriptors(self):
        daemon = self.own_daemon(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400)))
        self.found(Control(daemon).run("doctor"), WARNING, "max_connections is 500, but the daemon that runs may have 400 descriptors")

    def test_configuration_was_changed_and_not_loaded(self):
        daemon = self.own_daemon()
        ctl = Control(daemon)
        self.assertNotIn("was changed at", ctl.run("doctor").out)
        os.utime(daemon.conf_path, (time.time() + 60, time.time() + 60))  # by the second
        self.found(ctl.run("doctor"), WARNING, "%s was changed at 2.*, after pop3d had read it at 2.*to do: pop3ctl reload" % daemon.conf_path)


class Mailbox(Doctor):
    """The way of one user; a daemon runs."""

    def setUp(self):
        super().setUp()
        self.ctl = Control(self.daemon)
        self.patient = self.user(MESSAGES)

    def doctor(self, user=None):
        return self.ctl.run("doctor", "clear", (user or self.patient).name)

    def names(self, level, cause, user=None):
        self.found(self.doctor(user), level, cause)

    def path(self, *names):
        return os.path.join(self.patient.maildir.path, *names)

    def test_nothing_is_wrong(self):
        answer = self.doctor()
        self.assertRegex(answer.out, "(?m)^ok +mailbox: .*3 messages")
        self.assertEqual(answer.status, OK, answer)
        client = self.session(self.patient)
        self.assertEqual(len(client.listing(b"UIDL")), 3)

    @harness.needs_root
    def test_no_such_user(self):
        self.found(self.ctl.run("doctor", "clear", "nobody-there"), CRITICAL, "no such account")

    def test_no_such_server(self):
        self.found(self.ctl.run("doctor", "nowhere", self.patient.name), CRITICAL, 'no such server "nowhere"')

    def changed(self, *arguments):
        """An account of its own, changed by chage(1) and the like."""
        user = harness.User()
        user.maildir.make()
        harness.usermod(*arguments, user.name)
        return user

    @harness.needs_root
    def test_account_has_expired(self):
        self.names(CRITICAL, "account expired", self.changed("chage", "-E", "0"))

    @harness.needs_root
    def test_account_is_locked(self):
        self.names(CRITICAL, "account locked", self.changed("usermod", "-L"))

    @harness.needs_root
    def test_password_must_be_changed(self):
        self.names(CRITICAL, "password must be changed", self.changed("chage", "-d", "0"))

    @harness.needs_root
    def test_home_is_missing(self):
        user = self.changed("chage", "-E", "-1")
        shutil.rmtree(user.home)
        self.names(CRITICAL, "%s/Maildir: .*home does not exist" % user.home, user)

    @harness.needs_root
    def test_maildir_was_never_there(self):
        user = self.changed("chage", "-E", "-1")
        user.maildir.remove()
        self.names(WARNING, "%s: does not exist" % user.maildir.path, user)

    def test_maildir_has_gone(self):
        self.session(self.patient).quit()
        self.patient.maildir.remove()
        self.names(CRITICAL, "%s: missing, and not treated as empty: it had mail" % self.path())

    @harness.needs_root
    def test_component_cannot_be_passed(self):
        os.chown(self.patient.home, 0, 0)
        self.addCleanup(os.chown, self.patient.home, self.patient.uid, self.patient.gid)
        self.names(CRITICAL, "%s has owner 0, group 0, mode 0700; this is uid %d" % (self.patient.home, self.patient.uid))

    @harness.needs_root
    def test_mailbox_is_anothers(self):
        os.chown(self.path(), 65534, 65534)
        os.chmod(self.path(), 0o755)
        self.names(CRITICAL, "%s has owner 65534" % self.path())

    def test_a_folder_is_missing(self):
        shutil.rmtree(self.path("cur"))
        self.names(CRITICAL, "%s: open: No such file" % self.path("cur"))

    @harness.needs_root
    def test_folder_cannot_be_written(self):
        os.chmod(self.path("cur"), 0o500)
        self.addCleanup(os.chmod, self.path("cur"), 0o700)
        self.names(CRITICAL, "%s: messages cannot be deleted: Permission denied.* mode 0500" % self.path("cur"))

    @harness.needs_root
    def test_message_cannot_be_read(self):
        path = self.patient.maildir.paths()[1]
        os.chown(path, 0, 0)
        self.names(WARNING, "1 of 3 messages cannot be read, message 2 first: Permission denied")

    @contextlib.contextmanager
    def small_home(self, size):
        options = "size=%s,mode=700,uid=%d,gid=%d" % (size, self.patient.uid, self.patient.gid)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.patient.home], check=True)
        harness.world().registry.add("mount", self.patient.home)
        try:
            self.patient.maildir.make()
            yield
        finally:
            subprocess.run(["umount", "-l", self.patient.home], check=True)

    @harness.needs_root
    def test_disk_is_full(self):
        with self.small_home("256k"):
            with contextlib.suppress(OSError), open(os.path.join(self.patient.home, "filler"), "wb", buffering=0) as f:
                while True:
                    f.write(b"x" * 4096)
            self.names(CRITICAL, "%s: No space left on device" % self.path())

    def test_quota_is_reached(self):
        with open(self.path("maildirsize"), "w") as f:
            f.write("1000S\n1200 3\n")
        os.chown(f.name, self.patient.uid, self.patient.gid)
        self.names(WARNING, "maildirsize: 1200 of 1000 octets")

    def test_lock_is_held(self):
        self.session(self.patient, PLAIN)
        self.names(WARNING, r"in use since .* from 127\.0\.0\.1.*to do: .*conn kill")

    def test_unique_ids_are_broken(self):
        with open(self.path("pop3d-uids"), "w") as f:
            f.write("#\nbroken\n")
        os.chown(f.name, self.patient.uid, self.patient.gid)
        self.names(WARNING, "pop3d-uids: line 2")
        os.unlink(self.path("pop3d-uids"))
        os.mkdir(self.path("pop3d-uids"))
        self.names(CRITICAL, "pop3d-uids")

    def test_two_files_of_one_base_name(self):
        path = self.patient.maildir.paths()[0]
        base = os.path.basename(path).split(":")[0]
        self.patient.maildir.write("cur", base + ":2,F", b"another\n")
        self.names(WARNING, "files have a base name that another has, %s" % base)

    def test_size_in_a_name_is_wrong(self):
        self.patient.maildir.write("cur", "1700000000.M1P1.host,S=5000:2,", MESSAGES[0])
        self.names(WARNING, r"1 files have not the size in their names .*1700000000\.M1P1\.host,S=5000")

    def test_nuls(self):
        self.patient.maildir.deliver(mailbox.letter("nul", b"a\0b\n"))
        self.names(WARNING, "1 of 4 messages.*NUL.*message 4")

    def test_long_lines(self):
        self.patient.maildir.deliver(mailbox.letter("long", b"x" * 2049 + b"\n"))
        self.patient.maildir.deliver(mailbox.letter("not", b"x" * 2046 + b"\n"))
        self.names(WARNING, "1 of 5 messages.*2048 octets.*message 4")

    def test_damaged_compressed_message(self):
        self.patient.maildir.deliver(b"\x1f\x8b\x08\0\0\0\0\0" + b"\xff" * 100)
        self.names(WARNING, "1 of 4 messages.*cannot be read.*message 4")

    def test_usage(self):
        for words in (["clear"], ["clear", "x", "y"], ["--conf"], ["--conf", "x", "clear", "y"]):
            answer = self.ctl.run("doctor", *words)
            self.assertEqual((answer.status, answer.out), (UNKNOWN, ""))
            self.assertIn('should be "pop3ctl doctor', answer.err)

    def test_what_a_mailbox_says_cannot_forge_a_finding(self):
        name = "1700000000.M1P1.host,S=5000\tok\n\x1b[31m:2,"
        self.patient.maildir.write("cur", name, MESSAGES[0])
        answer = self.doctor()
        self.assertNotRegex(answer.out, "(?m)^ok +mailbox: *$")
        self.assertNotIn("\x1b", answer.out)
        for row in answer_of(self.ctl.run("doctor", "clear", self.patient.name, "--json").out):
            self.assertIn(row["level"], LEVELS)

    # --- more of what befalls hosts

    def test_no_such_server_tells_which_there_are(self):
        self.found(self.ctl.run("doctor", "nowhere", self.patient.name), CRITICAL, "no such server.*to do: name one of clear secure$")

    def pam_daemon(self, text):
        self.service = harness.pam_service("auth required pam_unix.so\n" + text + "account required pam_unix.so\n")
        self.ctl = Control(self.own_daemon(auth="pam:" + self.service))

    @harness.needs_root
    def test_nologin(self):
        path = harness.world().path("nologin")
        self.pam_daemon("account requisite pam_nologin.so file=%s\n" % path)
        self.assertEqual(self.doctor().status, OK)
        with open(path, "w") as f:
            f.write("closed\n")
        self.names(CRITICAL, "/etc/pam.d/%s:2: pam_nologin.so refuses %s" % (self.service, self.patient.name))

    @harness.needs_root
    def test_shell_is_none(self):
        self.pam_daemon("auth required pam_shells.so\n")
        user = self.changed("usermod", "-s", "/no/shell")
        self.names(CRITICAL, "/etc/pam.d/%s:2: pam_shells.so refuses %s" % (self.service, user.name), user)

    @harness.needs_root
    def test_access_is_refused(self):
        path = harness.world().path("access.conf")
        with open(path, "w") as f:
            f.write("-:%s:ALL\n" % self.patient.name)
        self.pam_daemon("account required pam_access.so accessfile=%s\n" % path)
        self.names(CRITICAL, "/etc/pam.d/%s:2: pam_access.so refuses %s" % (self.service, self.patient.name))

    @harness.needs_root
    def test_password_is_where_no_module_looks(self):
        self.pam_daemon("")
        self.assertEqual(self.doctor().status, OK)
        service = harness.pam_service("auth sufficient pam_userdb.so db=/none\nauth required pam_deny.so\naccount required pam_unix.so\n")
        self.ctl = Control(self.own_daemon(auth="pam:" + service))
        self.names(WARNING, r"PAM service %s: shadow\(5\) has the password of %s, and pam_unix.so.* is not among.*they ask pam_userdb.so" % (service, self.patient.name))

    @harness.needs_root
    def test_entry_of_the_user_file(self):
        path = harness.world().path("entries")
        for password, rest, level, cause in (("!$6$a$b", "", CRITICAL, "%s is locked"), ("{SSHA}abc", "", CRITICAL, "%s is locked, or the password there is of no known form"),
                                             ("{apop}x", "", OK, "%s has a secret for APOP, and no password"),
                                             ("{plain}x", ":allow=192.0.2.0/24", OK, "%s may log in from some networks only: allow=192.0.2.0/24")):
            with open(path, "w") as f:
                f.write("%s:%s:%d:%d:%s%s\n" % (self.patient.name, password, self.patient.uid, self.patient.gid, self.patient.home, rest))
            os.chmod(path, 0o600)
            self.ctl = Control(self.own_daemon(auth="file:" + path))
            self.names(level, "%s: %s" % (path, cause % self.patient.name))

    @harness.needs_root
    def test_password_was_never_set(self):
        for hash in ("!", "*"):
            self.names(WARNING, "no password is set in shadow.*to do: passwd ", self.changed("usermod", "-p", hash))

    @harness.needs_root
    def test_password_is_empty(self):
        self.names(WARNING, "the password is empty in shadow", self.changed("usermod", "-p", ""))

    @harness.needs_root
    def test_password_hash_is_unknown(self):
        self.names(WARNING, "the password is no hash", self.changed("usermod", "-p", "{SSHA}abcdefgh"))

    @harness.needs_root
    def test_minimum_uid(self):
        self.ctl = Control(self.own_daemon(minimum_uid=60000))
        self.names(CRITICAL, "minimum_uid")

    @harness.needs_root
    def test_read_only_mount(self):
        with self.small_home("256k"):
            subprocess.run(["mount", "-o", "remount,ro", self.patient.home], check=True)
            self.names(CRITICAL, "%s: Read-only file system" % self.path())

    @harness.needs_root
    def test_no_inodes(self):
        with self.small_home("256k,nr_inodes=12"):
            with contextlib.suppress(OSError):
                for i in range(20):
                    open(os.path.join(self.patient.home, str(i)), "w").close()
            self.names(CRITICAL, "%s: .*inodes" % self.path())

    def test_new_is_a_file(self):
        shutil.rmtree(self.path("new"))
        open(self.path("new"), "w").close()
        self.addCleanup(os.unlink, self.path("new"))
        self.names(CRITICAL, "%s: .*Not a directory" % self.path("new"))

    def test_new_is_a_link_to_nowhere(self):
        shutil.rmtree(self.path("new"))
        os.symlink("/nowhere/new", self.path("new"))
        self.addCleanup(os.unlink, self.path("new"))
        self.names(CRITICAL, "%s: .*: it is a link to /nowhere/new" % self.path("new"))

    def test_empty_messages(self):
        self.patient.maildir.deliver(b"")
        self.names(WARNING, "1 of 4 messages are empty.*message 4")

    def test_mail_lies_elsewhere(self):
        mboxes.home_box(self.patient)
        self.patient.maildir.fill(())
        with open(os.path.join(self.patient.home, "mbox"), "wb") as f:
            f.write(mboxes.block(MESSAGES[0]))
        self.addCleanup(os.unlink, f.name)
        os.chown(f.name, self.patient.uid, self.patient.gid)
        self.names(WARNING, "%s: no mail is here, but there is some in %s" % (self.path(), f.name))
        os.truncate(f.name, 0)
        self.assertNotIn("no mail is here", self.doctor().out)
        other = mailbox.Maildir(os.path.join(self.patient.home, ".maildir"), self.patient.uid, self.patient.gid)
        other.fill(MESSAGES)
        self.addCleanup(shutil.rmtree, other.path)
        self.names(WARNING, "%s: no mail is here, but there is some in %s" % (self.path(), other.path))

    def test_unique_ids_were_not_taken_over(self):
        with open(self.path("dovecot-uidlist"), "w") as f:
            f.write("3 V1700000000 N4 G0123\n")
        os.chown(f.name, self.patient.uid, self.patient.gid)
        self.found(self.doctor(), OK, "dovecot-uidlist: .* not taken over.*pop3ctl uidl import --from dovecot")
        os.rename(f.name, self.path("courierpop3dsizelist"))
        self.names(WARNING, "courierpop3dsizelist: .*pop3ctl uidl import --from courier")

    def mbox(self):
        self.ctl = Control(self.own_daemon(storage="mbox:%h/mail/inbox"))
        return mboxes.home_box(self.patient).fill(MESSAGES)

    def test_stale_dot_lock(self):
        box = self.mbox()
        with open(box.path + ".lock", "w") as f:
            f.write("1")
        os.chown(f.name, self.patient.uid, self.patient.gid)
        self.names(WARNING, "%s: locked by another program: by its file %s.lock, of uid %d, since 2" % (box.path, box.path, self.patient.uid))
        os.unlink(f.name)
        with open(box.path, "r+") as f:
            fcntl.lockf(f, fcntl.LOCK_EX)
            self.names(WARNING, "%s: locked by another program: by process %d" % (box.path, os.getpid()))

    @harness.needs_root
    def test_mbox_is_roots(self):
        box = self.mbox()
        os.chown(box.path, 0, 0)
        self.names(CRITICAL, "%s has owner 0" % box.path)

    @harness.needs_root
    def test_mbox_folder_cannot_be_written(self):
        box = self.mbox()
        folder = os.path.dirname(box.path)
        os.chmod(folder, 0o500)
        self.addCleanup(os.chmod, folder, 0o700)
        self.assertRegex(self.doctor().out, folder)

    def test_mbox_begins_with_something_else(self):
        box = self.mbox()
        box.write(b"Subject: no mbox\n\n" + mboxes.block(MESSAGES[0]))
        self.names(CRITICAL, "%s: .*From_ line" % box.path)
