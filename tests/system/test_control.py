"""pop3ctl and the control socket: every method and option of tcllib's pop3d, and what the socket must bear."""

import contextlib
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import harness
import mailbox
from client import TestCase
from control import DONE, FAILED, STATE_KEYS, UNREACHABLE, USAGE, Control, answer_of, packed
from harness import ALL_KINDS, PLAIN, TLS

MESSAGES = mailbox.simple(3)
COUNT = int(os.environ.get("P3T_DEFER", "30"))  # sessions of the test of `destroy defer`; the acceptance has 200

UNKNOWN_CGET = 'Unknown option "-nope": Expected "-state", "-port", "-auth", "-socket", or "-storage"'
UNKNOWN_SET = 'Unknown option "-nope": Expected "-port", "-auth", "-socket", or "-storage"'
COUNT_RULE = "wrong # args, expected: -option | (-option value)..."
ARGS = 'wrong # args: should be "pop3ctl %s"'


class Case(TestCase):
    settings = {"max_auth_failures": 100}

    def setUp(self):
        super().setUp()
        if self.settings is not None:
            self.ctl = Control(self.daemon)

    def tearDown(self):
        if self.settings is not None:
            for line in self.ctl.lines("list")[1:]:
                if line.split()[0] not in self.daemon.servers:
                    self.ctl.run("destroy", line.split()[0])

    def backends(self):
        return {"auth": self.daemon.settings["auth"], "storage": "maildir:%h/Maildir"}

    def only_id(self, server):
        ids = self.ctl.lines("conn", "list", server)
        self.assertEqual(len(ids), 1)
        return ids[0]


# --- the model system's script, beside the model system ------------------------------------

# (words or a client's deed, status, what is printed: text or a regular expression; why the seed differs).
# $ID is the last id listed; a port that was chosen reads as PORT.
ROWS = [
    (("new", "x"), DONE, "x"),
    (("new", "x"), FAILED, 'command "x" already exists, unable to create pop3 server'),
    (("new", "x", "y"), USAGE, ARGS % "new ?name?"),
    (("new", "a b"), FAILED, re.compile('bad name "a b": .*'), "8: names have a grammar"),
    (("new", ""), FAILED, re.compile('bad name "": .*'), "8: names have a grammar"),
    (("configure", "x"), DONE, "-port 110 -auth {} -storage {} -socket plain -state down", "8: socket kinds are words"),
    (("cget", "x", "-port"), DONE, "110"),
    (("configure", "x", "-port"), DONE, "110"),
    (("cget", "x", "-auth"), DONE, ""),
    (("cget", "x", "-storage"), DONE, ""),
    (("cget", "x", "-state"), DONE, "down"),
    (("configure", "x", "-state"), DONE, "down"),
    (("cget", "x", "-nope"), USAGE, UNKNOWN_CGET),
    (("configure", "x", "-nope"), USAGE, UNKNOWN_CGET),
    (("configure", "x", "-nope", "1"), USAGE, UNKNOWN_SET),
    (("configure", "x", "-port", "1", "-auth"), USAGE, COUNT_RULE),
    (("configure", "x", "-state", "down"), FAILED, "Option -state is read-only"),
    (("configure", "x", "-port", "4711", "-nope", "1"), USAGE, UNKNOWN_SET),
    (("cget", "x", "-port"), DONE, "110", "8: configure is all or nothing"),
    (("cget", "x"), USAGE, ARGS % "cget name -option"),
    (("conn", "list", "x"), DONE, ""),
    (("conn", "list", "x", "y"), USAGE, ARGS % "conn list name"),
    (("conn", "state", "x"), USAGE, ARGS % "conn state name connId"),
    (("conn", "state", "x", "1", "2"), USAGE, ARGS % "conn state name connId"),
    (("conn", "state", "x", "fff"), FAILED, 'no such connection "fff"', "8: worded"),
    (("conn", "other", "x"), USAGE, 'bad option "other": must be kill, list, or state', "8: one method more"),
    (("other", "x"), USAGE, re.compile('bad option "other": must be adopt, autoconfig, box, cget, configure, conn, destroy, doctor, down, history, kick, last, list, log, metrics, new, reload, sessions, status, top, uidl, up, user, or who'),
     "8: more methods"),
    (("destroy", "x", "now"), USAGE, 'Illegal destruction mode "now": Expected "kill", or "defer"'),
    (("destroy", "x", "kill", "y"), USAGE, ARGS % "destroy name ?mode?"),
    (("up", "x", "y"), USAGE, ARGS % "up name"),
    (("down", "x", "y"), USAGE, ARGS % "down name"),
    (("down", "x"), DONE, ""),
    (("configure", "x", "-port", "0"), DONE, ""),
    (("cget", "x", "-port"), DONE, "0"),
    (("up", "x"), DONE, ""),
    (("up", "x"), DONE, ""),
    (("cget", "x", "-state"), DONE, "up"),
    (("cget", "x", "-port"), DONE, "PORT"),
    (("configure", "x", "-port", "4711"), DONE, ""),
    (("cget", "x", "-port"), DONE, "PORT"),
    (("CONNECT", "x"), "+OK"),
    (("conn", "list", "x"), DONE, "ID"),
    (("conn", "state", "x", "$ID"), DONE, "server x remotehost 127.0.0.1 state auth logon {} name {} msg 0 size 0 deleted {}"),
    (("SEND", "USER nobody"), "+OK"),
    (("conn", "state", "x", "$ID"), DONE,
     "server x remotehost 127.0.0.1 state auth logon user name nobody msg 0 size 0 deleted {}"),
    (("SEND", "PASS some"), "-ERR"),  # no -auth
    (("conn", "state", "x", "$ID"), DONE,
     "server x remotehost 127.0.0.1 state auth logon {} name nobody msg 0 size 0 deleted {}"),
    (("AUTH", "x"), DONE, ""),
    (("SEND", "USER $USER"), "+OK"),
    (("SEND", "PASS wrong"), "-ERR"),
    (("SEND", "STAT"), "-ERR"),
    (("SEND", "USER $USER"), "+OK"),
    (("STORE", "x"), DONE, ""),
    (("SEND", "PASS $PASSWORD"), "+OK"),
    (("SEND", "STAT"), "+OK"),
    (("SEND", "USER $USER"), "-ERR"),
    (("conn", "state", "x", "$ID"), DONE,
     "server x remotehost 127.0.0.1 state trans logon {} name USER msg 3 size SIZE deleted {}"),
    (("SEND", "DELE 2"), "+OK"),
    (("SEND", "DELE 1"), "+OK"),
    (("SEND", "DELE 7"), "-ERR"),
    (("conn", "state", "x", "$ID"), DONE,
     "server x remotehost 127.0.0.1 state trans logon {} name USER msg 3 size SIZE deleted {2 1}"),
    (("SEND", "DELE 1"), "-ERR", None, "7: a second mark is forgotten"),
    (("SEND", "DELE 2"), "-ERR", None, "7: a second mark is forgotten"),
    (("SEND", "RSET"), "+OK"),
    (("conn", "state", "x", "$ID"), DONE,
     "server x remotehost 127.0.0.1 state trans logon {} name USER msg 3 size SIZE deleted {}"),
    (("SEND", "DELE 3"), "+OK"),
    (("down", "x"), DONE, ""),
    (("cget", "x", "-state"), DONE, "down"),
    (("cget", "x", "-port"), DONE, "4711"),
    (("SEND", "NOOP"), "+OK"),
    (("destroy", "x", "defer"), DONE, ""),
    (("cget", "x", "-state"), DONE, "exiting"),
    (("down", "x"), DONE, ""),
    (("conn", "list", "x"), DONE, "ID"),
    (("SEND", "QUIT"), "+OK"),
    (("GONE", "x"), DONE, "", "7: a deferred destroy never ends"),
    (("cget", "x", "-state"), FAILED, 'no such server "x"', "7: a deferred destroy never ends"),
    (("new", "y"), DONE, "y"),
    (("destroy", "y", "defer"), DONE, ""),
    (("cget", "y", "-state"), FAILED, 'no such server "y"', "8: worded"),
    (("new", "y"), DONE, "y"),
    (("destroy", "y", "kill"), DONE, ""),
    (("up", "y"), FAILED, 'no such server "y"', "8: worded"),
    (("new", "z"), DONE, "z"),
    (("configure", "z", "-port", "70000"), FAILED, "option -port: expected a port from 0 to 65535", "8: judged when set"),
    (("configure", "z", "-port", "-1"), FAILED, "option -port: expected a port from 0 to 65535", "8: judged when set"),
    (("configure", "z", "-port", ""), FAILED, "option -port: expected a port from 0 to 65535", "8: judged when set"),
    (("configure", "z", "-auth", "nonsense"), FAILED, re.compile("option -auth: .+"), "8: back ends have names"),
    (("configure", "z", "-storage", "nonsense"), FAILED, re.compile("option -storage: .+"), "8: back ends have names"),
    (("configure", "z", "-socket", "nonsense"), FAILED, re.compile("option -socket: .+"), "8: socket kinds are words"),
    (("destroy", "z"), DONE, ""),
]

