"""pop3ctl top, and an answer again and again, on a terminal."""

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
import unittest

import harness
import mailbox
import terminal
from client import TestCase
from control import FAILED, UNREACHABLE, Control
from harness import PLAIN, TLS

SIZES = [(40, 12), (80, 24), (132, 50), (250, 60)]
TITLES = ["USER", "SERVER", "FROM", "STATE", "IDLE", "RATE/s", "LEFT", "SENT", "WAIT", "CMD", "AGE", "GOT", "MSGS", "DEL", "BOX", "ID"]


@unittest.skipUnless(terminal.pyte, "python3-pyte is not installed")
class Case(TestCase):
    def setUp(self):
        super().setUp()
        self.ctl = Control(self.daemon)

    def top(self, columns=80, lines=24, ctl=None, **options):
        t = terminal.Terminal((ctl or self.ctl).argv("top"), columns, lines, **options)
        self.addCleanup(t.close)
        return t

    def titles(self, t):
        line = next(line for line in t.lines() if line.startswith("USER "))
        return line.split()

    def reversed(self, t):
        """The texts on the screen that are shown in reverse."""
        lines = ("".join(c.data if c.reverse else "\0" for c in (t.screen.buffer[y][x] for x in range(t.screen.columns)))
                 for y in range(t.screen.lines))
        return [part.strip() for line in lines for part in line.split("\0") if part.strip()]


class Watch(Case):
    """pop3ctl --watch."""

    def watch(self, columns, lines, *words):
        t = terminal.Terminal(self.ctl.argv("--watch=1", *words), columns, lines)
        self.addCleanup(t.close)
        return t

    def fits(self, t, *words):
        """The screen is the answer cut to it, on one line of which the rest is counted."""
        whole = self.ctl.lines(*words)
        columns, lines = t.screen.columns, t.screen.lines
        cut = [line[:columns].rstrip() for line in whole]
        if len(cut) > lines:
            cut = cut[:lines - 1] + [("%d more lines" % (len(cut) - lines + 1))[:columns].rstrip()]
        return t.lines() == cut + [""] * (lines - len(cut))

    def test_it_is_cut_to_the_terminal(self):
        clients = [self.connect(PLAIN) for _ in range(30)]
        numbers = self.ctl.lines("conn", "list", "clear")
        self.assertEqual(len(numbers), 30)
        for columns, lines in (*SIZES, (80, 30), (80, 31), (5, 3), (1, 1)):
            with self.subTest(columns=columns, lines=lines):
                t = self.watch(columns, lines, "conn", "list", "clear")
                t.wait(lambda t: self.fits(t, "conn", "list", "clear"))
        # what has ended leaves nothing on the screen
        t = self.watch(80, 24, "conn", "list", "clear")
        t.shows(numbers[0], "7 more lines")
        for client in clients[2:]:
            client.quit()
        t.wait(lambda t: t.lines() == numbers[:2] + [""] * 22)
        for client in clients[:2]:
            client.quit()

    def test_wide_lines(self):
        t = self.watch(40, 12, "metrics")
        self.assertGreater(max(map(len, self.ctl.lines("metrics"))), 80)
        t.wait(lambda t: t.lines()[0] == self.ctl.lines("metrics")[0][:40].rstrip() and t.lines()[-1].endswith(" more lines"))

    def test_text_in_utf_8(self):
        self.ctl.done("new", "x")
        self.ctl.done("configure", "x", "-port", "0", "-storage", "maildir:/ä中" + "中" * 40)
        t = self.watch(60, 5, "--json", "list")
        t.wait(lambda t: "ports" in t.text() or '"schema":1' in t.text())
        self.assertEqual(t.lines()[1:], [""] * 4)
        self.ctl.done("destroy", "x")

    def test_resize(self):
        t = self.watch(132, 50, "status")
        t.shows("uptime ")
        for columns, lines in ((40, 6), (80, 24), (250, 60), (20, 2)):
            t.resize(columns, lines)
            t.wait(lambda t: t.lines()[0] == self.ctl.lines("status")[0][:t.screen.columns].rstrip())
            if lines < 12:
                t.wait(lambda t: t.lines()[-1].endswith(" more lines"))

    def test_its_end(self):
        client = self.connect(PLAIN)
        number = self.ctl.lines("conn", "list", "clear")[0]
        t = self.watch(80, 24, "conn", "state", "clear", number)
        t.shows("remotehost 127.0.0.1")
        client.quit()
        self.assertEqual(t.ended(), FAILED)
        self.assertIn('no such connection "%s"' % number, t.text())
        t = self.watch(80, 24, "conn", "state", "clear", number)
        self.assertEqual(t.ended(), FAILED)
        self.assertEqual(t.text().strip(), 'pop3ctl: no such connection "%s"' % number)

    def test_terminals_that_know_no_sequences(self):
        for kind in ("dumb", ""):
            t = terminal.Terminal(self.ctl.argv("--watch=1", "list"), 80, 24, term=kind)
            self.addCleanup(t.close)
            t.wait(lambda t: t.octets.count(b"\r\n\r\n") == 2)
            self.assertNotIn(b"\033", t.octets)

    def test_a_daemon_that_comes_back(self):
        daemon = self.own_daemon()
        ctl = Control(daemon)
        t = terminal.Terminal(ctl.argv("--watch=1", "status"), 80, 24)
        self.addCleanup(t.close)
        t.shows("uptime ")
        daemon.stop()
        t.wait(lambda t: t.lines()[0].startswith("pop3ctl: ") and "uptime" not in t.text())
        daemon.start()
        t.shows("uptime ")


