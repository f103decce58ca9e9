"""What tcllib's pop3d offers, the model of the servers made at run time: ten steps, in order."""

import socket
import time

import harness
import mailbox
from client import TestCase
from control import FAILED, STATE_KEYS, USAGE, Control
from harness import PLAIN

MESSAGES = mailbox.simple(3)


class Seed(TestCase):
    settings = {"idle_timeout": 30}

    def setUp(self):
        super().setUp()
        self.ctl = Control(self.daemon)

    def tearDown(self):
        for line in self.ctl.lines("list")[1:]:
            if line.split()[0] not in self.daemon.servers:
                self.ctl.run("destroy", line.split()[0])

    def backends(self):
        return {"auth": self.daemon.settings["auth"], "storage": "maildir:%h/Maildir"}

    def at(self, port):
        return self.connect(PLAIN, address=("127.0.0.1", port))

    def logged_in(self, user, port):
        return self.session(user, PLAIN, address=("127.0.0.1", port))

    def assertRefused(self, port):
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", port), 2)

    def assertGone(self, name, timeout=5):
        self.assertTrue(harness.wait_for(lambda: self.ctl.run("cget", name, "-state").status == FAILED, timeout))
        self.assertEqual(self.ctl.refused(FAILED, "cget", name, "-state"), 'no such server "%s"' % name)

    def test_step_1_names(self):
        ctl = Control(self.own_daemon())
        self.assertEqual([ctl.done("new"), ctl.done("new")], ["pop3d1", "pop3d2"])
        for name in ("pop3d1", "pop3d2"):
            self.assertEqual(ctl.done("destroy", name), "")
        self.assertEqual(ctl.done("new"), "pop3d3")
        self.assertEqual(ctl.done("new", "x"), "x")
        self.assertEqual(ctl.refused(FAILED, "new", "x"), 'command "x" already exists, unable to create pop3 server')

    def test_step_2_port_0(self):
        ctl = self.ctl
        ctl.done("new", "x")
        ctl.done("configure", "x", "-port", 0)
        self.assertEqual(ctl.done("cget", "x", "-port"), "0")
        ctl.done("up", "x")
        port = int(ctl.done("cget", "x", "-port"))
        self.assertGreater(port, 0)
        self.at(port).quit()
        ctl.done("configure", "x", "-port", 4711)
        self.assertEqual(ctl.done("cget", "x", "-port"), str(port))
        self.at(port).quit()
        ctl.done("down", "x")
        self.assertEqual(ctl.done("cget", "x", "-port"), "4711")
        self.assertRefused(port)
        ctl.done("configure", "x", "-port", 0)
        ctl.done("up", "x")
        self.assertGreater(int(ctl.done("cget", "x", "-port")), 0)
        ctl.done("down", "x")
        self.assertEqual(ctl.done("cget", "x", "-port"), "0")

    def test_step_3_up_twice_and_a_busy_port(self):
        port = self.ctl.server("x")
        self.ctl.done("up", "x")
        self.assertEqual(self.ctl.done("cget", "x", "-port"), str(port))
        self.ctl.done("new", "y")
        self.ctl.done("configure", "y", "-port", port)
        self.assertRegex(self.ctl.refused(FAILED, "up", "y"), r"cannot listen on .*:%d: Address already in use" % port)
        self.assertEqual(self.ctl.done("cget", "y", "-state"), "down")
        self.at(port).quit()

    def test_step_4_connection_list_and_state(self):
        ctl, user = self.ctl, self.user(MESSAGES)
        port = ctl.server("x", **self.backends())
        self.assertEqual(ctl.done("conn", "list", "x"), "")
        client = self.at(port)
        ids = ctl.lines("conn", "list", "x")
        self.assertEqual(len(ids), 1)

        def state():
            pairs = ctl.pairs("conn", "state", "x", ids[0])
            self.assertEqual(list(pairs)[:11], STATE_KEYS)
            return pairs
        now = state()
        self.assertEqual({k: now[k] for k in STATE_KEYS},
                         {"server": "x", "remotehost": "127.0.0.1", "remoteport": str(client.sock.getsockname()[1]),
                          "id": ids[0], "state": "auth", "logon": "", "name": "", "storage": "", "msg": "0", "size": "0",
                          "deleted": ""})
        client.ok(b"USER " + user.name_octets)
        now = state()
        self.assertEqual((now["state"], now["logon"], now["name"]), ("auth", "user", user.name))
        client.ok(b"PASS " + user.password_octets)
        now = state()
        self.assertEqual((now["state"], now["logon"], now["name"], now["msg"]), ("trans", "", user.name, "3"))
        self.assertIn(user.maildir.path, now["storage"])
        self.assertEqual(now["size"], str(sum(mailbox.size(m) for m in MESSAGES)))
        self.assertEqual(now["deleted"], "")
        client.ok(b"DELE 2")
        client.ok(b"DELE 1")
        now = state()
        self.assertEqual((now["deleted"], now["msg"]), ("2 1", "3"))
        client.ok(b"RSET")
        self.assertEqual(state()["deleted"], "")
        client.quit()
        self.assertTrue(harness.wait_for(lambda: ctl.done("conn", "list", "x") == ""))

    def test_step_5_down_leaves_sessions(self):
        user = self.user(MESSAGES)
        port = self.ctl.server("x", **self.backends())
        client, before_login = self.logged_in(user, port), self.at(port)
        self.ctl.done("down", "x")
        self.assertEqual(self.ctl.done("cget", "x", "-state"), "down")
        self.assertRefused(port)
        client.ok(b"NOOP")
        before_login.ok(b"QUIT")
        client.ok(b"DELE 1")
        client.quit()
        self.assertEqual(user.maildir.stored(), MESSAGES[1:])

    def test_step_6_destroy_defer(self):
        for ends in ("quit", "vanish"):
            with self.subTest(ends=ends):
                user = self.user(MESSAGES)
                port = self.ctl.server("x", **self.backends())
                client = self.logged_in(user, port)
                client.ok(b"DELE 1")
                self.ctl.done("destroy", "x", "defer")
                self.assertEqual(self.ctl.done("cget", "x", "-state"), "exiting")
                self.assertRegex(self.ctl.refused(FAILED, "up", "x"), "exiting")
                self.assertRefused(port)
                client.ok(b"NOOP")
                if ends == "quit":
                    client.quit()
                else:
                    client.reset()
                self.assertGone("x")
                self.assertEqual(user.maildir.stored(), MESSAGES[1:] if ends == "quit" else MESSAGES)

    def test_step_7_destroy_kill(self):
        user = self.user(MESSAGES)
        port, other = self.ctl.server("x", **self.backends()), self.ctl.server("y", **self.backends())
        client, early = self.logged_in(user, port), self.at(port)
        client.ok(b"DELE 1")
        self.ctl.done("destroy", "x")
        # at once: no wait between the answer and this login
        second = self.at(other)
        second.login(user)
        self.assertEqual(second.ok(b"STAT").split()[1], b"3")
        client.eof()
        early.eof()
        self.assertGone("x", 0)
        self.assertEqual(user.maildir.stored(), MESSAGES)
        second.quit()

    def test_step_8_empty_back_ends(self):
        user = self.user(MESSAGES)
        self.assertEqual(self.ctl.pairs("configure", "clear")["-storage"], "maildir:%h/Maildir")
        no_auth = self.at(self.ctl.server("x", storage="maildir:%h/Maildir"))
        refusal = no_auth.try_login(user)
        no_auth.ok(b"CAPA")
        no_auth.body()
        self.assertTrue(refusal.startswith(b"-ERR [AUTH] "))
        port = self.ctl.server("y", auth=self.daemon.settings["auth"])
        self.assertEqual(self.at(port).try_login(user, b"wrong"), refusal)
        client = self.at(port)
        client.login(user)
        self.assertEqual(client.ok(b"STAT"), b"+OK 0 0")
        self.assertEqual(client.listing(b"LIST"), [])
        self.assertEqual(client.listing(b"UIDL"), [])
        client.err(b"RETR 1")
        again = self.at(port)  # no lock on nothing
        again.login(user)
        again.quit()
        client.quit()
        self.assertEqual(user.maildir.stored(), MESSAGES)

    def test_step_9_configure_refused(self):
        self.ctl.done("new", "x")
        before = self.ctl.done("configure", "x")
        for status, words, message in (
                (FAILED, ("-state", "down"), "Option -state is read-only"),
                (USAGE, ("-nonsense", 1), 'Unknown option "-nonsense": Expected "-port", "-auth", "-socket", or "-storage"'),
                (USAGE, ("-port", 1, "-auth"), "wrong # args, expected: -option | (-option value)..."),
                (FAILED, ("-port", 1, "-state", "up"), "Option -state is read-only"),
                (USAGE, ("-port", 1, "-nonsense", "up"),
                 'Unknown option "-nonsense": Expected "-port", "-auth", "-socket", or "-storage"')):
            with self.subTest(words=words):
                self.assertEqual(self.ctl.refused(status, "configure", "x", *words), message)
                self.assertEqual(self.ctl.done("configure", "x"), before)

    @harness.needs_root
    def test_step_10_control_socket(self):
        user = self.user()
        answer = self.ctl.run("list", user=user.uid, group=user.gid, extra_groups=[])
        self.assertEqual(answer.status, 3)
        self.assertIn("only root and the members of control_group may ask", answer.err)
        mute = [self.ctl.raw() for _ in range(8)]
        began = time.monotonic()
        for _ in range(10):
            self.ctl.done("list")
        self.assertLess(time.monotonic() - began, 5)
        self.logged_in(self.user(MESSAGES), self.ctl.server("x", **self.backends())).quit()
        for s in mute:
            s.close()
