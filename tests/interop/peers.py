"""Other programs at work in the same mailboxes, Dovecot, Courier, delivery agents; and HAProxy in front.

Dovecot, Courier and HAProxy come from Debian's packages, which conflict with each other and would start services:
they are only unpacked.  A program of theirs sees its tree laid over /usr, in a mount namespace of its own;
it listens on free loopback ports, and serves users of the tests alone.
"""

import atexit
import contextlib
import functools
import glob
import imaplib
import os
import poplib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../system"))

import harness  # noqa: E402

# How they are fetched.  Dovecot with what it needs and this host has not; of Courier one program is used alone.
PACKAGES = {
    "dovecot": ["install", "--download-only", "--no-install-recommends", "dovecot-imapd", "dovecot-pop3d"],
    "courier": ["download", "courier-pop"],
    "haproxy": ["install", "--download-only", "--no-install-recommends", "haproxy"],
}

# A command that tells whether the peer can be run here, and what it says then.
PROBES = {
    "dovecot": (["/usr/sbin/dovecot", "--version"], (b"2.3.", b"2.4.")),
    "courier": (["test", "-x", "/usr/lib/courier/courier/courierpop3d"], b""),
    "haproxy": (["/usr/sbin/haproxy", "-v"], b"HAProxy "),
}


# --- packages ------------------------------------------------------------------------------