SEED_SIDE = r"""
package require pop3d
proc judge {op name} {
	if {$op eq "exists"} { return [expr {$name eq "alice"}] }
	return {secret box}
}
proc store {op box args} {
	switch -- $op {
		lock { return 1 }
		unlock { return }
		stat { return 3 }
		size { return [expr {[llength $args] ? 20 : 60}] }
		get { return "A: b\n\nbody\n" }
		dele { return }
	}
}
fconfigure stdin -buffering line
fileevent stdin readable {
	if {[gets stdin line] < 0} exit
	set failed [catch {uplevel #0 $line} result]
	puts "$failed [string map {\n { }} $result]"
	flush stdout
}
vwait forever
"""


def lists_equal(text):
    """A Tcl list of pairs as a dict; braces only as far as answers have them."""
    words = [a or b for a, b in re.findall(r"\{([^{}]*)\}|(\S+)", text)]
    return dict(zip(words[::2], words[1::2]))


class Side:
    """Plays ROWS and tells what came of each: (failed?, text)."""

    def __init__(self, test):
        self.test, self.client, self.id, self.seen = test, None, "", None

    def play(self):
        return [self.deed(row[0]) for row in ROWS]

    def deed(self, words):
        if words[0] == "CONNECT":
            port = int(self.call(("cget", words[1], "-port"))[1])
            self.client = socket.create_connection(("127.0.0.1", port), 10)
            self.test.addCleanup(self.client.close)
            self.stream = self.client.makefile("rb")
            return False, self.stream.readline().split()[0].decode()
        if words[0] == "SEND":
            line = words[1].replace("$USER", self.user).replace("$PASSWORD", self.password)
            self.client.sendall(line.encode() + b"\r\n")
            return False, self.stream.readline().split()[0].decode()
        if words[0] in ("AUTH", "STORE"):
            option = "-auth" if words[0] == "AUTH" else "-storage"
            return self.call(("configure", words[1], option, self.auth if words[0] == "AUTH" else self.storage))
        if words[0] == "GONE":
            # a session waits two seconds for its client to close
            return not harness.wait_for(lambda: self.call(("cget", words[1], "-state"))[0], 8), ""
        failed, text = self.call([w.replace("$ID", self.id) for w in words])
        if failed:
            return failed, text.replace(self.user, "USER")
        if words[0] == "conn" and words[1] == "list" and text:
            self.id, text = text, "ID"
        elif words[0] == "conn" and words[1] == "state":
            pairs = lists_equal(text)
            self.seen = pairs
            text = " ".join("%s %s" % (k, v if v and " " not in v else "{%s}" % v) for k, v in  # the seed's have no order
                            ((k, pairs[k]) for k in STATE_KEYS if k not in ("remoteport", "id", "storage")))
            text = text.replace("name " + self.user, "name USER").replace("size " + self.size, "size SIZE")
        elif words[0] == "cget" and text.isdigit() and text not in ("0", "110", "4711"):
            text = "PORT"
        return failed, text


class Ours(Side):
    def __init__(self, test, user):
        super().__init__(test)
        self.ctl = test.ctl
        self.user, self.password = user.name, user.password
        self.auth, self.storage = test.backends().values()
        self.size = str(sum(mailbox.size(m) for m in MESSAGES))
        self.statuses = []

    def call(self, words):
        form = ["--tcl"] if words[0] in ("configure", "conn") else []
        self.answer = self.ctl.run(*form, *words)
        if self.answer.status == DONE:
            return False, self.answer.out.removesuffix("\n")
        return True, self.answer.err.removeprefix("pop3ctl: ").removesuffix("\n")


