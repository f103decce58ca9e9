"""One call of one program fails, in every program, over login, retrieval, deletion and reload.

A point is a program, a call of the C library, the how-manieth of it, and what
happens to it: an error of the disk, of memory, of descriptors, an interruption, or
fewer octets than were asked for.  At each of them no mail is lost, what comes as a
whole message is the message, and afterwards mailbox and service are as usable as
before.  P3T_ALL_POINTS=1 tries every one; else of each call some.  P3T_POINTS is a regular
expression: only points ("calloc 12 ENOMEM") that it finds, out of every one.
"""

import errno
import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import unittest

import control
import harness
import mailbox
import mboxes
from client import Eof, TestCase
from harness import PLAIN, TLS

HERE = os.path.dirname(os.path.abspath(__file__))
WANTED = os.environ.get("P3T_POINTS", "")
ALL = bool(os.environ.get("P3T_ALL_POINTS") or WANTED)
PROGRAMS = ("pop3d", "pop3d-login", "pop3d-auth", "pop3d-key", "pop3d-session", "pop3d-dispatch", "pop3d-auth child")
LASTING = ("pop3d", "pop3d-login", "pop3d-key", "pop3d-dispatch")
# Whose calls may end the process: those of libseccomp, which have their memory beforehand outside this test
# (SECURITY 5), and of modules of PAM and what they use.
FRAGILE = ("libseccomp.so", "libpam.so", "pam_", "libcrypt.so", "libnss", "libaudit", "libselinux")
SHORT = 1000
ROOTS, USERS = 1, 2  # whose processes of a program

with open(os.path.join(HERE, "inject.c")) as source:
    CALLS = re.findall(r"\bCALL\((\w+)\)", source.read().split("#define CALLS(CALL)")[1].split("enum call")[0])

ERRORS = {
    "accept4": ("EMFILE", "ENOMEM", "EINTR"), "calloc": ("ENOMEM",), "epoll_wait": ("EINTR",), "fallocate": ("ENOSPC",),
    "fdatasync": ("EIO",), "fork": ("EAGAIN", "ENOMEM"), "fstat": ("EIO",), "fstatat": ("EIO", "ENOMEM"), "fsync": ("EIO", "ENOSPC"),
    "ftruncate": ("EIO",), "linkat": ("ENOSPC", "EIO"), "malloc": ("ENOMEM",), "memfd_create": ("EMFILE",), "mkdirat": ("ENOSPC",),
    "mmap": ("ENOMEM",), "open": ("EMFILE", "EIO"), "openat": ("EMFILE", "EIO", "ENOSPC"), "ppoll": ("EINTR",),
    "pread": ("EIO", "EINTR", SHORT), "pwrite": ("ENOSPC", "EIO", "EINTR", SHORT), "read": ("EIO", "EINTR", SHORT), "readdir": ("EIO",),
    "realloc": ("ENOMEM",), "recv": ("EINTR", SHORT), "recvmsg": ("EINTR", "ENOMEM"), "renameat": ("ENOSPC", "EIO"), "renameat2": ("ENOSPC", "EIO"),
    "send": ("EINTR", SHORT), "sendmsg": ("EINTR",), "socketpair": ("EMFILE",), "unlinkat": ("EIO",),
    "write": ("ENOSPC", "EIO", "EINTR", SHORT),
}

MESSAGES = [mailbox.letter("message %d" % i, b".line %d\nand some more of it\n" % i * 40 * (i + 1)) for i in range(4)]
HEAD = struct.Struct("=IIIiII32s")


