"""What the system tests stand on: users, certificate, PAM service, daemon.

Without root the users are those of a user file, all with the own uid, and what
needs root skips its test.

Everything made here is written down in a registry file and taken away again,
at the end of a test program and, if that was killed, by run.py.
"""

import atexit
import contextlib
import ctypes
import errno
import fcntl
import itertools
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import tempfile
import time
import unittest

import mailbox

PREFIX = os.environ.get("P3T_PREFIX", "/usr/local")
SANDBOX = os.environ.get("P3T_SANDBOX", "on")
LANDLOCK_ABI = int(os.environ.get("P3T_LANDLOCK_ABI", "0"))
HERE = os.path.dirname(os.path.abspath(__file__))
PLAIN, STLS, TLS = "plain", "stls", "tls"
ALL_KINDS = (PLAIN, STLS, TLS)

ROOT = os.geteuid() == 0
PORTS = "/run/pop3d-test-ports" if ROOT else os.path.join(tempfile.gettempdir(), "pop3d-test-ports-%d" % os.geteuid())
needs_root = unittest.skipUnless(ROOT, "needs root")

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


def program(name="pop3d"):
    return os.path.join(PREFIX, "sbin", name)


def sanitized():
    """Was it built with -fsanitize=address?"""
    try:
        with open(program(), "rb") as f:
            return b"__asan_init" in f.read()
    except OSError:
        return False


