"""A host moves from Dovecot or Courier to us by pop3ctl adopt: no client that keeps its mail fetches a message again.

P3T_ADOPT_USERS says how many users there are.
"""

import concurrent.futures
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import harness
import mailbox
import peers
from client import TestCase
from control import FAILED, Control
from harness import PLAIN

HERE = os.path.dirname(os.path.abspath(__file__))
USERS = int(os.environ.get("P3T_ADOPT_USERS", "6"))
AT_ONCE = 8  # users whose programs run
FETCHMAIL = "set invisible\nset no bouncemail\npoll 127.0.0.1 protocol POP3 port %d uidl\n user '%s' password '%s' is '%s' here\n sslproto ''\n keep\n mda '%s'\n"
GETMAIL = """[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = %d
username = %s
password = %s
[destination]
type = Maildir
path = %s/
[options]
read_all = false
delete = false
verbose = 0
"""


class Keeper:
    """A user and two programs that fetch his mail and leave it on the server."""

    def __init__(self, user):
        self.user, self.port = user, None
        for name in ("ids", "pid"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(user.home, name))
        self.out = {name: self.folder(name + "-out") for name in ("fetchmail", "getmail")}
        self.folder("getmail")
        for sub in ("cur", "new", "tmp"):
            self.folder("getmail-out/" + sub)
        self.mda = self.put("mda", '#!/bin/sh\nexec cat > "$(mktemp %s/XXXXXXXX)"\n' % self.out["fetchmail"], 0o700)

    def folder(self, name):
        path = os.path.join(self.user.home, name)
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path)
        os.chown(path, self.user.uid, self.user.gid)
        return path

    def put(self, name, text, mode=0o600):
        path = os.path.join(self.user.home, name)
        with open(path, "w") as f:
            f.write(text)
        os.chown(path, self.user.uid, self.user.gid)
        os.chmod(path, mode)
        return path

    def run(self, *command, good=(0,)):
        user = self.user
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, cwd=user.home,
                              user=user.uid, group=user.gid, extra_groups=[], env={"PATH": "/usr/bin:/bin", "HOME": user.home, "USER": user.name, "LC_ALL": "C"})
        if done.returncode not in good:
            raise AssertionError("%s: %d %s" % (command[0], done.returncode, done.stdout.decode(errors="replace")))

    def moved(self, port):
        """getmail knows a server by its port, too; a real host keeps it."""
        folder = os.path.join(self.user.home, "getmail")
        for name in os.listdir(folder) if self.port not in (None, port) else ():
            os.rename(os.path.join(folder, name), os.path.join(folder, name.replace("-%d-" % self.port, "-%d-" % port)))
        self.port = port

    def fetchmail(self, port, password):
        self.moved(port)
        user = self.user
        conf = self.put("fetchmailrc", FETCHMAIL % (port, user.name, password, user.name, self.mda))
        self.run("fetchmail", "-f", conf, "--nosyslog", "--nodetach", "--pidfile", user.home + "/pid", "--idfile", user.home + "/ids", good=(0, 1))
        self.put("getmail/rc", GETMAIL % (port, user.name, password, self.out["getmail"]))

    def count(self):
        """How many messages each of them has now."""
        return {name: sum(len(names) for _, _, names in os.walk(path)) for name, path in self.out.items()}