class Screen(Case):
    def test_each_size(self):
        users = [self.user(mailbox.simple(3)) for _ in range(3)]
        clients = [self.session(u, kind) for u, kind in zip(users, (PLAIN, TLS, PLAIN))]
        clients.append(self.connect(PLAIN))
        widths = []
        for columns, lines in SIZES:
            with self.subTest(columns=columns):
                t = self.top(columns, lines)
                names = [u.name if columns > 40 else u.name[:9] + "+" for u in users]
                t.shows(*names, "sessions 3", "before login 1", " auth", "1-4 of 4")
                self.assertEqual(t.text().count(" trans"), 3)
                titles = self.titles(t)
                self.assertEqual(titles, TITLES[:len(titles)])
                widths.append(len(titles))
                row = t.row(names[0]).split()
                self.assertEqual(row[1:4], ["clear", "127.0.0.1", "trans"])
                self.assertEqual(t.row(names[1]).split()[1], "secure")
                t.press("q")
                self.assertEqual(t.ended(), 0)
                self.assertIn(b"\x1b[?25h", t.octets)  # the cursor is back
        self.assertEqual(widths[0], TITLES.index("STATE") + 1)
        self.assertGreater(widths[1], TITLES.index("SENT"))
        self.assertEqual(widths[2:], [len(TITLES)] * 2)
        for client in clients:
            client.quit()

    def test_resize(self):
        user = self.user(mailbox.simple(1))
        client = self.session(user)
        t = self.top(132, 50)
        t.shows(user.name, " MSGS ")
        for columns, lines in ((40, 6), (80, 24), (1, 1), (9, 3), (250, 60)):
            t.resize(columns, lines)
            if columns > 1:
                t.wait(lambda t: t.lines()[-1].startswith("1-1 of 1") and  # pylint: disable=cell-var-from-loop
                       any(line.startswith(user.name[:min(columns - 1, 9)]) for line in t.lines()))
        t.shows(" MSGS ")
        t.press("q")
        self.assertEqual(t.ended(), 0)
        client.quit()

    def test_sort(self):
        users = sorted((self.user(mailbox.simple(n)) for n in (1, 3, 2)), key=lambda u: u.name)
        clients = [self.session(u) for u in users]
        for client, n in zip(clients, (1, 2, 0)):
            for i in range(n):
                client.multi(b"RETR 1")
        t = self.top(132, 20)

        def in_order(*order):
            at = [next((i for i, line in enumerate(t.lines()) if u.name in line), -1) for u in order]
            return -1 not in at and at == sorted(at)

        t.shows("by rate, falling", *[u.name for u in users])
        for key, name, order in ((">", "by time left, falling", None), (">", "by octets sent, falling", (1, 0, 2)),
                                 ("r", "by octets sent, rising", (2, 0, 1)), ("<", "by time left, falling", None),
                                 ("<", "by rate, falling", (0, 1, 2)), ("<", "by idle time", None), ("<", "by state", (0, 1, 2)),
                                 ("<", "by address", None), ("<", "by server", None), ("<", "by user, rising", (0, 1, 2)),
                                 ("r", "by user, falling", (2, 1, 0)), ("<", "by id", None), (">", "by user, rising", (0, 1, 2))):
            t.press(key)
            t.shows(name)
            if order:
                t.wait(lambda _: in_order(*[users[i] for i in order]))  # pylint: disable=cell-var-from-loop
        self.assertIn("USER", self.reversed(t))
        for client in clients:
            client.quit()

    def test_filter(self):
        users = [self.user(mailbox.simple(1)) for _ in range(2)]
        clients = [self.session(u) for u in users]
        t = self.top()
        t.shows(*[u.name for u in users])
        t.press("/", users[0].name.upper() + "x", "backspace", "enter")
        t.wait(lambda t: "1-1 of 1" in t.lines()[-1] and users[1].name not in t.text() and users[0].name in t.text())
        t.press("/", "nobody-at-all")
        t.wait(lambda t: not any(u.name in line for u in users for line in t.lines()[:-1]))
        t.press("escape")
        t.shows("1-2 of 2", *[u.name for u in users])
        t.press("/", "q")  # what is typed ends nothing
        t.shows("/q")
        t.press("enter", "q")
        self.assertEqual(t.ended(), 0)
        for client in clients:
            client.quit()

    def test_scroll(self):
        clients = [self.connect(PLAIN) for _ in range(30)]
        t = self.top(80, 12)
        t.shows(" of 30")
        t.press("end")
        t.wait(lambda t: "-30 of 30" in t.lines()[-1])
        t.press("page up", "page up", "page up", "page up", "page up", "page up", "page up", "page up")
        t.wait(lambda t: t.lines()[-1].startswith("1-"))
        for _ in range(11):
            t.press("down")
        t.wait(lambda t: "-12 of 30" in t.lines()[-1])
        t.press("home")
        t.wait(lambda t: t.lines()[-1].startswith("1-"))
        for client in clients:
            client.quit()

    def test_details_and_help(self):
        user = self.user(mailbox.simple(3))
        client = self.session(user, TLS)
        client.ok(b"DELE 2")
        t = self.top(80, 30)
        t.row(user.name)
        t.press("enter")
        state = {line.split(None, 1)[0]: line.split(None, 1)[-1] for line in t.wait(lambda t: "lastcmd" in t.text() and t.lines()) if line}
        said = self.ctl.pairs("conn", "state", "secure", self.ctl.lines("conn", "list", "secure")[0])
        self.assertEqual([(k, state[k]) for k in ("remotehost", "state", "name", "storage", "msg", "deleted", "tls", "lastcmd")],
                         [(k, said[k]) for k in ("remotehost", "state", "name", "storage", "msg", "deleted", "tls", "lastcmd")])
        t.shows("waiting for     client", "time left", "octets/s")
        client.ok(b"DELE 1")  # it is renewed
        t.shows("deleted         2 1")
        client.quit()
        t.shows("it has ended")
        t.press("q", "?")
        t.shows("sort by another column", "until idle_timeout ends it")
        t.press("escape")
        t.shows("0-0 of 0")
        t.press("enter")
        t.shows("no session is shown")
        t.press("q")
        self.assertEqual(t.ended(), 0)

    def test_rate_is_of_the_last_seconds(self):
        """What was sent long ago is in SENT and not in the rate."""
        user = self.user([mailbox.letter("big", b"x" * 70 + b"\n") * 400])
        client = self.session(user)
        t = self.top(132, 12)
        t.row(user.name)
        client.multi(b"RETR 1")
        rate, sent = (TITLES.index(title) for title in ("RATE/s", "SENT"))

        def cells(t):
            return next((line.split() for line in t.lines() if user.name in line), None)

        t.wait(lambda t: cells(t)[rate] not in ("-", "0"))
        t.wait(lambda t: cells(t)[rate] == "0")
        self.assertNotEqual(cells(t)[sent], "0")
        client.quit()