class Plan:
    """The file that all processes share (struct plan)."""

    def __init__(self, path):
        with open(path, "wb") as f:
            f.truncate(HEAD.size + 4 * len(CALLS))
        os.chmod(path, 0o666)
        with open(path, "r+b") as f:
            self.memory = mmap.mmap(f.fileno(), 0)
        self.clear()

    def clear(self):
        HEAD.pack_into(self.memory, 0, len(PROGRAMS), len(CALLS), 0, 0, 0, 0, b"")

    def set(self, program, privilege, call, number, error):
        HEAD.pack_into(self.memory, 0, len(PROGRAMS), call, error, number, 0, privilege, b"")
        self.memory[HEAD.size:] = bytes(4 * len(CALLS))
        struct.pack_into("=I", self.memory, 0, PROGRAMS.index(program))  # the last

    def count(self, program, privilege):
        """Let nothing fail, and count."""
        self.set(program, privilege, len(CALLS), 0, 0)

    def arm(self, program, privilege, call, number, error):
        self.set(program, privilege, CALLS.index(call), number, error if error == SHORT else getattr(errno, error))

    def happened(self):
        return HEAD.unpack_from(self.memory)[4] == 1

    def caller(self):
        """File name of the program or library whose call it was."""
        return HEAD.unpack_from(self.memory)[6].rstrip(b"\0").decode()

    def call(self):
        return CALLS[HEAD.unpack_from(self.memory)[1]]

    def seen(self):
        return dict(zip(CALLS, struct.unpack_from("=%dI" % len(CALLS), self.memory, HEAD.size)))