def getmail(keepers):
    """Run it for all of them."""
    users = "".join("%d %d %s\n" % (k.user.uid, k.user.gid, k.user.home) for k in keepers)
    done = subprocess.run(["/usr/bin/python3", os.path.join(HERE, "getmails.py"), str(AT_ONCE)], input=users.encode(), capture_output=True, timeout=120 + 10 * len(keepers),
                          env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"})
    told = [json.loads(line) for line in done.stdout.splitlines()]
    bad = [line for line in told if line[1] != 0]
    if done.returncode != 0 or bad or len(told) != len(keepers):
        raise AssertionError("getmail: %d %r %s" % (done.returncode, bad, done.stderr.decode(errors="replace")))


@unittest.skipUnless(shutil.which("fetchmail") and shutil.which("getmail"), "no fetchmail or no getmail")
class Adopt(TestCase):
    limit = 120 + 20 * USERS

    def setUp(self):
        super().setUp()
        self.keepers = [Keeper(self.user(mailbox.simple(2 + i % 3))) for i in range(USERS)]

    def ctl(self, peer, environment, *words):
        """pop3ctl where the peer's programs are."""
        command = ["env", *environment, *Control(self.daemon).argv("adopt", *words)]
        done = subprocess.run(peers.inside(peer, command), stdin=subprocess.DEVNULL, capture_output=True, timeout=60 + 10 * USERS)
        self.assertEqual((done.returncode, done.stderr), (0, b""), done.stdout)
        return done.stdout.decode()

    def all_are_taken(self, peer, *environment):
        names = [k.user.name for k in self.keepers]
        out = self.ctl(peer, environment, "uids", peer, "clear", *names)
        self.assertIn("%d of %d users: taken over and the same\n" % (USERS, USERS), out)
        self.assertIn(" 0 would be fetched again\n", out)
        out = self.ctl(peer, environment, "uids", peer, "clear", *names)
        self.assertTrue(out.endswith("%d of %d users: taken over before and the same\n" % (USERS, USERS)), out)

    def fetched(self, port, password=None):
        """All users' programs fetch, a few at a time; how many messages each has now."""
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(lambda k: k.fetchmail(port, password or k.user.password), self.keepers):
                pass
        getmail(self.keepers)
        return [keeper.count() for keeper in self.keepers]

    def fetched_before(self, port, password=None):
        before = self.fetched(port, password)
        self.assertEqual(before, [{"fetchmail": 2 + i % 3, "getmail": 2 + i % 3} for i in range(USERS)])
        return before

    def nothing_is_fetched_again(self, before):
        port = self.daemon.port(PLAIN)
        self.assertEqual(self.fetched(port), before)
        for keeper in self.keepers:
            keeper.user.maildir.deliver(b"From: a\nSubject: late\n\nwhile we serve\n")
        self.assertEqual(self.fetched(port), [{name: n + 1 for name, n in count.items()} for count in before])

    def test_a_host_of_dovecot(self):
        why = peers.missing("dovecot")
        if why:
            self.skipTest(why)
        # in a section, where doveconf -h of 2.4 does not look, nor a pop3 that doveadm exec of 2.3 has started
        dovecot = peers.Dovecot(peers.FAST + "protocol pop3 {\n" + peers.uidl_format("%v.%u", save=False) + "}\n")
        self.addCleanup(dovecot.stop)
        environment = "CONFIG_FILE=" + dovecot.conf
        before = self.fetched_before(dovecot.pop3_port, dovecot.password)
        with open(dovecot.conf, "rb") as f:
            theirs = f.read()
        made = self.ctl("dovecot", [environment], "dovecot")
        self.assertIn('\nstorage = "maildir:%h/Maildir"\n', made)
        self.assertIn("\tport = %d\n\tsocket = \"plain\"\n" % dovecot.pop3_port, made)
        self.all_are_taken("dovecot", environment)
        with open(dovecot.conf, "rb") as f:
            self.assertEqual(f.read(), theirs)
        self.nothing_is_fetched_again(before)
        self.assertEqual(dovecot.complaints(), [])

    def test_a_host_of_courier(self):
        why = peers.missing("courier")
        if why:
            self.skipTest(why)
        server = peers.CourierServer([keeper.user for keeper in self.keepers])
        self.addCleanup(server.stop)
        before = self.fetched_before(server.port)
        self.all_are_taken("courier")
        self.nothing_is_fetched_again(before)

    def test_courier_looks_into_the_folder_that_its_settings_name(self):
        why = peers.missing("courier")
        if why:
            self.skipTest(why)
        self.daemon = self.own_daemon(storage="maildir:%h/Mail")
        settings = tempfile.mkdtemp(prefix="courier-", dir=harness.world().dir)
        for keeper in self.keepers:
            os.rename(keeper.user.maildir.path, os.path.join(keeper.user.home, "Mail"))
            self.addCleanup(os.rename, os.path.join(keeper.user.home, "Mail"), keeper.user.maildir.path)
        for text, taken in (("MAILDIRPATH=Maildir\nMAILDIRPATH=Mail\n", "taken over and the same"), ('MAILDIRPATH="Mail"\n', "taken over before and the same")):
            with open(os.path.join(settings, "pop3d"), "w") as f:
                f.write(text)
            out = self.ctl("courier", (), "uids", "courier", "--config", settings, "clear", *[k.user.name for k in self.keepers])
            self.assertTrue(out.endswith("%d of %d users: %s\n" % (USERS, USERS, taken)), out)
        with open(os.path.join(settings, "pop3d"), "w") as f:
            f.write("MAILDIRPATH=$HOME/Mail\n")
        self.assertIn("MAILDIRPATH is no plain path", Control(self.daemon).refused(FAILED, "adopt", "uids", "courier", "--config", settings, "clear", "x"))