class Kill(Case):
    def test_one_session_is_ended_and_nobody_elses(self):
        users = sorted((self.user(mailbox.simple(1)) for _ in range(3)), key=lambda u: u.name)
        clients = [self.session(u) for u in users]
        t = self.top(100, 20)
        t.shows(*[u.name for u in users])
        t.press("/", users[1].name, "enter")
        t.wait(lambda t: "1-1 of 1" in t.lines()[-1])
        for answer in ("n", "escape", "k", "enter"):
            t.press("k")
            t.shows("kill? y, n: %s from 127.0.0.1" % users[1].name)
            t.press(answer)
            t.shows("not killed")
        clients[1].ok(b"NOOP")
        t.press("k")
        t.shows("kill? y, n")
        t.press("y")
        t.shows("killed: " + users[1].name)
        self.assertEqual(clients[1].sock.recv(100), b"")
        for i in (0, 2):
            clients[i].ok(b"NOOP")
            clients[i].quit()

    def test_the_question_stays_with_its_session(self):
        """Others come, and take the line under the cursor, between the question and the answer."""
        users = sorted((self.user(mailbox.simple(1)) for _ in range(2)), key=lambda u: u.name)
        victim = self.session(users[1])
        t = self.top(100, 20)
        t.row(users[1].name)
        for _ in range(5):
            t.press("<")  # to the user
        t.shows("by user")
        t.press("k")
        t.shows("kill? y, n: " + users[1].name)
        other = self.session(users[0])
        t.wait(lambda t: any(line.startswith(users[0].name) for line in t.lines()))
        t.press("y")
        t.shows("killed: " + users[1].name)
        self.assertEqual(victim.sock.recv(100), b"")
        other.ok(b"NOOP")
        other.quit()

    def test_from_the_details(self):
        user = self.user(mailbox.simple(1))
        client = self.session(user)
        t = self.top()
        t.row(user.name)
        t.press("enter")
        t.shows("lastcmd")
        t.press("k")
        t.shows("kill? y, n: " + user.name)
        t.press("y")
        t.shows("killed: " + user.name)
        self.assertEqual(client.sock.recv(100), b"")

    @harness.needs_root
    def test_a_member_of_control_group_may_look_only(self):
        reader = self.user()
        daemon = harness.Daemon(control_group=reader.name)
        self.addCleanup(daemon.stop)
        user = self.user(mailbox.simple(1))
        client = self.session(user, PLAIN, daemon)
        t = self.top(ctl=Control(daemon), user=(reader.uid, reader.gid))
        t.row(user.name)
        t.press("k")
        t.shows("only root may kill a session")
        client.ok(b"NOOP")
        client.quit()