class Seeds(Side):
    user, password, auth, storage, size = "alice", "secret", "judge", "store", "60"

    def __init__(self, test):
        super().__init__(test)
        with tempfile.NamedTemporaryFile("w", suffix=".tcl", dir=harness.world().dir, delete=False) as f:
            f.write(SEED_SIDE)
        self.process = subprocess.Popen(["tclsh", f.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        test.addCleanup(self.end)

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def call(self, words):
        words = list(words)
        if words[0] == "new":
            words[0] = "pop3d::new"
        elif words[0] == "conn" and len(words) > 2:
            words[:3] = [words[2], "conn", words[1]]
        elif len(words) > 1:
            words[:2] = [words[1], words[0]]
        self.process.stdin.write(" ".join("{%s}" % w for w in words) + "\n")
        self.process.stdin.flush()
        failed, text = self.process.stdout.readline().rstrip("\n").split(" ", 1)
        return failed == "1", text


class Beside(Case):
    def expect(self, row, got):
        expected = row[2] if len(row) > 2 and row[2] is not None else row[1]
        if isinstance(expected, re.Pattern):
            return bool(expected.fullmatch(got[1]))
        return got[1] == expected

    def test_every_row(self):
        side = Ours(self, self.user(MESSAGES))
        for row in ROWS:
            got = side.deed(row[0])
            with self.subTest(row=row[0]):
                self.assertTrue(self.expect(row, got), got)
                if isinstance(row[1], int) and row[0][0] != "GONE":
                    self.assertEqual(side.answer.status, row[1])
                    self.assertEqual(got[0], row[1] != DONE)

    @staticmethod
    def normal(got):
        failed, text = got
        return failed, re.sub(r"(wrong # args: should be).*", r"\1", text)

    @unittest.skipUnless(harness.have_seed(), "no tclsh with tcllib here")
    def test_the_seed_answers_the_same(self):
        ours, seeds = Ours(self, self.user(MESSAGES)).play(), Seeds(self).play()
        changed = 0
        for row, a, b in zip(ROWS, ours, seeds):
            why = row[3] if len(row) > 3 else None
            changed += why is not None
            with self.subTest(row=row[0], why=why):
                if why is None:
                    self.assertEqual(self.normal(a), self.normal(b))
                else:
                    self.assertNotEqual(self.normal(a), self.normal(b), "no longer different: strike out the reason")
        self.assertEqual(changed, sum(len(row) > 3 for row in ROWS))

    @unittest.skipUnless(harness.have_seed(), "no tclsh with tcllib here")
    def test_conn_state_keys_are_the_seeds(self):
        seed = Seeds(self)
        for words in (("new", "x"), ("configure", "x", "-port", "0"), ("up", "x"), ("CONNECT", "x"), ("conn", "list", "x"),
                      ("conn", "state", "x", "$ID")):
            seed.deed(words)
        self.assertEqual(set(seed.seen), set(STATE_KEYS))


# --- options, one by one -------------------------------------------------------------------

class Options(Case):
    def test_values(self):
        self.ctl.done("new", "x")
        for option, value, reads in (
                ("-port", "65535", "65535"), ("-port", "0", "0"), ("-auth", "pam:other", "pam:other"), ("-auth", "", ""),
                ("-storage", "maildir:/v/%d/%n", "maildir:/v/%d/%n"), ("-storage", "", ""),
                ("-socket", "plain", "plain"), ("-socket", "plain+stls", "plain+stls"), ("-socket", "tls", "tls"),
                ("-socket", "", "plain")):
            with self.subTest(option=option, value=value):
                self.ctl.done("configure", "x", option, value)
                self.assertEqual(self.ctl.done("cget", "x", option), reads)
                self.assertEqual(self.ctl.pairs("configure", "x")[option], reads)

    def test_socket_with_a_certificate_reads_back_as_it_was_set(self):
        self.ctl.done("new", "x")
        pair = "%s:%s" % harness.world().certificate()  # the configuration's own, yet it was named
        for value in ("tls:" + pair, "plain+stls:" + pair, "tls", "tls:" + pair, "plain"):
            with self.subTest(value=value):
                self.ctl.done("configure", "x", "-socket", value)
                self.assertEqual(self.ctl.done("cget", "x", "-socket"), value)
                self.assertEqual(self.ctl.pairs("configure", "x")["-socket"], value)
        self.ctl.done("configure", "x", "-socket", "tls:" + pair)
        self.ctl.refused(FAILED, "configure", "x", "-socket", "plain:" + pair)
        self.assertEqual(self.ctl.done("cget", "x", "-socket"), "tls:" + pair)
        self.ctl.done("configure", "x", "-socket", self.ctl.done("cget", "x", "-socket"))

    def test_several_at_once(self):
        self.ctl.done("new", "x")
        self.ctl.done("configure", "x", "-port", 4711, "-socket", "plain+stls", "-auth", "pam:a", "-auth", "pam:b")
        self.assertEqual(self.ctl.done("configure", "x", "--tcl"),
                         "-port 4711 -auth pam:b -storage {} -socket plain+stls -state down")

    def test_auth_takes_effect_at_once(self):
        user = self.user(MESSAGES)
        port = self.ctl.server("x", storage="maildir:%h/Maildir")
        client = self.connect(PLAIN, address=("127.0.0.1", port))
        self.assertTrue(client.try_login(user).startswith(b"-ERR [AUTH] "))
        self.ctl.done("configure", "x", "-auth", self.daemon.settings["auth"])
        client.login(user)  # the connection was open before
        self.ctl.done("configure", "x", "-auth", "")
        self.assertEqual(client.ok(b"STAT").split()[1], b"3")  # a session keeps what it has
        other = self.connect(PLAIN, address=("127.0.0.1", port))
        self.assertTrue(other.try_login(user).startswith(b"-ERR [AUTH] "))
        client.quit()

    def test_socket_takes_effect_at_the_next_up(self):
        port = self.ctl.server("x")
        self.ctl.done("configure", "x", "-socket", "tls")
        self.connect(PLAIN, address=("127.0.0.1", port)).quit()
        self.ctl.done("down", "x")
        self.ctl.done("up", "x")
        port = int(self.ctl.done("cget", "x", "-port"))
        self.connect(TLS, address=("127.0.0.1", port)).quit()

    def test_stls_at_run_time(self):
        port = self.ctl.server("x", socket="plain+stls", **self.backends())
        client = self.connect(harness.STLS, address=("127.0.0.1", port))
        client.login(self.user(MESSAGES))
        client.quit()
        plain = self.ctl.server("y")
        self.assertNotIn(b"STLS", self.connect(PLAIN, address=("127.0.0.1", plain)).listing(b"CAPA"))

    def test_two_servers_one_maildrop(self):
        user = self.user(MESSAGES)
        ports = [self.ctl.server(name, **self.backends()) for name in ("x", "y")]
        first = self.session(user, address=("127.0.0.1", ports[0]))
        second = self.connect(PLAIN, address=("127.0.0.1", ports[1]))
        self.assertTrue(second.try_login(user).startswith(b"-ERR [IN-USE] "))
        first.quit()
        self.session(user, address=("127.0.0.1", ports[1])).quit()

    def test_many_servers(self):
        names = ["s%d" % i for i in range(40)]
        ports = [self.ctl.server(name) for name in names]
        self.assertEqual(len(set(ports)), 40)
        clients = [self.connect(PLAIN, address=("127.0.0.1", port)) for port in ports]
        for name in names[::2]:
            self.ctl.done("destroy", name)
        for i, client in enumerate(clients):
            if i % 2:
                client.quit()
            else:
                client.eof()
        for name in names[1::2]:
            self.ctl.done("destroy", name, "defer", "--wait")
        self.assertEqual(len(self.ctl.json("list")), 2)

    def test_ipv6(self):
        if not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("no IPv6 here")
        port = self.ctl.server("x")
        client = self.connect(PLAIN, address=("::1", port))
        self.assertEqual(self.ctl.pairs("conn", "state", "x", self.only_id("x"))["remotehost"], "::1")
        client.quit()


# --- forms and statuses --------------------------------------------------------------------

class Lost(Case):
    """Standard output takes nothing more, as on a full disk: the exit status tells."""

    READING = ("status", "list", "who", "last", "sessions", "log errors", "log errors --json", "metrics",
               "top --once", "top --once --json", "help", "help last", "--version", "cget %(server)s -port",
               "configure %(server)s", "history %(server)s %(user)s", "status --tcl", "status --watch=1", "doctor --json")

    def lost(self, *argv):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.assertGreater(done.returncode, 0, argv)
        self.assertRegex(done.stderr.decode(), r"(?m)^[a-z3-]+: not all was printed: (No space left on device|a write has failed)$", argv)

    def test_answers_of_the_daemon(self):
        names = {"server": next(iter(self.daemon.servers)), "user": self.user(MESSAGES).name}
        for words in self.READING:
            with self.subTest(words):
                self.lost(*self.ctl.argv(*(words % names).split()))

    def test_what_pop3d_prints(self):
        for words in (["-V"], ["-h"], ["-T", "-c", self.daemon.conf_path], ["-n", "-c", self.daemon.conf_path]):
            with self.subTest(words):
                self.lost(harness.program("pop3d"), *words)
        self.lost(harness.program("pop3d-exporter"), "-V")


class Forms(Case):
    def test_json_of_every_reading_command(self):
        user = self.user(MESSAGES)
        port = self.ctl.server("x", **self.backends())
        client = self.session(user, address=("127.0.0.1", port))
        client.ok(b"DELE 2")
        row = next(r for r in self.ctl.json("list") if r["name"] == "x")
        self.assertEqual((row["state"], row["port"], row["socket"], row["auth"], row["storage"], row["connections"]),
                         ("up", [port], "plain", *self.backends().values(), 1))
        self.assertEqual(self.ctl.json("configure", "x"),
                         {"-port": port, "-auth": self.backends()["auth"], "-storage": "maildir:%h/Maildir",
                          "-socket": "plain", "-state": "up"})
        self.assertEqual(self.ctl.json("cget", "x", "-state"), "up")
        self.assertEqual(self.ctl.json("cget", "x", "-port"), port)
        self.assertEqual(self.ctl.json("configure", "x", "-state"), "up")
        ids = self.ctl.json("conn", "list", "x")
        self.assertEqual(ids, [self.only_id("x")])
        state = self.ctl.json("conn", "state", "x", ids[0])
        self.assertEqual((list(state)[:11], state["deleted"], state["msg"]), (STATE_KEYS, [2], 3))
        self.assertEqual([r["id"] for r in self.ctl.json("sessions") if r["server"] == "x"], ids)
        self.assertEqual(self.ctl.json("top")[0]["server"], "x")
        row = next(r for r in self.ctl.json("sessions") if r["id"] == ids[0])
        self.assertEqual(row["idle"] + row["left"], self.daemon.settings["idle_timeout"])
        self.assertEqual([row[k] for k in ("messages", "deleted", "user", "octets")], [3, 1, user.name, 0])
        self.assertGreater(state["since"], 0)
        status = self.ctl.json("status")
        self.assertEqual((status["pid"], type(status["messages_deleted"])), (self.daemon.pid, int))
        self.assertIn("pid", status["spawner"])
        self.assertEqual([type(w["connections"]) for w in status["workers"]], [int] * len(status["workers"]))
        client.quit()
        self.assertTrue(harness.wait_for(lambda: self.ctl.json("conn", "list", "x") == []))

    def test_strange_names_are_shown_escaped(self):
        port = self.ctl.server("x")
        for name in (b"a b", b'qu"o\\te', b"\x1b[2J", b"\xff\xfe", b"{}[]$;", b"x" * 40):
            client = self.connect(PLAIN, address=("127.0.0.1", port))
            client.send(b"USER " + name + b"\r\n")
            client.response()
            number = self.ctl.lines("conn", "list", "x")[-1]
            for words in (("conn", "state", "x", number), ("sessions",), ("top", "--once")):
                for form in ((), ("--json",), ("--tcl",)):
                    out = self.ctl.done(*words, *form)
                    self.assertTrue(out.isascii() and out.replace("\n", "").isprintable(), out)
            self.assertEqual(list(self.ctl.json("conn", "state", "x", number))[:11], STATE_KEYS)
            client.quit()

    def test_json_of_octets_that_are_no_utf8(self):
        self.ctl.server("x")
        self.ctl.done("configure", "x", "-storage", os.fsdecode(b"dir:/srv/\xff\xc3\xa4\x7f"))
        out = self.ctl.done("cget", "x", "-storage", "--json")
        self.assertTrue(out.isascii() and out.isprintable(), out)
        self.assertEqual(answer_of(out), "dir:/srv/\xff\xc3\xa4\x7f")

    def test_json_of_utf8_is_utf8(self):
        self.ctl.server("x")
        self.ctl.done("configure", "x", "-storage", "dir:/srv/\xe4\u20ac\U0001f4e7\"")
        out = self.ctl.done("cget", "x", "-storage", "--json")
        self.assertIn("\xe4\u20ac\U0001f4e7", out)
        self.assertEqual(answer_of(out), "dir:/srv/\xe4\u20ac\U0001f4e7\"")

    def test_json_with_what_a_terminal_obeys_is_ascii(self):
        self.ctl.server("x")
        self.ctl.done("configure", "x", "-storage", "dir:/srv/\x9b2J")
        out = self.ctl.done("cget", "x", "-storage", "--json")
        self.assertTrue(out.isascii() and out.isprintable(), out)
        self.assertEqual(answer_of(out), "dir:/srv/\x9b2J")

    def test_an_answer_without_end_is_given_up(self):
        """pop3ctl may be root's, and the daemon at the socket anybody's."""
        path = harness.world().path("endless")

        def serve(listener):
            peer = listener.accept()[0]
            with contextlib.suppress(OSError):
                peer.sendall(b"0t")
                for _ in range(1024):
                    peer.sendall(b"x" * (1 << 20))
            peer.close()

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            thread = threading.Thread(target=serve, args=(listener,))
            thread.start()
            done = subprocess.run([harness.program("pop3ctl"), "-s", path, "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
            thread.join()
        self.assertEqual((done.returncode, done.stdout), (UNREACHABLE, b""))
        self.assertIn(b"Message too long", done.stderr)

    def test_list_is_aligned(self):
        self.ctl.done("new", "a-rather-long-name")
        lines = self.ctl.lines("list")
        self.assertEqual(lines[0].split(), ["name", "state", "port", "socket", "auth", "storage", "connections"])
        self.assertEqual(len({line.index(word) for line, word in zip(lines[1:], ("up", "up", "down"))}), 1)
        self.assertEqual(lines[3].split(), ["a-rather-long-name", "down", "110", "plain", "-", "-", "0"])

    def test_conn_list_is_in_order(self):
        port = self.ctl.server("x")
        clients, ids = [], []
        for _ in range(12):
            clients.append(self.connect(PLAIN, address=("127.0.0.1", port)))
            new = [i for i in self.ctl.lines("conn", "list", "x") if i not in ids]
            self.assertEqual(len(new), 1)
            ids += new
        self.assertEqual(self.ctl.lines("conn", "list", "x"), ids)
        self.assertEqual(self.ctl.done("conn", "list", "x", "--tcl").split(), ids)

    def test_usage(self):
        self.assertEqual(self.ctl.run("--help").status, DONE)
        for words in ((), ("-x", "list"), ("top", "--never"), ("top", "--once", "surplus")):
            answer = self.ctl.run(*words)
            self.assertEqual((answer.status, answer.out), (USAGE, ""), words)
            self.assertTrue(answer.err)
        for words, usage in ((("list", "x"), "list"), (("status", "x"), "status"), (("reload", "x"), "reload"),
                             (("conn", "kill", "x"), "conn kill name connId"), (("up",), "up name"), (("down",), "down name"),
                             (("conn", "list"), "conn list name"), (("log",), "log errors ?count?")):
            self.assertEqual(self.ctl.refused(USAGE, *words), ARGS % usage)
        self.assertIn("wrong # args", self.ctl.refused(USAGE, "conn"))
        self.assertIn("wrong # args", self.ctl.refused(USAGE, "destroy"))
        self.assertIn("wrong # args", self.ctl.refused(USAGE, "configure"))
        self.assertIn("bad option", self.ctl.refused(USAGE, ""))
        self.assertIn("64 words", self.ctl.refused(USAGE, "configure", "clear", *["-port", "1"] * 40))
        self.assertEqual(int(self.ctl.done("cget", "clear", "-port")), self.daemon.port(PLAIN))

    def test_help_and_errors_show_the_same_arguments(self):
        helps = re.findall("^  (.*?) *$", self.ctl.done("--help"), re.M)
        self.assertGreater(len(helps), 20)
        for synopsis in (line.replace("[", "?").replace("]", "?") for line in helps):
            count = 2 if synopsis.split()[0] in ("adopt", "box", "conn", "log", "uidl", "user") else 1
            words, arguments = synopsis.split()[:count], synopsis.split()[count:]
            wanted = re.sub(r"\?.*?\?", "", " ".join(arguments)).strip()
            status = 3 if words == ["doctor"] else USAGE  # a monitoring plugin's "unknown"
            answer = self.ctl.refused(status, *words, *([] if wanted else ["x"] * 3))
            self.assertEqual(answer, ARGS % re.sub("^user ", "user ?-f file? ", synopsis))

    def test_not_reachable(self):
        path = harness.world().path("nothing")
        done = subprocess.run([harness.program("pop3ctl"), "-s", path, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stdout), (UNREACHABLE, b""))
        self.assertIn(path.encode() + b": no pop3d runs with this control socket", done.stderr)
        with socket.socket(socket.AF_UNIX) as s:  # there, but nobody serves it
            s.bind(path)
            done = subprocess.run([harness.program("pop3ctl"), "-s", path, "top", "--once"], stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, UNREACHABLE)
        done = subprocess.run([harness.program("pop3ctl"), "-s", "/" + "x" * 200, "list"], stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, UNREACHABLE)

    def test_help_and_version(self):
        def said(*words):
            done = subprocess.run([harness.program("pop3ctl"), "-s", "/nonexistent", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            return done.returncode, done.stdout.decode(), done.stderr.decode()

        self.assertRegex(said("-V")[1], r"\Apop3ctl \d+\.\d+\.\d+\n\Z")
        self.assertEqual(said("--version"), said("-V"))
        self.assertEqual(said("help"), said("--help"))
        self.assertEqual(said("destroy", "--help"), said("help", "destroy"))
        self.assertRegex(said("help", "destroy")[1], r"\A  destroy name \[kill\|defer\] \[--wait\]\n\t.*\n\Z")
        self.assertEqual([line.split()[1] for line in said("conn", "--help")[1].splitlines()[::2]], ["list", "state", "kill"])
        self.assertEqual([line.split()[:2] for line in said("help", "user", "add")[1].splitlines()[::2]], [["user", "add"]])
        status, out, err = said("help", "conn", "nonsense")
        self.assertEqual((status, out), (USAGE, ""))
        self.assertIn("must be kill, list, or state", err)
        self.assertIn("destroy", said("nonsense", "--help")[2])

    def test_state_of_a_TLS_connection_before_login(self):
        client = self.connect(TLS)
        name = next(s["name"] for s in self.ctl.json("list") if s["socket"] == "tls")
        self.assertEqual(self.ctl.pairs("conn", "state", name, self.only_id(name))["tls"], "TLSv1.3")
        client.quit()

    def test_names(self):
        for name in ("A", "a.b-c_D9", "x" * 64, "-dash"):
            self.assertEqual(self.ctl.done("new", name), name)
            self.assertEqual(self.ctl.done("cget", name, "-state"), "down")
        name = "n" * 64  # as long as may be: it stands whole wherever the server is named
        port, user = self.ctl.server(name, **self.backends()), self.user(mailbox.simple(1))
        session = self.session(user, PLAIN, self.daemon, address=("127.0.0.1", port))
        self.assertEqual(self.ctl.pairs("conn", "state", name, self.only_id(name))["server"], name)
        session.quit()
        self.assertTrue(harness.wait_for(lambda: " server=%s user=%s " % (name, user.name) in self.daemon.log()))
        for name in ("a/b", "a\nb", "\x1b[2J", "a\tb", "ä", "x" * 65, "a b"):
            self.assertIn("bad name", self.ctl.refused(FAILED, "new", name))

    def test_status(self):
        before = self.ctl.pairs("status")
        self.assertEqual((before["pid"], before["state"], before["configuration"]),
                         (str(self.daemon.pid), "serving", self.daemon.conf_path))
        self.assertRegex(before["spawner"], " session_landlock=(unknown|[0-9]+)$")
        early = self.connect(PLAIN)
        client = self.session(self.user(MESSAGES), TLS)
        now = self.ctl.pairs("status")
        self.assertEqual([int(now[k]) - int(before[k]) for k in ("connections", "undecided", "sessions")], [2, 1, 1])
        self.assertRegex(now["spawner"], " session_landlock=[0-9]+$")
        self.assertTrue(any(line.startswith("worker ") for line in self.ctl.lines("status")))
        early.quit()
        client.quit()

    def test_top(self):
        user = self.user(MESSAGES)
        port = self.ctl.server("x", **self.backends())
        client = self.session(user, address=("127.0.0.1", port))
        client.multi(b"RETR 1")
        self.ctl.lines("conn", "state", "x", *self.ctl.lines("conn", "list", "x"))  # which asks for the sizes
        head, *table = self.ctl.lines("top", "--once")
        self.assertRegex(head, r"^pop3d \S+ +connections \d+ .*failed logins in the last minute \d+$")
        for names, *rows in (table, self.ctl.lines("sessions")):
            row = dict(zip(names.split(), next(r for r in rows if user.name in r).split()))
            self.assertEqual((row["server"], row["user"], row["peer"], row["state"], row["messages"], row["retrieved"],
                              row["octets"], row["waiting"]),
                             ("x", user.name, "127.0.0.1", "trans", "3", "1", str(mailbox.size(MESSAGES[0])), "client"))
            self.assertEqual(row["of"], str(sum(mailbox.size(m) for m in MESSAGES)))
            self.assertRegex(row["rate"], r"^[0-9]+$")
            self.assertEqual(int(row["idle"]) + int(row["left"]), self.daemon.settings["idle_timeout"])
        client.quit()

    def test_watch(self):
        for words in (("--watch=1", "list"), ("list", "--watch=1"), ("--json", "--watch=1", "list"), ("list", "--watch=1", "--json")):
            process = self.ctl.start(*words)
            try:
                lines = iter(process.stdout.readline, b"")
                first = list(itertools.takewhile(lambda line: line != b"\n", lines))
                second = list(itertools.takewhile(lambda line: line != b"\n", lines))
            finally:
                process.kill()
                process.communicate()
            self.assertTrue(first)
            self.assertEqual(first, second)
            self.assertEqual(first[0].startswith(b"{"), "--json" in words)
        for words in (("kick", "nobody", "--watch"), ("top", "--watch"), ("--watch", "conn", "kill", "x", "1"), ("list", "--watch=0"),
                      ("list", "--watch=x"), ("list", "--watch="), ("list", "--watch=1s"), ("--watch=-1", "list")):
            answer = self.ctl.run(*words)
            self.assertEqual((answer.status, answer.out), (USAGE, ""), words)
            self.assertIn("--watch", answer.err)
        self.assertIn("no such server", self.ctl.refused(FAILED, "conn", "list", "nothing", "--watch"))

    def test_failed_logins_are_counted(self):
        def failed():
            return int(self.ctl.lines("top", "--once")[0].rsplit(" ", 1)[1])
        before = failed()
        client = self.connect(PLAIN)
        for password in (b"x", b"y", b"z"):
            client.try_login(b"nobody-here", password)
        self.assertEqual(failed() - before, 3)
        client.quit()


# --- kill, defer ---------------------------------------------------------------------------

class Strange(TestCase):
    """What pop3ctl prints of an answer that holds any octets; a socket of the test's stands for the daemon."""

    settings = None
    VALUES = ["", "a b", "{", "}", "}{", "a{b}c", "\\", "a\\", "{\\", "\\}", "$x", "[exit]", '"', "a;b", "#", "#{",
              "\x1b[2J", "\x7f", "\x01" + "7", "a\rb", "\x0b{", "-x", "x" * 300]

    def answered(self, octets, *words):
        """What pop3ctl prints for words, if the answer is octets."""
        path = os.path.join(tempfile.mkdtemp(dir=harness.world().dir), "control")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            ctl = subprocess.Popen([harness.program("pop3ctl"), "-s", path, *words], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
            listener.settimeout(30)
            with listener.accept()[0] as s:
                s.recv(65536)
                s.sendall(octets)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):  # what is unread at the end would take the answer back
                    pass
            return ctl.communicate(timeout=30)

    def test_a_person_reads_no_control_octets(self):
        body = "".join("k\t%s\n" % v for v in self.VALUES).encode() + b"k\t\xff\xc2\x9b\n"
        for head in (b"0p", b"0t", b"0v", b"0l", b"1-"):
            out, err = self.answered(head + body, "status")
            printed = (out + err).replace(b"\n", b"").replace(b"\t", b"").decode("ascii")
            self.assertTrue(printed and printed.isprintable(), printed)

    @unittest.skipUnless(harness.have("tclsh"), "no tclsh here")
    def test_tclsh_reads_the_same_list(self):
        out, _ = self.answered(b"0p" + "".join("k\t%s\n" % v for v in self.VALUES).encode(), "status", "--tcl")
        script = b"foreach {k v} [gets stdin] {binary scan $v H* hex; puts $hex}"
        path = os.path.join(tempfile.mkdtemp(dir=harness.world().dir), "read.tcl")
        with open(path, "wb") as f:
            f.write(script)
        read = subprocess.run(["tclsh", path], input=out, stdout=subprocess.PIPE, timeout=30, check=True).stdout.decode()
        self.assertEqual(read.splitlines(), [v.encode().hex() for v in self.VALUES])


class Ends(Case):
    limit = 120

    def test_conn_kill(self):
        user = self.user(MESSAGES)
        for kind in self.each_kind(ALL_KINDS):
            name = "secure" if kind == TLS else "clear"
            client = self.session(user, kind)
            client.ok(b"DELE 1")
            other, early = self.connect(kind), self.connect(kind)
            ids = self.ctl.lines("conn", "list", name)
            self.assertEqual(len(ids), 3)
            self.ctl.done("conn", "kill", name, ids[0])
            other.login(user)  # the lock is free when the answer comes
            self.assertIn(client.rest(), (b"",))
            self.ctl.done("conn", "kill", name, ids[2])
            early.eof()
            self.assertEqual(self.ctl.lines("conn", "list", name), ids[1:2])
            other.quit()
            self.assertEqual(user.maildir.stored(), MESSAGES)
            self.assertTrue(harness.wait_for(lambda: not self.ctl.lines("conn", "list", name)))

    def test_who_and_kick(self):
        user, other = self.user(MESSAGES), self.user(MESSAGES)
        client = self.session(user, TLS)
        client.ok(b"DELE 1")
        early = self.connect(PLAIN)
        early.ok(b"USER " + user.name_octets)  # is not logged in
        stays = self.session(other)
        rows = {row["user"]: row for row in self.ctl.json("who")}
        self.assertEqual(sorted(rows), sorted((user.name, other.name)))
        self.assertEqual([rows[user.name][k] for k in ("server", "peer", "tls")], ["secure", "127.0.0.1", "TLSv1.3"])
        self.assertEqual([rows[other.name][k] for k in ("server", "peer", "tls")], ["clear", "127.0.0.1", "none"])
        self.assertRegex(rows[user.name]["since"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
        self.assertTrue(harness.wait_for(lambda: min(r["idle"] for r in self.ctl.json("who")) >= 1))
        stays.ok(b"NOOP")
        idle = {r["user"]: r["idle"] for r in self.ctl.json("who")}
        self.assertLess(idle[other.name], idle[user.name])
        self.assertEqual(self.ctl.json("kick", "nobody-" + user.name), 0)
        self.assertEqual(self.ctl.json("kick", user.name), 1)
        client.eof()
        self.assertTrue(harness.wait_for(lambda: [r["user"] for r in self.ctl.json("who")] == [other.name]))
        self.assertEqual(user.maildir.stored(), MESSAGES)
        for c in stays, early:
            c.quit()

    def test_UPD_09_conn_kill_ends_a_session_over_tls_with_close_notify(self):
        for kind, name in ((TLS, "secure"), (harness.STLS, "clear")):
            with self.subTest(kind=kind):
                client = self.session(self.user(MESSAGES), kind)
                client.listing(b"UIDL")
                self.ctl.done("conn", "kill", name, self.only_id(name))
                client.clean_eof()

    def test_conn_of_another_server(self):
        client = self.connect(PLAIN)
        number = self.only_id("clear")
        for words in (("secure", number), ("clear", number + "0"), ("clear", "zz"), ("clear", ""), ("clear", "-1"), ("clear", "f" * 40)):
            for verb in ("state", "kill"):
                self.assertEqual(self.ctl.refused(FAILED, "conn", verb, *words), 'no such connection "%s"' % words[1])
        self.assertEqual(self.ctl.refused(FAILED, "conn", "kill", "none", number), 'no such server "none"')
        client.quit()

    def test_kill_during_a_download(self):
        big = mailbox.letter("big", b"line of a large message, again and again\n" * 200000)
        user = self.user([big])
        for kind in self.each_kind((PLAIN, TLS)):
            self.ctl.server("x", socket="tls" if kind == TLS else "plain", **self.backends())
            port = int(self.ctl.done("cget", "x", "-port"))
            client = self.session(user, kind, address=("127.0.0.1", port), rcvbuf=8192)
            client.send(b"RETR 1\r\n")
            client.response()
            time.sleep(0.1)
            began = time.monotonic()
            self.ctl.done("destroy", "x", "kill")
            self.assertLess(time.monotonic() - began, 5)
            self.session(user, kind).quit()
            self.assertEqual(user.maildir.stored(), [big])

    def test_kill_many(self):
        users = [self.user(MESSAGES) for _ in range(12)]
        port = self.ctl.server("x", **self.backends())
        clients = [self.session(u, address=("127.0.0.1", port)) for u in users]
        clients += [self.connect(PLAIN, address=("127.0.0.1", port)) for _ in range(12)]
        for c in clients[:12]:
            c.ok(b"DELE 1")
        self.ctl.done("destroy", "x")
        again = [self.connect(PLAIN) for _ in users]
        for c, u in zip(again, users):
            c.login(u)  # no waiting: the locks are free
            c.quit()
            self.assertEqual(u.maildir.stored(), MESSAGES)
        for c in clients:
            self.assertEqual(c.rest(), b"")

    def test_kill_of_an_exiting_server(self):
        user = self.user(MESSAGES)
        port = self.ctl.server("x", **self.backends())
        client = self.session(user, address=("127.0.0.1", port))
        self.ctl.done("destroy", "x", "defer")
        waiting = self.ctl.start("destroy", "x", "defer", "--wait")
        time.sleep(0.2)
        self.assertIsNone(waiting.poll())
        self.assertIn("already exists", self.ctl.refused(FAILED, "new", "x"))
        self.ctl.done("destroy", "x", "kill", "--wait")
        self.assertEqual(waiting.communicate(timeout=5), (b"", b""))
        self.assertEqual(waiting.returncode, DONE)
        client.eof()
        self.assertEqual(self.ctl.done("new", "x"), "x")

    def test_destroy_of_a_configured_server(self):
        daemon = self.own_daemon()
        ctl = Control(daemon)
        port = daemon.port(PLAIN)
        ctl.done("destroy", "clear")
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", port), 2)
        self.connect(TLS, daemon).quit()
        ctl.done("reload")  # the configuration has it
        self.connect(PLAIN, daemon).quit()

    def test_defer_quit_vanish_idle(self):
        """A third quits, a third vanishes, a third idles to the limit; P3T_DEFER sets how many."""
        idle = 3 if COUNT < 100 else 10
        path, base = harness.world().path("users"), tempfile.mkdtemp(prefix="boxes-", dir=harness.world().dir)
        owner = harness.world().take_user()
        self.addCleanup(harness.world().give_back, owner)
        os.chmod(base, 0o755)
        boxes = []
        with open(path, "w") as f:
            for i in range(COUNT):
                home = os.path.join(base, "u%d" % i)
                os.mkdir(home, 0o700)
                os.chown(home, owner.uid, owner.gid)
                f.write("u%d:{plain}secret:%d:%d:%s\n" % (i, owner.uid, owner.gid, home))
                boxes.append(mailbox.Maildir(os.path.join(home, "Maildir"), owner.uid, owner.gid).fill(MESSAGES[:2]))
        os.chmod(path, 0o600)
        daemon = self.own_daemon(idle_timeout=idle)
        ctl = Control(daemon)
        port = ctl.server("x", auth="file:" + path, storage="maildir:%h/Maildir")
        clients = []
        for i in range(COUNT):
            client = self.connect(PLAIN, daemon, address=("127.0.0.1", port))
            client.try_login(b"u%d" % i, b"secret")
            clients.append(client)
            if i % 3 == 2:
                client.ok(b"DELE 1")
        for i, client in enumerate(clients):  # nobody idled out meanwhile
            client.ok(b"DELE 1" if i % 3 != 2 else b"NOOP")
        waiting = ctl.start("destroy", "x", "defer", "--wait")
        self.assertTrue(harness.wait_for(lambda: ctl.done("cget", "x", "-state") == "exiting"))
        self.assertEqual(len(ctl.lines("conn", "list", "x")), COUNT)
        for i, client in enumerate(clients):
            if i % 3 == 0:
                client.quit()
            elif i % 6 == 1:
                client.reset()
            elif i % 3 == 1:
                client.close()
        left = COUNT // 3
        self.assertTrue(harness.wait_for(lambda: len(ctl.lines("conn", "list", "x")) <= left))
        self.assertIsNone(waiting.poll())
        self.assertEqual(ctl.done("cget", "x", "-state"), "exiting")
        self.assertEqual(waiting.communicate(timeout=idle + 20), (b"", b""))
        self.assertEqual(waiting.returncode, DONE)
        self.assertEqual(ctl.refused(FAILED, "cget", "x", "-state"), 'no such server "x"')
        for i, box in enumerate(boxes):
            self.assertEqual(box.stored(), MESSAGES[1:2] if i % 3 == 0 else MESSAGES[:2], "box %d" % i)


class Questions(Case):
    def ask(self, server, conn, times):
        """Ask for the state so many times at once; all the answers."""
        sockets = [self.ctl.raw(timeout=30) for _ in range(times)]
        for s in sockets:
            s.sendall(packed(b"conn", b"state", server.encode(), conn.encode()))
        answers = []
        for s in sockets:
            with s, s.makefile("rb") as f:
                answers.append(f.read())
        return answers

    def test_no_number_of_them_ends_a_session(self):
        user = self.user(MESSAGES[:2])
        client = self.session(user)
        pid = self.daemon.session_of(user)[0]
        os.kill(pid, signal.SIGSTOP)  # it reads nothing, as when it is at work
        conn = self.only_id("clear")
        for _ in range(8):
            for answer in self.ask("clear", conn, 50):
                self.assertIn(user.name_octets, answer)
        os.kill(pid, signal.SIGCONT)
        client.ok(b"DELE 1")
        client.quit()
        self.assertEqual(user.maildir.stored(), MESSAGES[1:2])


# --- the socket ----------------------------------------------------------------------------

class Socket(Case):
    limit = 90

    @harness.needs_root
    def test_mode(self):
        st = os.stat(self.ctl.path)
        self.assertEqual((st.st_mode & 0o777, st.st_uid), (0o600, 0))

    @harness.needs_root
    def test_control_group(self):
        member, stranger = self.user(), self.user()
        group = harness.pwd.getpwnam(member.name).pw_gid
        name = subprocess.run(["getent", "group", str(group)], stdout=subprocess.PIPE, check=True).stdout.decode().split(":")[0]
        daemon = self.own_daemon(control_group=name)
        ctl = Control(daemon)
        port = ctl.server("x")
        client = self.connect(PLAIN, daemon, address=("127.0.0.1", port))
        number = ctl.lines("conn", "list", "x")[0]
        for who in ({"user": member.uid, "group": member.gid, "extra_groups": []},
                    {"user": stranger.uid, "group": stranger.gid, "extra_groups": [group]}):
            for words in (("list",), ("status",), ("configure", "x"), ("configure", "x", "-port"), ("cget", "x", "-state"),
                          ("conn", "list", "x"), ("conn", "state", "x", number), ("top", "--once")):
                self.assertEqual(ctl.run(*words, **who).status, DONE, words)
            for words in (("new",), ("new", "y"), ("up", "x"), ("down", "x"), ("destroy", "x"), ("destroy", "x", "defer"),
                          ("configure", "x", "-port", "1"), ("conn", "kill", "x", number), ("reload",)):
                self.assertEqual(ctl.refused(FAILED, *words, **who), "only root may do that")
        answer = ctl.run("list", user=stranger.uid, group=stranger.gid, extra_groups=[])
        self.assertEqual((answer.status, answer.out), (UNREACHABLE, ""))
        self.assertIn("only root and the members of control_group", answer.err)
        self.assertEqual(len(ctl.json("list")), 3)
        client.quit()

    def test_silent_client_stops_nobody(self):
        mute = [self.ctl.raw(30) for _ in range(20)]
        half = self.ctl.raw(30)
        half.sendall(b"3\0conn\0list\0")  # and no end
        began = time.monotonic()
        for _ in range(20):
            self.ctl.done("list")
        self.session(self.user(MESSAGES), TLS).quit()
        self.assertLess(time.monotonic() - began, 5)
        for s in [*mute, half]:
            self.assertEqual(s.recv(1), b"")  # it is hung up on after ten seconds
            s.close()
        self.assertLess(time.monotonic() - began, 20)

    def test_answer_that_nobody_takes(self):
        for i in range(30):
            self.ctl.done("new", "filler-%d-%s" % (i, "x" * 40))
        many = []
        for _ in range(30):
            s = self.ctl.raw(30)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.sendall(packed(b"list"))
            many.append(s)
        self.ctl.done("list")
        for s in many:
            s.close()
        self.ctl.done("list")

    def test_garbage(self):
        rng = random.Random(3)
        self.ctl.done("new", "x")
        words = [b"list", b"conn", b"state", b"x", b"configure", b"-port", b"cget", b"", b"\xff\xfe", b"%s%n", b"clear", b"list "]
        for i in range(400):
            chosen = [rng.choice(words) for _ in range(rng.randrange(0, 9))]
            if i % 4 == 0:
                request = rng.randbytes(rng.randrange(1, 300))
            elif i % 4 == 1:  # another count than there are words, or none
                request = b"\0".join([rng.choice([b"0", b"1", b"3", b"9", b"-1", b"1x", b"", b"9" * 30]), *chosen])
            else:
                request = packed(*chosen)
            answer = self.ctl.send_raw(request)
            self.assertIn(answer[:1], (b"0", b"1", b"2") if i % 4 >= 2 else (b"", b"0", b"1", b"2"), request)
        for request in (b"", b"\0", b"\0" * 1000, b"18446744073709551615\0x\0", b"1\0list\0surplus\0", b"2\0list\0"):
            self.assertEqual(self.ctl.send_raw(request), b"", request)
        self.assertEqual(self.ctl.send_raw(b"0\0")[:1], b"2")
        self.assertEqual(self.ctl.send_raw(packed(*[b"x"] * 65))[:1], b"2")
        self.assertEqual(self.ctl.done("cget", "x", "-state"), "down")

    def test_oversized_request(self):
        self.assertEqual(self.ctl.send_raw(packed(b"new", b"x" * 60000))[:1], b"1")
        for size in (65536 + 1, 200000, 5000000):
            self.assertEqual(self.ctl.send_raw(packed(b"new", b"x" * size)), b"")
            self.assertEqual(self.ctl.send_raw(b"9" * size), b"")
        self.ctl.done("list")

    def test_sixty_four_clients(self):
        clients = [self.ctl.raw(20) for _ in range(64)]
        self.assertEqual(self.ctl.run("list").status, UNREACHABLE)
        for s in clients:
            s.sendall(packed(b"cget", b"clear", b"-state"))
        for s in clients:
            self.assertEqual(s.recv(100), b"0vup\n")
            s.close()
        harness.wait_for(lambda: self.ctl.run("list").status == DONE)
        self.ctl.done("list")

    def test_many_at_once(self):
        running = [self.ctl.start("new") for _ in range(30)] + [self.ctl.start("list") for _ in range(20)]
        out = [p.communicate(timeout=20)[0].decode() for p in running]
        self.assertEqual([p.returncode for p in running], [DONE] * 50)
        self.assertEqual(len(set(out[:30])), 30)

    def test_waiting_client_that_is_killed(self):
        user = self.user(MESSAGES)
        port = self.ctl.server("x", **self.backends())
        client = self.session(user, address=("127.0.0.1", port))
        waiting = [self.ctl.start("destroy", "x", "defer", "--wait") for _ in range(10)]
        time.sleep(0.3)
        for p in waiting:
            p.send_signal(signal.SIGKILL)
            p.communicate()
        self.assertEqual(self.ctl.done("cget", "x", "-state"), "exiting")
        client.quit()
        self.assertTrue(harness.wait_for(lambda: self.ctl.run("cget", "x", "-state").status == FAILED))
        self.ctl.done("list")

    def test_killed_waiters_keep_no_place(self):
        port = self.ctl.server("x", **self.backends())
        client = self.session(self.user(MESSAGES), address=("127.0.0.1", port))
        self.ctl.done("destroy", "x", "defer")
        for _ in range(80):
            with self.ctl.raw() as s:
                s.sendall(packed(b"destroy", b"x", b"defer", b"--wait"))
        self.ctl.done("list")
        client.quit()

    @harness.needs_root
    def test_members_leave_room_for_root(self):
        member = self.user()
        name = subprocess.run(["id", "-gn", member.name], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
        ctl = Control(self.own_daemon(control_group=name))
        mute = subprocess.Popen(["setpriv", "--reuid=%d" % member.uid, "--regid=%d" % member.gid, "--clear-groups", "/usr/bin/python3", "-c",
                                 "import socket, sys\nkept = []\nfor _ in range(80):\n s = socket.socket(socket.AF_UNIX)\n"
                                 " s.connect(sys.argv[1])\n kept.append(s)\nprint('full', flush=True)\nsys.stdin.read()",
                                 ctl.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(mute.stdout.readline(), b"full\n")
        ctl.done("list")
        ctl.done("new")
        mute.communicate()

    @harness.needs_root
    def test_no_descriptor_is_lost(self):
        def open_files():
            return len(os.listdir("/proc/%d/fd" % self.daemon.pid))
        self.ctl.done("list")
        before = open_files()
        for i in range(20):
            port = self.ctl.server("x", **self.backends())
            client = self.connect(PLAIN, address=("127.0.0.1", port))
            self.ctl.done("conn", "state", "x", self.only_id("x"))
            self.ctl.done("destroy", "x", "kill" if i % 2 else "defer")
            client.close()
            harness.wait_for(lambda: self.ctl.run("cget", "x", "-state").status == FAILED)
        self.assertTrue(harness.wait_for(lambda: open_files() <= before), (before, open_files()))

    @harness.needs_root
    def test_rootless(self):
        if not harness.have("setpriv"):
            self.skipTest("no setpriv here")
        user = self.user(MESSAGES)
        stranger = self.user()
        folder = os.path.join(user.home, "rootless")
        os.mkdir(folder, 0o755)
        os.chown(folder, user.uid, user.gid)
        os.chmod(user.home, 0o711)
        os.mkdir(os.path.join(folder, "run"), 0o755)
        os.chown(os.path.join(folder, "run"), user.uid, user.gid)
        cert, key = harness.make_certificate(folder, "own")
        os.chown(key, user.uid, user.gid)
        daemon = self.own_daemon(wrap=harness.as_ids(user.uid, user.gid),
                                 runtime_dir=os.path.join(folder, "run"), certificate=cert, certificate_key=key)
        ctl = Control(daemon)
        self.assertEqual(ctl.done("new", user=user.uid, group=user.gid, extra_groups=[]), "pop3d1")
        self.assertEqual(ctl.done("new"), "pop3d2")
        self.assertEqual(ctl.run("list", user=stranger.uid, group=stranger.gid, extra_groups=[]).status, UNREACHABLE)


if __name__ == "__main__":
    unittest.main()