class Registry:
    """A list on disk of what is to be taken away."""

    def __init__(self, path):
        self.path = path

    def add(self, *words):
        with open(self.path, "a") as f:
            f.write("\t".join(str(w) for w in words) + "\n")

    def sweep(self):
        """Take everything away, the newest first.  Calling it twice does no harm."""
        try:
            with open(self.path) as f:
                entries = [line.rstrip("\n").split("\t") for line in f]
        except FileNotFoundError:
            return
        for kind, *rest in reversed(entries):
            with contextlib.suppress(OSError):
                getattr(self, "_" + kind)(*rest)
        with contextlib.suppress(FileNotFoundError):  # it may have stood in a tree of its own list
            os.unlink(self.path)

    @staticmethod
    def _process(pid, started):
        if start_time(int(pid)) == started:
            os.kill(int(pid), signal.SIGKILL)

    @staticmethod
    def _mount(path):
        subprocess.run(["umount", "-l", path], stderr=subprocess.DEVNULL)

    @staticmethod
    def _netns(name):
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)

    @staticmethod
    def _file(path):
        os.unlink(path)

    @staticmethod
    def _tree(path):
        shutil.rmtree(path, ignore_errors=True)

    @staticmethod
    def _user(name):
        with account_lock():
            subprocess.run(["userdel", "-f", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            subprocess.run(["groupdel", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def root_only():
    """Skip the test, or the class, that comes here without root."""
    if not ROOT:
        raise unittest.SkipTest("needs root")


def as_ids(uid, gid):
    """The start of a command line whose rest runs with these ids, which without root are the own ones."""
    return ["setpriv", "--reuid=%d" % uid, "--regid=%d" % gid, "--clear-groups"] if ROOT else []


@contextlib.contextmanager
def account_lock():
    """useradd and userdel of programs that run at the same time, one after the other."""
    with open("/run/pop3d-test-accounts.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


# --- this test program's own world ---------------------------------------------------------

class World:
    """The directory, registry, certificate and service of one test program."""

    def __init__(self):
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        self.dir = tempfile.mkdtemp(prefix="p3t-")
        os.chmod(self.dir, 0o755)
        shared = os.environ.get("P3T_SHARED", self.dir)
        self.registry = Registry(os.path.join(shared, "registry.%d" % os.getpid()))
        self.registry.add("tree", self.dir)
        self.pid = os.getpid()
        self.problems = []
        self.daemons = []
        self.passwords = set()
        self._free_users = []
        self._virtual = {}
        self._certificate = None
        self._service = None
        self._system_users = None
        atexit.register(self.close)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, self._killed)

    @staticmethod
    def _killed(signum, _frame):
        raise SystemExit(128 + signum)

    def close(self):
        if os.getpid() != self.pid:
            return
        for daemon in list(self.daemons):
            daemon.kill_all()
        self.registry.sweep()

    def path(self, name):
        return os.path.join(self.dir, name)

    def certificate(self):
        """(certificate, key), made once."""
        if self._certificate is None:
            self._certificate = make_certificate(self.dir, "cert")
        return self._certificate

    def service(self):
        """The name of a PAM service over pam_unix."""
        if self._service is None:
            self._service = pam_service("auth required pam_unix.so\naccount required pam_unix.so\n"
                                        "session required pam_permit.so\n")
        return self._service

    def auth(self):
        """What `auth` is set to unless a test says otherwise."""
        return "pam:" + self.service() if ROOT else "file:" + self.path("users")

    def virtual(self, user):
        """Write a user, or his new password, into the user file."""
        self._virtual[user.name] = "%s:%s:%d:%d:%s\n" % (user.name, crypt_password(user.password), user.uid, user.gid, user.home)
        with open(self.path("users.new"), "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.writelines(self._virtual.values())
        os.rename(f.name, self.path("users"))

    def system_users(self):
        """Accounts of the roles: before login, for keys, for user files."""
        if self._system_users is None:
            self._system_users = []
            for _ in range(3):
                name = "p3t-r" + secrets.token_hex(4)
                add_account(name, ["-r", "-M", "-d", "/nonexistent", "-s", "/bin/false", "-U"])
                self._system_users.append(name)
        return self._system_users

    def take_user(self):
        """A user of the pool, with an empty Maildir."""
        user = self._free_users.pop() if self._free_users else User()
        user.maildir.make()
        return user

    def give_back(self, user):
        self._free_users.append(user)


_world = None


def world():
    global _world
    if _world is None:
        _world = World()
    return _world


def make_certificate(directory, name, subject="/CN=localhost", key="rsa:2048", names="DNS:localhost,IP:127.0.0.1", issuer=None, ca=False):
    """Files of a certificate and its key.  It signs itself, or issuer does, which is such a pair; with `ca` it may sign others.

    Keys are rsa:BITS, ec, ec:CURVE, ed25519.
    """
    key, curve = ("ec", key[3:] or "P-256") if key.startswith("ec") else (key, None)
    cert, keyfile = (os.path.join(directory, name + end) for end in (".pem", ".key"))
    arguments = ["openssl", "req", "-x509", "-newkey", key, "-nodes", "-days", "30", "-subj", subject,
                 "-addext", "subjectAltName=" + names, "-keyout", keyfile, "-out", cert]
    if issuer:
        arguments += ["-CA", issuer[0], "-CAkey", issuer[1], "-addext", "basicConstraints=CA:" + ("TRUE" if ca else "FALSE")]
    if curve:
        arguments[5:5] = ["-pkeyopt", "ec_paramgen_curve:" + curve]
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.chmod(keyfile, 0o600)
    return cert, keyfile


_service_number = itertools.count()


def pam_service(text):
    """Write a PAM service of our own; returns its name."""
    root_only()
    name = "pop3d-test-%d-%d" % (os.getpid(), next(_service_number))
    path = "/etc/pam.d/" + name
    world().registry.add("file", path)
    with open(path, "w") as f:
        f.write(text)
    return name


def add_account(name, arguments):
    root_only()
    world().registry.add("user", name)
    with account_lock():
        for attempt in range(5):
            done = subprocess.run(["useradd", *arguments, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode == 0:
                return
            time.sleep(0.2 * (attempt + 1))
    raise RuntimeError("useradd %s: %r" % (name, done.stdout))


def crypt_password(password, method="-6", rounds=1000):
    if isinstance(password, str):
        password = password.encode()
    done = subprocess.run(["openssl", "passwd", method, "-salt", "rounds=%d$%s" % (rounds, secrets.token_hex(4)), "-stdin"],
                          input=password + b"\n", check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode().strip()


class User:
    """An account of this host with a home and a Maildir."""

    def __init__(self, password=None, uid=None, name=None, home=None, extra=()):
        self.name = name or "p3t-" + secrets.token_hex(4)
        self.password = password if password is not None else secrets.token_hex(8)
        self.home = home or world().path("home-" + self.name)
        if ROOT:
            self._account(uid, extra)
        elif uid is not None or home or extra:
            root_only()
        else:
            self.uid, self.gid = os.geteuid(), os.getegid()
            world().virtual(self)
        if home is None:
            os.mkdir(self.home, 0o700)
            os.chown(self.home, self.uid, self.gid)
        self.maildir = mailbox.Maildir(os.path.join(self.home, "Maildir"), self.uid, self.gid)
        self.maildir.counter = 0
        if isinstance(self.password, str) and len(self.password) >= 12:
            world().passwords.add(self.password.encode())

    def _account(self, uid, extra):
        arguments = ["-M", "-d", self.home, "-s", "/bin/false", "-p", crypt_password(self.password), *extra]
        if uid is not None:
            arguments += ["-o", "-u", str(uid), "-N"]
        else:
            arguments += ["-U"]
        add_account(self.name, arguments)
        entry = pwd.getpwnam(self.name)
        self.uid, self.gid = entry.pw_uid, entry.pw_gid

    @property
    def name_octets(self):
        return self.name.encode()

    @property
    def password_octets(self):
        return self.password.encode() if isinstance(self.password, str) else self.password

    def set_password(self, password):
        self.password = password
        if ROOT:
            usermod("usermod", "-p", crypt_password(password), self.name)
        else:
            world().virtual(self)


def usermod(*arguments):
    root_only()
    with account_lock():
        subprocess.run(list(arguments), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def free_port():
    """A port nobody listens on; suites that run side by side are given others, in turn from one file."""
    with open(PORTS, "a+") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        f.seek(0)
        last = int(f.read() or (11000 if ROOT else 21000))
        while True:
            last = last + 1 if last < 31000 else 11000
            with contextlib.closing(socket.socket()) as s:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind(("0.0.0.0", last))
                except OSError:
                    continue
            break
        f.truncate(0)
        f.write(str(last))
        return last


def private_mounts(script, *arguments):
    """The start of a command line whose rest runs under mounts of its own, which a shell script makes of its
    arguments $0, $1 …"""
    root_only()
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise unittest.SkipTest("no mounts of its own are possible here, as in a chroot whose root is not a mount")
    return ["unshare", "-m", "sh", "-c", script + ' && exec "$@"', *arguments]


def private_syslog():
    """The socket of a log daemon, and what to start a pop3d with (wrap) so that it alone sees it as /dev/log:
    other programs of this host would wait when nobody reads."""
    dev = tempfile.mkdtemp(prefix="dev-", dir=world().dir)
    os.chmod(dev, 0o755)
    for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
        os.mknod(os.path.join(dev, name), 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        os.chmod(os.path.join(dev, name), 0o666)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(os.path.join(dev, "log"))
    os.chmod(os.path.join(dev, "log"), 0o666)
    return s, private_mounts('mount --bind "$0" /dev', dev)


def outside_address():
    """An address of this host that is not loopback, or None."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as s:
        try:
            s.connect(("203.0.113.1", 9))
            address = s.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") or address == "0.0.0.0" else address


class SlowModule:
    """A PAM service whose check waits until it is released, for clients whose address is like a shell pattern."""

    def __init__(self, address="*"):
        number = next(_service_number)
        self.gate, self.script = world().path("gate-%d" % number), world().path("slow-%d.sh" % number)
        open(self.gate, "w").close()
        with open(self.script, "w") as f:
            f.write('#!/bin/sh\ncase $PAM_RHOST in %s) while test -e %s; do sleep 0.1; done ;; esac\n' % (address, self.gate))
        os.chmod(self.script, 0o755)
        self.service = pam_service("auth required pam_exec.so quiet %s\nauth required pam_unix.so\n"
                                   "account required pam_unix.so\n" % self.script)

    def release(self):
        os.unlink(self.gate)

    def waiting(self):
        """How many checks wait now."""
        return sum(self.script in command_line(pid) for pid in descendants(os.getpid()))


# --- processes -----------------------------------------------------------------------------

def start_time(pid):
    """Start time of a process in clock ticks, or None if there is none (or only a zombie)."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            rest = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if rest[0] in "ZX" else rest[19]


def parents():
    """pid -> ppid of all processes."""
    out = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                with open("/proc/%s/stat" % name) as f:
                    out[int(name)] = int(f.read().rpartition(")")[2].split()[1])
    return out


def descendants(root):
    """All processes below `root`, without zombies."""
    tree = {}
    for pid, ppid in parents().items():
        tree.setdefault(ppid, []).append(pid)
    out, todo = [], list(tree.get(root, []))
    while todo:
        pid = todo.pop()
        todo += tree.get(pid, [])
        if start_time(pid) is not None:
            out.append(pid)
    return out


def executable(pid):
    """The name of its program; without root that of the process, which is as telling."""
    try:
        if ROOT:
            return os.path.basename(os.readlink("/proc/%d/exe" % pid).replace(" (deleted)", ""))
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except OSError:
        return ""


def command_line(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().replace(b"\0", b" ").strip().decode("utf-8", "replace")
    except OSError:
        return ""


def status(pid):
    """/proc/PID/status as a dict."""
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def memory(pid):
    """All that a process has in memory, piece by piece; nothing of one that has ended."""
    with contextlib.suppress(OSError), open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            first, last = (int(x, 16) for x in line.split()[0].split("-"))
            if " r" in line and "[v" not in line:
                with contextlib.suppress(OSError):
                    mem.seek(first)
                    yield mem.read(last - first)


def links(pid):
    """What the descriptors of a process are; none if it has ended (an auth child in its time does)."""
    out = {}
    with contextlib.suppress(OSError):
        for fd in os.listdir("/proc/%d/fd" % pid):
            with contextlib.suppress(OSError):
                out[int(fd)] = os.readlink("/proc/%d/fd/%s" % (pid, fd))
    return out


def proc_octets(pid, name):
    """A file of /proc/PID; empty if the process has ended."""
    with contextlib.suppress(OSError):
        with open("/proc/%d/%s" % (pid, name), "rb") as f:
            return f.read()
    return b""


def wait_for(condition, timeout=10, step=0.02):
    """Wait until condition() is true; returns its value, or the last one when time is over."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(step)


def conf_value(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(conf_value(v) for v in value) + "}"
    return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')


def conf_text(settings, servers):
    """The text of a pop3d.conf."""
    out = ["%s = %s" % (key, conf_value(value)) for key, value in settings.items() if value is not None]
    for name, keys in servers.items():
        out.append("server %s {" % name)
        out += ["\t%s = %s" % (key, conf_value(value)) for key, value in keys.items() if value is not None]
        out.append("}")
    return "\n".join(out) + "\n"


ROLE_PROGRAMS = {"pop3d", "pop3d-key", "pop3d-login", "pop3d-auth", "pop3d-dispatch", "pop3d-session"}
CRASH = re.compile(rb"[^\n]*\bsignal[ =](?:4|6|7|8|11|31)\b[^\n]*")  # ILL ABRT BUS FPE SEGV SYS
SANITIZER = re.compile(rb"AddressSanitizer|LeakSanitizer|runtime error:|UndefinedBehavior")


class Daemon:
    """One installed pop3d in the foreground, with a configuration of its own.

    Settings given as keywords go over the defaults for tests; a value of None
    leaves a setting out.  `servers` replaces the two usual servers.
    """

    number = itertools.count()

    def __init__(self, servers=None, arguments=("-F", "-e"), environment=None, start=True, wrap=None,
                 server_settings=None, pass_fds=(), preexec=None, **settings):
        w = world()
        self.name = "d%d" % next(Daemon.number)
        self.dir = w.path(self.name)
        os.mkdir(self.dir, 0o755)
        self.conf_path = os.path.join(self.dir, "pop3d.conf")
        self.log_path = os.path.join(self.dir, "log")
        self.arguments, self.environment, self.wrap = list(arguments), environment or {}, wrap or []
        self.pass_fds, self.preexec = pass_fds, preexec
        self.process = None
        self.may_leave = False  # a test that kills master looks itself
        self.may_crash = False  # nor may any process end by SEGV, SYS and the like, but where a test makes it
        certificate, key = w.certificate()
        login_user, key_user, auth_user = w.system_users() if ROOT else (None, None, None)
        self.settings = {
            "certificate": certificate, "certificate_key": key, "login_user": login_user, "key_user": key_user, "auth_user": auth_user,
            "runtime_dir": os.path.join(self.dir, "run"), "state_dir": os.path.join(self.dir, "state"),
            "ps_titles": "full", "sandbox": SANDBOX, "landlock_abi_max": LANDLOCK_ABI or None,
            "auth": w.auth(), "login_timeout": 30, "idle_timeout": 60, "handshake_timeout": 10,
            "shutdown_timeout": 2, "max_connections": 500, "max_connections_per_address": 400,
            "max_connections_before_login": 100000,
            "auth_failure_delay": 0, "auth_failures_per_user": 0, "auth_failures_per_source": 0, "auth_account_delay": 0, "max_auth_failures": 20,
        }
        self.settings.update(settings)
        if servers is None:
            servers = {
                "clear": {"addresses": ["127.0.0.1"], "port": free_port(), "socket": "plain+stls"},
                "secure": {"addresses": ["127.0.0.1"], "port": free_port(), "socket": "tls"},
            }
            for keys in servers.values():
                keys.update(server_settings or {})
        self.servers = servers
        self.write_conf()
        if start:
            self.start()

    def write_conf(self, **settings):
        self.settings.update(settings)
        with open(self.conf_path, "w") as f:
            f.write(conf_text(self.settings, self.servers))

    def port(self, kind):
        for keys in self.servers.values():
            if (keys["socket"] == "tls") == (kind == TLS):
                return keys["port"]
        raise KeyError(kind)

    def address(self, kind):
        for keys in self.servers.values():
            if (keys["socket"] == "tls") == (kind == TLS):
                return keys["addresses"][0]
        raise KeyError(kind)

    # --- life ---

    def start(self, wait=True):
        self._log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [*self.wrap, program(), *self.arguments, "-c", self.conf_path], stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=self._log, env={**os.environ, **self.environment}, start_new_session=True, pass_fds=self.pass_fds,
            preexec_fn=self.preexec)
        self.pid = self.process.pid
        world().daemons.append(self)
        world().registry.add("process", self.pid, start_time(self.pid))
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=20):
        """Until every server greets."""
        deadline = time.monotonic() + timeout
        for keys in self.servers.values():
            while not self._greets(keys):
                if self.process.poll() is not None:
                    raise RuntimeError("pop3d ended with status %s:\n%s" % (self.process.returncode, self.log()[-3000:]))
                if time.monotonic() > deadline:
                    raise RuntimeError("pop3d does not answer:\n%s" % self.log()[-3000:])
                time.sleep(0.02)

    def _greets(self, keys):
        host = keys["addresses"][0]
        host = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        try:
            with contextlib.closing(socket.create_connection((host, keys["port"]), 5)) as s:
                if keys.get("proxy_from"):
                    s.sendall(b"PROXY UNKNOWN\r\n")
                if keys["socket"] == "tls":
                    s = ssl._create_unverified_context().wrap_socket(s)
                good = s.recv(4) == b"+OK "
                if good:
                    s.sendall(b"QUIT\r\n")
                    while s.recv(4096):
                        pass
                s.close()
                return good
        except OSError:
            return False

    def send_signal(self, signum):
        os.kill(self.pid, signum)

    def reload(self, timeout=20):
        """SIGHUP, and wait until it is taken up or refused."""
        mark = len(self.log())
        self.send_signal(signal.SIGHUP)
        wait_for(lambda: re.search(r"\breloaded /|\breload refused", self.log()[mark:]), timeout)

    def stop(self, signum=signal.SIGTERM, timeout=15):
        """Stop it as an administrator does; returns what was wrong, as a list of strings."""
        problems = []
        if self.process is None:
            return problems
        before = self.processes()
        if self.process.poll() is None:
            self.send_signal(signum)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                problems.append("%s: still there %d s after signal %d:\n%s" % (self.name, timeout, signum, self.log()[-2000:]))
        elif not self.may_leave:
            problems.append("%s: ended by itself, status %s:\n%s" % (self.name, self.process.returncode, self.log()[-2000:]))
        if not self.may_leave and not problems and self.process.returncode != 0:
            problems.append("%s: exit status %s" % (self.name, self.process.returncode))
        left = wait_for(lambda: None if self.alive(before) else "none", 5) is None and self.alive(before)
        if left:
            problems.append("%s: processes left: %s" % (self.name, ["%d %s" % (p, command_line(p)) for p, _ in left]))
        self.kill_all(before)
        problems += self.check_log()
        return problems

    def check_log(self):
        """What no log of any daemon may hold."""
        with open(self.log_path, "rb") as f:
            log = f.read()
        problems = []
        for password in world().passwords:
            if password in log:
                problems.append("%s: a password is in the log" % self.name)
        refused = set(re.findall(rb"sandbox: pid \d+ called (\S+)", log))  # with sandbox = log
        if refused:
            problems.append("%s: calls outside the filter: %s" % (self.name, sorted(refused)))
        crashed = CRASH.search(log)
        if crashed and not self.may_crash:
            problems.append("%s: a process crashed: %s" % (self.name, crashed.group(0).decode("utf-8", "replace")))
        found = SANITIZER.search(log)
        if found:
            problems.append("%s: %s" % (self.name, log[found.start():found.start() + 3000].decode("utf-8", "replace")))
        return problems

    def kill_all(self, known=()):
        """End whatever is left, without mercy."""
        todo = {pid for pid, started in known if start_time(pid) == started}
        if self.process is not None and self.process.poll() is None:
            todo.add(self.pid)
            todo |= {pid for pid, _ in self.processes()}
        for pid in todo:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
            self._log.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if self in world().daemons:
            world().daemons.remove(self)

    # --- what it consists of ---

    def processes(self):
        """(pid, start time) of master and all below it, without what writes a file aside and is there for moments."""
        out = []
        for pid in [self.pid, *descendants(self.pid)]:
            started = start_time(pid)
            if started is not None and not command_line(pid).startswith("pop3d-writer"):
                out.append((pid, started))
        return out

    @staticmethod
    def alive(known):
        return [(pid, started) for pid, started in known if start_time(pid) == started]

    def role(self, name):
        """The pids that run a program."""
        return [pid for pid, _ in self.processes() if executable(pid) == name]

    def spawner(self):
        """The session program that is master's direct child and has children or waits for them."""
        table = parents()
        return [pid for pid in self.role("pop3d-session") if table.get(pid) == self.pid
                and "spawner" in command_line(pid)] or [pid for pid in self.role("pop3d-session") if table.get(pid) == self.pid]

    def auth_helper(self):
        table = parents()
        return [pid for pid in self.role("pop3d-auth") if table.get(pid) == self.pid]

    def auth_children(self):
        table, helpers = parents(), self.auth_helper()
        return [pid for pid in self.role("pop3d-auth") if table.get(pid) in helpers]

    def session_of(self, user):
        """The pids of the sessions that run as this user; without root all do, and their titles tell."""
        out = []
        for pid in self.role("pop3d-session"):
            if not ROOT and user.name not in command_line(pid):
                continue
            with contextlib.suppress(OSError):
                if status(pid)["Uid"].split() == [str(user.uid)] * 4:
                    out.append(pid)
        return out

    # --- its log ---

    def log(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def log_wait(self, pattern, timeout=5, since=0):
        """The first match of a regular expression in the log; AssertionError if it does not come."""
        rx = re.compile(pattern, re.M)
        found = wait_for(lambda: rx.search(self.log()[since:]), timeout)
        if not found:
            raise AssertionError("no line like %r in the log:\n%s" % (pattern, self.log()[since:][-3000:]))
        return found

    def log_fields(self, kind, timeout=5, since=0, **want):
        """The fields of the first line of a kind (login, session-end …) whose fields are as wanted."""
        def look():
            for line in self.log()[since:].splitlines():
                fields = log_fields(line, kind)
                if fields is not None and all(fields.get(k.rstrip("_")) == str(v) for k, v in want.items()):
                    return fields
            return None
        found = wait_for(look, timeout)
        if found is None:
            raise AssertionError("no %s line with %r in the log:\n%s" % (kind, want, self.log()[since:][-3000:]))
        return found


FIELD = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)(?: |$)')


def log_fields(line, kind):
    """The key=value fields of a log line of this kind, in order; None if it is not one."""
    found = re.search(r"(?:^|[\s:])%s ((?:[a-z_]+=)\S.*)$" % re.escape(kind), line)
    if not found:
        return None
    return dict(FIELD.findall(found.group(1)))


_shared = {}


def shared_daemon(**settings):
    """A daemon that all tests of this program with the same settings share."""
    key = repr(sorted(settings.items()))
    if key not in _shared or _shared[key].process.poll() is not None:
        _shared[key] = Daemon(**settings)
    return _shared[key]


def finish():
    """Stop the shared daemons; returns what was wrong (checked as a test by run.py)."""
    problems = []
    for daemon in _shared.values():
        problems += daemon.stop()
    _shared.clear()
    return problems + world().problems


def have(*programs):
    return all(shutil.which(p) for p in programs)


def have_seed():
    """Is the model system there: tclsh with tcllib?"""
    return have("tclsh") and not subprocess.run(["tclsh"], input=b"package require pop3d\n", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE).stderr


def no_such_process(pid):
    try:
        os.kill(pid, 0)
    except OSError as e:
        return e.errno == errno.ESRCH
    return start_time(pid) is None