def compile_library(folder):
    library = os.path.join(folder, "inject.so")
    with open(os.path.join(folder, "config.h"), "w") as f:
        f.write("#include <stdbool.h>\n")
    done = subprocess.run(["cc", "-D_GNU_SOURCE", "-O1", "-I", folder, "-o", library, os.path.join(HERE, "inject.c"),
                           "-fPIC", "-shared", "-fno-builtin", "-ldl"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode != 0:
        raise AssertionError(done.stdout)
    return library


@unittest.skipIf(harness.sanitized(), "the sanitizer has the calls")
class Case(TestCase):
    settings = None
    limit = 6 * 3600 if ALL else 900
    storage = None  # of the daemon's settings

    def setUp(self):
        super().setUp()
        if not shutil.which("cc"):
            self.skipTest("no compiler")
        folder = harness.world().path("inject-" + self.id())
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        library, plan = compile_library(folder), os.path.join(folder, "plan")
        self.plan = Plan(plan)
        settings = {"storage": self.storage} if self.storage else {}
        self.daemon = self.own_daemon(wrap=["env", "LD_PRELOAD=" + library, "POP3D_FAULT_PLAN=" + plan],
                                      login_workers=1, session_spares=1, **settings)
        self.daemon.may_crash = True  # each point looks at its own part of the log
        self.control = control.Control(self.daemon)
        self.descriptors = {}
        self.user_of_it = self.user()

    # --- one round: it may fail, and must not lie ---

    def fill(self):
        self.user_of_it.maildir.fill(MESSAGES)

    def stored(self):
        return self.user_of_it.maildir.stored()

    def round(self, kind):
        """Login, retrieval, deletion of the first message.  (was QUIT said, was it confirmed)"""
        client, quitting = None, False
        try:
            client = self.connect(kind, self.daemon, timeout=60, greet=False)
            if not client.response().startswith(b"+OK"):
                return False, False
            if not client.try_login(self.user_of_it).startswith(b"+OK"):
                return False, False
            client.command(b"STAT")
            for number, message in enumerate(MESSAGES, 1):
                if client.command(b"RETR %d" % number).startswith(b"+OK"):
                    body = client.body()
                    self.assertEqual(body, mailbox.wire(message), "a message that is whole and wrong")
            marked = client.command(b"DELE 1").startswith(b"+OK")
            quitting = True
            return True, client.command(b"QUIT").startswith(b"+OK") and marked
        except TimeoutError:
            self.fail("the client is left waiting")
        except (Eof, OSError):
            return quitting, False
        finally:
            if client:
                client.close()

    def check_mail(self, quitting, confirmed):
        stored = self.stored()
        self.assertEqual(stored[-3:], MESSAGES[1:], "mail is lost")
        if confirmed:
            self.assertEqual(len(stored), 3, "QUIT said that it was deleted")
        elif not quitting:
            self.assertEqual(stored[0], MESSAGES[0], "deleted without QUIT")

    def serves_again(self):
        """Mailbox and service are free."""
        done = []

        def login():
            self.assertIsNone(self.daemon.process.poll(), "master has ended:\n" + self.daemon.log()[-2000:])
            try:
                client = self.connect(PLAIN, self.daemon, timeout=30)
                answer = client.try_login(self.user_of_it)
                done.append(answer)
                if not answer.startswith(b"+OK"):
                    client.close()
                    return False
                client.quit()
                return True
            except (Eof, OSError) as e:
                done.append(e)
                return False
        self.assertTrue(harness.wait_for(login, 60, 0.1), "no login any more: %r\n%s" % (done[-3:], self.daemon.log()[-2000:]))

    def held(self):
        """What somebody still has of connections that have ended."""
        status = self.control.pairs("status")
        out = {key: status[key] for key in ("connections", "undecided", "sessions") if status[key] != "0"}
        out.update((key, value) for key, value in status.items() if key.startswith("worker ") and " connections=0 " not in value)
        for pid, _ in self.daemon.processes():
            program, n = harness.executable(pid), len(harness.links(pid))
            if program in LASTING and n > self.descriptors.get(pid, n):
                out["descriptors of %s %d" % (program, pid)] = "%d, before %d" % (n, self.descriptors[pid])
        return out

    def lets_go(self):
        """Nobody keeps a row, a place, or a descriptor of what has ended."""
        if not harness.wait_for(lambda: not self.held(), 30, 0.05):
            self.fail("%r is left over\n%s" % (self.held(), self.daemon.log()[-2000:]))
        for pid, _ in self.daemon.processes():
            self.descriptors.setdefault(pid, len(harness.links(pid)))

    def point(self, *point, act):
        self.fill()
        mark = len(self.daemon.log())
        self.plan.arm(*point)
        try:
            act()
            happened, caller = self.plan.happened(), self.plan.caller()
        finally:
            self.plan.clear()
        if happened:
            self.serves_again()
            self.lets_go()
            if not caller.startswith(FRAGILE):
                self.assertNotRegex(self.daemon.log()[mark:].encode(), harness.CRASH, "after a call of " + caller)
        return happened

    def walk(self, program, privilege, act):
        self.fill()
        act()  # what is made at the first time alone is made
        self.serves_again()
        self.lets_go()
        self.fill()
        self.plan.count(program, privilege)
        act()
        calls = self.plan.seen()
        tried = 0
        for call, n in calls.items():
            numbers = range(1, n + 1) if ALL else sorted({1, n // 3, 2 * n // 3, n} - {0}) if n else ()
            for number in numbers:
                for error in ERRORS[call]:
                    if not re.search(WANTED, "%s %d %s" % (call, number, error)):
                        continue
                    with self.subTest(program=program, call=call, number=number, error=error):
                        tried += self.point(program, privilege, call, number, error, act=act)
        self.note = "%d points" % tried
        self.assertGreater(tried, 0)

    def session(self):
        for kind in (PLAIN, TLS):
            if self.plan.happened():
                return
            self.fill()
            self.check_mail(*self.round(kind))

    def reload(self):
        """SIGHUP, until it is taken up or refused.  The line that says so may be what is not written, and libevent's
        handler of signals does not look whether it has written."""
        mark = len(self.daemon.log())
        self.daemon.send_signal(signal.SIGHUP)
        harness.wait_for(lambda: re.search(r"\breloaded /|\breload refused", self.daemon.log()[mark:])
                         or (self.plan.happened() and self.plan.call() == "write"), 20)


class Maildir(Case):
    def test_session(self):
        self.walk("pop3d-session", USERS, self.session)

    def test_spawner(self):
        self.walk("pop3d-session", ROOTS, self.session)

    def test_worker(self):
        self.walk("pop3d-login", 0, self.session)

    def test_master(self):
        self.walk("pop3d", 0, self.session)

    def test_dispatcher(self):
        self.walk("pop3d-dispatch", 0, self.session)

    def test_gate(self):
        self.walk("pop3d-auth", ROOTS, self.session)

    def test_child_of_the_gate(self):
        self.walk("pop3d-auth child", 0, self.session)


class Reload(Case):
    def test_master(self):
        self.walk("pop3d", 0, self.reload)

    def test_worker(self):
        self.walk("pop3d-login", 0, self.reload)

    def test_key_process(self):
        self.walk("pop3d-key", 0, self.reload)


class Mbox(Case):
    storage = "mbox:%h/mail/inbox"

    def fill(self):
        mboxes.home_box(self.user_of_it).fill(MESSAGES)

    def stored(self):
        octets = mboxes.home_box(self.user_of_it).stored()
        return [m for m in MESSAGES if mboxes.block(m).split(b"\n", 1)[1] in octets]

    def test_session(self):
        self.walk("pop3d-session", USERS, self.session)


if __name__ == "__main__":
    unittest.main()