def run_apt(*arguments, folder="/"):
    """apt-get; returns what it said if it failed, or None."""
    try:
        done = subprocess.run(["apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=60", *arguments], cwd=folder, timeout=120,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except (OSError, subprocess.TimeoutExpired) as e:
        return str(e)
    return "apt-get: %s" % done.stdout.decode(errors="replace").strip()[-300:] if done.returncode else None


def fetch(name, *arguments):
    """Fetch Debian packages and unpack them below PEERS/name; returns what went wrong, or None."""
    folder = os.path.join(os.environ["P3T_PEERS"], name)
    os.makedirs(os.path.join(folder, "partial"))
    os.makedirs(os.path.join(folder, "usr"))
    arguments = [*arguments, "-o", "Dir::Cache::archives=" + folder]
    failed = run_apt(*arguments, folder=folder) and (run_apt("update") or run_apt(*arguments, folder=folder))
    if failed:
        return failed
    for package in glob.glob(os.path.join(folder, "*.deb")):
        done = subprocess.run(["dpkg-deb", "-x", package, folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            return "%s: %s" % (package, done.stdout.decode(errors="replace")[-300:])
    return None


def get_all():
    """Fetch all once, for all programs of this run; what failed is written down for the tests to skip."""
    if "P3T_PEERS" in os.environ or os.geteuid() != 0:
        return
    root = tempfile.mkdtemp(prefix="p3t-peers-")
    os.chmod(root, 0o755)  # services run as other users
    os.environ["P3T_PEERS"] = root
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    for name, arguments in PACKAGES.items():
        failed = fetch(name, *arguments)
        if failed:
            with open(os.path.join(root, name + ".missing"), "w") as f:
                f.write(failed)


def missing(name):
    """Why a peer cannot be run, or None."""
    if "P3T_PEERS" not in os.environ:
        return "the packages are fetched by tests/interop/run.py"
    try:
        with open(os.path.join(os.environ["P3T_PEERS"], name + ".missing")) as f:
            return f.read()
    except FileNotFoundError:
        pass
    command, answer = PROBES[name]
    probe = subprocess.run(inside(name, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if probe.returncode == 0 and probe.stdout.startswith(answer):
        return None
    return "%s does not run with its tree over /usr: %s" % (name, probe.stdout.decode(errors="replace").strip())


def inside(name, command):
    """The command that runs `command` with the peer's tree over /usr."""
    over = os.path.join(os.environ["P3T_PEERS"], name, "usr")
    return ["unshare", "-m", "sh", "-c", 'mount -t overlay overlay -o "lowerdir=$0:/usr" /usr && exec "$@"', over, *command]


# --- Dovecot -------------------------------------------------------------------------------

# What is the same in both versions.
CONF = """
listen = 127.0.0.1
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
default_internal_user = {internal}
default_internal_group = {internal}
default_login_user = {login}
ssl = no
first_valid_uid = 1
auth_mechanisms = plain
mail_max_userip_connections = 0
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""

CONF_2_3 = """
protocols = imap pop3
disable_plaintext_auth = no
passdb {{
  driver = {passdb}
  args = {passdb_args}
}}
userdb {{
  driver = passwd
}}
mail_location = maildir:~/Maildir
""" + CONF

CONF_2_4 = """
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols {{
  imap = yes
  pop3 = yes
}}
auth_allow_cleartext = yes
passdb {passdb} {{
  {passdb_args}
}}
userdb passwd {{
}}
mail_driver = maildir
mail_path = ~/Maildir
""" + CONF

# Renames as often as it can.
FAST = """
mail_fsync = never
"""

QUOTA_2_3 = """
mail_plugins = quota
protocol imap {
  mail_plugins = quota imap_quota
}
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=1M
}
"""

QUOTA_2_4 = """
mail_plugins {
  quota = yes
}
protocol imap {
  mail_plugins {
    imap_quota = yes
  }
}
quota "User quota" {
  driver = maildir
  storage_size = 1M
  storage_grace = 100K
}
"""

# Formats of unique-ids as 2.3 spells them, and as 2.4 does.
UIDL_FORMATS = {
    "%08Xu%08Xv": "%{uid | hex(8)}%{uidvalidity | hex(8)}",
    "UID%u-%v": "UID%{uid}-%{uidvalidity}",
    "%v.%u": "%{uidvalidity}.%{uid}",
    "%f": "%{filename}",
    "%g": "%{guid}",
    "%Mf": "%{filename | md5 | hexlify}",
}


@functools.lru_cache
def is_2_4():
    """Is the Dovecot that was fetched of 2.4, whose configuration is another one?"""
    return subprocess.run(inside("dovecot", PROBES["dovecot"][0]), stdout=subprocess.PIPE).stdout.startswith(b"2.4.")


def quota():
    """Settings for its own maildirsize, as a site with quotas has it."""
    return QUOTA_2_4 if is_2_4() else QUOTA_2_3


def uidl_format(spelling, save):
    """Settings for unique-ids of a format, as 2.3 spells it, kept in dovecot-uidlist or not."""
    return "pop3_uidl_format = %s\npop3_save_uidl = %s\n" % (
        UIDL_FORMATS[spelling] if is_2_4() else spelling, "yes" if save else "no")


class Dovecot:
    """One Dovecot with IMAP and POP3 for the users of the tests, who have one password for all there."""

    def __init__(self, more="", pam=None):
        """`pam`: the service that it asks about passwords, if there is not one for all."""
        w = harness.world()
        self.dir = tempfile.mkdtemp(prefix="dovecot-", dir=w.dir)
        os.chmod(self.dir, 0o755)
        self.imap_port, self.pop3_port = harness.free_port(), harness.free_port()
        self.password = None if pam else secrets.token_hex(8)
        if is_2_4():
            conf, arguments = CONF_2_4, "service_name = " + pam if pam else "password = " + self.password
        else:
            conf, arguments = CONF_2_3, pam or "password=" + self.password
        internal, login = w.system_users()[:2]
        self.conf = os.path.join(self.dir, "dovecot.conf")
        with open(self.conf, "w") as f:
            f.write(conf.format(dir=self.dir, internal=internal, login=login, passdb="pam" if pam else "static",
                                passdb_args=arguments, imap=self.imap_port, pop3=self.pop3_port) + more)
        self.process = None
        self.seen = 0  # octets of the log that were looked at
        self.start()

    def start(self):
        self.process = subprocess.Popen(inside("dovecot", ["/usr/sbin/dovecot", "-F", "-c", self.conf]), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        harness.world().registry.add("process", self.process.pid, harness.start_time(self.process.pid))
        if not harness.wait_for(self._answers, 20):
            raise RuntimeError("Dovecot does not answer: %s" % self.log()[-2000:])

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("Dovecot ended: %s %s" % (self.process.stdout.read(), self.log()[-2000:]))
        try:
            for port in (self.imap_port, self.pop3_port):
                with contextlib.closing(socket.create_connection(("127.0.0.1", port), 5)) as s:
                    if not s.recv(1):
                        return False
        except OSError:
            return False
        return True

    def processes(self):
        return [self.process.pid, *harness.descendants(self.process.pid)]

    def stop(self):
        known = [(pid, harness.start_time(pid)) for pid in self.processes()]
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        for pid, started in known:
            if started is not None and harness.start_time(pid) == started:
                with contextlib.suppress(OSError):
                    os.kill(pid, 9)

    def log(self):
        try:
            with open(os.path.join(self.dir, "log"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def complaints(self):
        """Lines of the log, since this was last asked, in which it was not content."""
        lines = self.log()[self.seen:].splitlines()
        self.seen = len(self.log())
        return [line for line in lines if any(word in line for word in ("Error:", "Warning:", "Fatal:", "Panic:"))]

    # --- clients ---

    def imap(self, user):
        """An IMAP connection with INBOX selected."""
        connection = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=20)
        connection.login(user.name, self.password or user.password)
        done(connection.select("INBOX"))
        return connection

    def pop3(self, user):
        """A POP3 session."""
        session = poplib.POP3("127.0.0.1", self.pop3_port, timeout=60)
        session.user(user.name)
        session.pass_(self.password or user.password)
        return session


def uidl(session):
    """The unique-ids of a poplib session, in order."""
    return [line.split(b" ", 1)[1] for line in session.uidl()[1]]


def done(answer):
    """The data of an IMAP answer; AssertionError if it was not OK."""
    status, data = answer
    if status != "OK":
        raise AssertionError("IMAP: %s %r" % (status, data))
    return data


class Changes(threading.Thread):
    """An IMAP client that changes the flags of all messages, again and again, which moves new ones to cur/."""

    FLAGS = (r"\Seen", r"\Answered", r"\Flagged", r"(\Seen \Draft)")

    def __init__(self, imap):
        super().__init__(daemon=True)  # a test that fails does not wait for it
        self.imap, self.go, self.count, self.problem = imap, True, 0, None
        self.start()

    def run(self):
        try:
            while self.go:
                done(self.imap.uid("STORE", "1:*", "FLAGS.SILENT", self.FLAGS[self.count % len(self.FLAGS)]))
                done(self.imap.noop())
                self.count += 1
        except Exception as e:  # told by stop()
            self.problem = e

    def stop(self):
        """End it; returns how often it has changed them."""
        self.go = False
        self.join()
        if self.problem is not None:
            raise self.problem
        return self.count


# --- Courier -------------------------------------------------------------------------------

def courier_session(user, stream, stderr=subprocess.DEVNULL):
    """Its POP3 server as its login program begins it for the user, on a socket; returns the process."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": user.home, "AUTHENTICATED": user.name, "AUTHADDR": user.name,
                   "AUTHFULLNAME": "", "TCPREMOTEIP": "127.0.0.1", "TCPREMOTEPORT": "1", "MAILDIR": "Maildir"}
    command = ["setpriv", "--reuid", str(user.uid), "--regid", str(user.gid), "--clear-groups",
               "/usr/lib/courier/courier/courierpop3d", "Maildir"]
    process = subprocess.Popen(inside("courier", command), stdin=stream, stdout=stream, stderr=stderr,
                               cwd=user.home, env=environment, start_new_session=True)
    harness.world().registry.add("process", process.pid, harness.start_time(process.pid))
    return process


class Courier(poplib.POP3):
    """A session of Courier's POP3 server, begun after the login, as its login program begins it."""

    def __init__(self, user):
        self.user = user
        super().__init__("courier")

    def _create_socket(self, _timeout):
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        with theirs:
            self.process = courier_session(self.user, theirs, stderr=subprocess.PIPE)
        return ours

    def quit(self):
        """Leave; returns what it wrote to its log."""
        super().quit()
        return self.process.communicate(timeout=20)[1].decode(errors="replace")


class CourierServer(threading.Thread):
    """A port where users log in by name alone and then have a session of Courier's, one at a time."""

    def __init__(self, users):
        super().__init__(daemon=True)
        self.users = {user.name: user for user in users}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join(20)
        self.listener.close()

    def run(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                client.settimeout(20)
                self.serve(client)

    def serve(self, client):
        name = None
        client.sendall(b"+OK\r\n")
        with client.makefile("rb", buffering=0) as lines:
            for line in lines:
                verb, _, argument = line.decode().strip().partition(" ")
                if verb.upper() == "PASS" and name in self.users:
                    client.setblocking(True)  # the mode is the same for both
                    courier_session(self.users[name], client).wait()
                    return
                name = argument if verb.upper() == "USER" else name
                client.sendall(b"+OK\r\n" if verb.upper() in ("USER", "QUIT") else b"-ERR\r\n")


# --- delivery agents -----------------------------------------------------------------------

def _as_user(user, command, octets):
    """Run a delivery agent as it runs for a user; AssertionError if it could not deliver."""
    ended = subprocess.run(command, input=octets, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=user.home, timeout=60,
                           env={"PATH": "/usr/bin:/bin", "HOME": user.home, "LOGNAME": user.name, "USER": user.name})
    if ended.returncode != 0:
        raise AssertionError("%s: status %d: %s" % (command[0], ended.returncode, ended.stdout.decode(errors="replace")[-500:]))


def quota_used(user):
    """(octets, messages) as `maildirsize` says, its lines added up."""
    with open(os.path.join(user.maildir.path, "maildirsize")) as f:
        pairs = [tuple(map(int, line.split())) for line in f.read().splitlines()[1:]]
    return sum(size for size, _ in pairs), sum(count for _, count in pairs)


def _identity(user):
    return ["setpriv", "--reuid", str(user.uid), "--regid", str(user.gid), "--clear-groups"]


def _recipe(user, name, text):
    path = os.path.join(user.home, name)
    if not os.path.exists(path):
        with open(path, "w") as f:
            f.write(text)
        os.chown(path, user.uid, user.gid)
        os.chmod(path, 0o600)
    return path


def maildrop(user, octets):
    _as_user(user, _identity(user) + ["maildrop", _recipe(user, "maildrop.rc", 'to "Maildir"\n')], octets)


def procmail(user, octets):
    recipe = _recipe(user, "procmail.rc", "MAILDIR=$HOME\nLOGFILE=/dev/null\n:0\nMaildir/\n")
    _as_user(user, _identity(user) + ["procmail", "-f", "late@example.org", recipe], octets)


def deliverquota(user, octets, quota=()):
    """Maildrop's agent that only delivers and keeps `maildirsize`."""
    _as_user(user, _identity(user) + ["/usr/sbin/deliverquota.maildrop", "Maildir", *quota], octets)


def dovecot_lda(dovecot):
    """Dovecot's own agent, as a function like the others."""
    def deliver(user, octets):
        _as_user(user, inside("dovecot", _identity(user) + ["/usr/lib/dovecot/dovecot-lda", "-c", dovecot.conf, "-o", "log_path=/dev/stderr", "-o", "quota_full_tempfail=yes",
                                                           "-f", "late@example.org"]), octets)
    return deliver