class Hostile(Case):
    def test_names_stay_in_their_column(self):
        """Control octets, wide and combining characters, and long names: each cell is as wide as it is counted."""
        names = [b"\x1b[2J\x1b[1;1Hgone", "\u4e2d\u6587\u5b57".encode(), "e\u0301\u0301\u0301".encode(), b"\xff\xfe", b"x" * 250, b"a b\"\\",
                 b'"\\xe4\\xb8\\xad"']  # the last as the daemon says it
        table = b"id\tserver\tuser\tpeer\tstate\tidle\tleft\toctets\n" + b"".join(
            b"%x\tpop3\t%s\t192.0.2.%d\ttrans\t7\t600\t1\n" % (i, name, i) for i, name in enumerate(names))
        t = self.top(100, 20, ctl=Stand(self, {b"status": b"0pversion\t1\nstate\tserving\n", b"sessions": b"0t" + table}))
        t.shows("1-7 of 7")
        at = next(line for line in t.lines() if line.startswith("USER")).index("FROM")
        for i in range(len(names)):
            row = t.row("192.0.2.%d " % i)
            self.assertEqual(row.index("192.0.2."), at)
            self.assertTrue(row.isascii() and row.isprintable(), row)
        self.assertIn("\\x1b[2J", t.text())
        t.press("/", "\u4e2d", "enter")  # as it is typed
        t.wait(lambda t: "1-1 of 1" in t.lines()[-1] and "/\\xe4\\xb8\\xad" in t.lines()[-1] and "192.0.2.6 " in t.text())


