"""A hostile session: what master lets it do to the host, the log and other users."""

import os
import re
import struct
import syslog

import harness
import hostile
import mailbox
from client import Eof, PLAIN, TestCase

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
UNKNOWN = 0  # enum lock_holder


def message_types():
    """[(name, may a session send it)], by number from 1; as common/msg.def declares them."""
    with open(os.path.join(TOP, "common/msg.def")) as f:
        rows = re.findall(r"^MSG\((\w+), *\"[\w-]+\", *([\w |]+),", f.read(), re.M)
    return [(name, bool(set(re.findall(r"\w+", senders)) & {"SESSION", "ANY_CHILD"})) for name, senders in rows]


class HostileSession(TestCase):
    settings = None

    def setUp(self):
        super().setUp()
        self.user_of_it = self.user(mailbox.simple(1))

    def daemon_with(self, wrap=(), **settings):
        servers = {"clear": {"addresses": ["127.0.0.1"], "port": harness.free_port(), "socket": "plain"}}
        wrap = [*wrap, *hostile.in_place_of("pop3d-session", "hostile_session")]
        return self.own_daemon(servers=servers, wrap=wrap, sandbox="off", login_workers=1, **settings)

    def hostile(self, daemon, user=None):
        """A connection whose session is hostile, and the connection's id."""
        user = user or self.user_of_it
        client = self.connect(PLAIN, daemon)
        client.command(b"USER " + user.name_octets)
        answer = client.command(b"PASS " + user.password_octets)
        self.assertRegex(answer, rb"\A\+OK hostile \d+\Z")
        return client, int(answer.split()[-1])

    def be(self, word):
        """What the file "hostile" says."""
        with open(os.path.join(self.user_of_it.home, "hostile"), "w") as f:
            f.write(word + "\n")
        self.addCleanup(os.unlink, f.name)

    def ends(self, client):
        """Does master end the session for what it has sent?  A client that is left waiting fails by its time limit."""
        try:
            while True:
                if not client.line().startswith(b"sent "):
                    return False
        except (Eof, ConnectionResetError):
            return True

    def test_messages_that_no_session_may_send(self):
        daemon = self.daemon_with()
        for number, (name, lawful) in enumerate(message_types(), 1):
            if lawful:
                continue
            with self.subTest(message=name):
                client, _ = self.hostile(daemon)
                client.send(b"send %d 1 - 0 -\r\n" % number)
                self.assertTrue(self.ends(client))
        self.hostile(daemon)

    def test_lawful_messages_in_unlawful_form(self):
        """Too long, too short, with descriptors where none belong."""
        daemon = self.daemon_with()
        for number, (name, lawful) in enumerate(message_types(), 1):
            if not lawful:
                continue
            for form in (b"%d 1 12288 0 -", b"%d 1 1 0 -", b"%d 1 - 1 -", b"%d 1 - 200 -", b"%d 1 60000 0 -"):
                with self.subTest(message=name, form=form):
                    client, _ = self.hostile(daemon)
                    client.send(b"send " + form % number + b"\r\n")
                    self.assertTrue(self.ends(client))
        self.hostile(daemon)

    def test_messages_out_of_their_state(self):
        daemon = self.daemon_with()
        numbers = {name: number for number, (name, _) in enumerate(message_types(), 1)}
        for name in ("HELLO", "HAVE_IT", "SESSION_OPEN", "JOB_END"):
            with self.subTest(message=name):
                client, _ = self.hostile(daemon)
                client.send(b"send %d 1 - 0 -\r\n" % numbers[name])
                self.assertTrue(self.ends(client))
        client, _ = self.hostile(daemon)
        client.send(b"send %d 2 - 0 -\r\n" % numbers["SESSION_END"])
        self.assertTrue(self.ends(client))

    def test_another_connections_id(self):
        """What it says about another's connection touches nobody but itself."""
        daemon, other = self.daemon_with(), self.user(mailbox.simple(1))
        victim, victim_id = self.hostile(daemon, other)
        numbers = {name: number for number, (name, _) in enumerate(message_types(), 1)}
        for name in ("SESSION_END", "SESSION_OPEN", "RECEIPT", "LOCK_ASK", "STATE", "HAVE_IT", "JOB_END"):
            with self.subTest(message=name):
                client, _ = self.hostile(daemon)
                size = b"-" if name != "LOCK_ASK" else b"32"
                client.send(b"send %d 1 %s 0 %s\r\n" % (numbers[name], size, struct.pack("=Q", victim_id).hex().encode()))
                self.assertTrue(self.ends(client))
        victim.send(b"log 6 1 still here\r\n")
        self.assertEqual(victim.line(), b"logged 6")

    def test_another_users_lock(self):
        daemon, other = self.daemon_with(), self.user(mailbox.simple(1))
        victim, _ = self.hostile(daemon, other)
        self.be("mute")
        client, _ = self.hostile(daemon)
        inode = os.stat(other.maildir.path)
        client.send(b"seize %d %d\r\n" % (inode.st_dev, inode.st_ino))
        self.assertEqual(client.line(), b"holder %d" % UNKNOWN)
        victim.send(b"log 6 1 still here\r\n")
        self.assertEqual(victim.line(), b"logged 6")

    def test_lines_are_its_own_and_bounded(self):
        """It names no other, rings no alarm, and cannot fill the log."""
        daemon = self.daemon_with()
        client, _ = self.hostile(daemon)
        client.send(b"log 6 1 role=master pid=1 conn=1 login user=root\r\n")
        client.line()
        daemon.log_wait(r"login user=root")
        self.assertNotRegex(daemon.log(), r"role=master pid=1 conn=1 login")
        for _ in range(10):
            client.send(b"log 4 1000 a line that comes again and again\r\n")
            client.line()
        for i in range(10):
            client.send(b"log 4 1 line %d\r\n" % i)
            client.line()
        self.assertLess(daemon.log().count("a line that comes again"), 20)
        client.send(b"log 6 3000 a line of no importance\r\n")

        def says_so():
            client.send(b"log 6 1 another\r\n")
            return re.search(r"role=session pid=\d+ wrote \d+ lines more than it may", daemon.log())
        self.assertTrue(harness.wait_for(says_so, 30, 1))

    def test_no_alarm(self):
        """A line of priority "emergency" would go to all terminals of the host."""
        log, wrap = harness.private_syslog()
        log.settimeout(20)
        self.addCleanup(log.close)
        daemon = self.daemon_with(wrap, log="syslog", arguments=("-F",))
        client, _ = self.hostile(daemon)
        client.send(b"log 0 1 wake up\r\n")
        while b"wake up" not in (line := log.recv(65536)):
            pass
        self.assertTrue(line.startswith(b"<%d>" % (syslog.LOG_MAIL | syslog.LOG_ERR)), line)

    def test_receipts_without_end(self):
        """More than it says that there were messages: the end of it."""
        daemon = self.daemon_with()
        numbers = {name: number for number, (name, _) in enumerate(message_types(), 1)}
        client, _ = self.hostile(daemon)
        client.send(b"send %d 5000 - 0 -\r\n" % numbers["RECEIPT"])
        self.assertTrue(self.ends(client))
        self.assertLess(len(re.findall(r"^.*deleted conn=", daemon.log(), re.M)), 100)
        self.hostile(daemon)

    def test_a_grant_that_it_never_takes(self):
        """Another session gets it, or the login fails; others log in meanwhile."""
        daemon, other = self.daemon_with(), self.user(mailbox.simple(1))
        self.be("silent")
        client = self.connect(PLAIN, daemon, timeout=120)
        client.command(b"USER " + self.user_of_it.name_octets)
        client.send(b"PASS " + self.user_of_it.password_octets + b"\r\n")
        self.hostile(daemon, other)
        self.assertRegex(client.line(), rb"\A-ERR \[SYS/TEMP\]")

    def test_crashes_learn_one_layout_and_wait(self):
        daemon, other = self.daemon_with(), self.user(mailbox.simple(1))
        daemon.may_crash = True
        client, _ = self.hostile(daemon)
        client.send(b"die\r\n")
        client.eof()
        daemon.log_wait("session-crash .*user=%s" % self.user_of_it.name)
        again = self.connect(PLAIN, daemon)
        again.command(b"USER " + self.user_of_it.name_octets)
        self.assertRegex(again.command(b"PASS " + self.user_of_it.password_octets), rb"\A-ERR \[SYS/TEMP\]")
        self.hostile(daemon, other)