class Stand:
    """Answers in the place of a daemon, for the requests in a table."""

    def __init__(self, case, answers):
        self.path = os.path.join(tempfile.mkdtemp(dir=harness.world().dir), "control")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.answers = answers
        thread = threading.Thread(target=self._serve)
        thread.start()
        case.addCleanup(thread.join)
        case.addCleanup(self.listener.close)
        case.addCleanup(self.listener.shutdown, socket.SHUT_RDWR)

    def argv(self, *words):
        return [harness.program("pop3ctl"), "-s", self.path, *words]

    def _serve(self):
        while True:
            try:
                s = self.listener.accept()[0]
            except OSError:
                return
            with s, contextlib.suppress(OSError):
                words = b""
                while words.count(b"\0") < 2 or words.count(b"\0") < 1 + int(words.split(b"\0")[0]):
                    words += s.recv(4096)
                s.sendall(self.answers[words.split(b"\0")[1]])


class Without(Case):
    def test_the_daemon_stops_and_comes_back(self):
        daemon = harness.Daemon()
        self.addCleanup(daemon.stop)
        t = self.top(ctl=Control(daemon))
        t.shows("0-0 of 0", "sessions 0")
        self.assertEqual(daemon.stop(), [])
        t.shows("no answer since", "no pop3d runs with this control socket")
        daemon.start()
        t.shows("pop3d answers again")
        user = self.user(mailbox.simple(1))
        client = self.session(user, PLAIN, daemon)
        t.row(user.name)
        client.quit()
        t.press("q")
        self.assertEqual(t.ended(), 0)

    def test_no_daemon_at_the_start(self):
        t = terminal.Terminal([harness.program("pop3ctl"), "-s", harness.world().path("nothing"), "top"])
        self.addCleanup(t.close)
        self.assertEqual(t.ended(), UNREACHABLE)
        self.assertIn("no pop3d runs", t.text().replace("\n", ""))

    def test_no_terminal(self):
        why = self.ctl.refused(FAILED, "top")
        self.assertIn("pop3ctl sessions", why)
        self.assertIn("pop3ctl metrics", why)
        done = subprocess.run([harness.program("pop3ctl"), "-s", "/nonexistent", "top"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stdout), (FAILED, b""))

    def test_unknown_terminals(self):
        for term, why in (("no-such-terminal", "unknown kind of terminal"), ("dumb", "cannot move its cursor"), ("", "TERM is not set")):
            t = self.top(term=term)
            self.assertEqual(t.ended(), FAILED)
            self.assertIn(why, t.text().replace("\n", ""))

    def test_interrupted(self):
        t = self.top()
        t.shows("0-0 of 0")
        t.press("\x03")
        t.ended()
        self.assertIn(b"\x1b[?25h", t.octets)  # the cursor is back


if __name__ == "__main__":
    unittest.main()
