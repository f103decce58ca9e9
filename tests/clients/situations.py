"""What happens to the user of a mail program with windows: the same situations for each of them."""

import contextlib
import os
import time

import harness
import mailbox
from desktop import Desktop
from harness import PLAIN

THINKING = int(os.environ.get("P3T_THINKING", "90"))  # seconds before the user types his password


def lf(stored):
    return mailbox.plain(stored).replace(b"\r\n", b"\n")


class Program:
    """A mail program that fetches for one user and leaves mail on the server."""

    prompt = None  # title of the window that asks for the password, as a regular expression
    quiet = ()  # titles of windows that are there when nothing is to be said
    ends = ()  # buttons that close a message
    refused = r"-ERR \[AUTH\] wrong user name or password"  # what it says of a wrong password
    in_use = r"\[IN-USE\] this maildrop is locked since "

    def __init__(self, desktop, user, port):
        self.desktop, self.user, self.port = desktop, user, port

    def check(self):
        """The user asks for new mail."""
        raise NotImplementedError

    def again(self):
        """The user asks once more, after a wrong password."""
        self.check()

    def letters(self):
        """The octets of each message in the program's folder."""
        raise NotImplementedError

    def messages(self):
        """The windows that tell the user something."""
        return [w for w in self.desktop.windows() if not any(r.search(w["title"]) for r in (*self.quiet, self.prompt))]

    def close(self, window):
        self.desktop.press(window, next(b for b in window["buttons"] if b in self.ends))


class Situations:
    """Tests; a class beside them names the program."""

    program = Program
    kind = PLAIN
    limit = 240
    # What stands here as None is as a host has it that sets nothing.
    settings = {"login_timeout": 300, "idle_timeout": 600, "max_auth_failures": None, "auth_failure_delay": None, "auth_failures_per_user": None, "auth_account_delay": None,
                "auth_failures_per_source": None}

    def begin(self, count=3):
        """A user with some mail before the program; nothing is started yet."""
        self.mail = mailbox.simple(count)
        self.owner = self.user(self.mail)
        self.desktop = Desktop()
        self.addCleanup(self.desktop.close)
        self.addCleanup(self.picture)
        self.seen = []
        self.client = self.program(self.desktop, self.owner, self.daemon.port(self.kind))
        self.mark = len(self.daemon.log())

    def tell(self, line):
        self.note = getattr(self, "note", "") + "\n    " + line

    def picture(self):
        self.desktop.picture(self.id().rpartition(".")[2])

    def see(self, window):
        """What a window says goes into the note of the test."""
        said = " / ".join(text.replace("\n", " ") for text in window["texts"] if text and text != window["title"])
        if window["title"] + said not in self.seen:
            self.seen.append(window["title"] + said)
            self.tell("[%s] %s (%s)" % (window["title"], said, ", ".join(window["buttons"])))
            self.picture()
        return said

    def answer(self, password):
        """The user reads the question for his password and types it."""
        window = self.desktop.window(self.client.prompt)
        self.see(window)
        self.desktop.type(window, password)

    def message(self):
        """The window that tells of a failure; it is closed.  Returns what it says."""
        window = harness.wait_for(lambda: next(iter(self.client.messages()), None), 60, 0.3)
        self.assertIsNotNone(window, self.desktop.output()[-2000:])
        said = self.see(window)
        self.client.close(window)
        return said

    def session_end(self):
        """The next session of this user that came to QUIT; its counts."""
        fields = self.daemon.log_fields("session-end", 60, self.mark, user=self.owner.name, reason="quit")
        self.mark = len(self.daemon.log())
        return {key: int(fields[key]) for key in ("retrieved", "retrieved_octets", "deleted", "left")}

    def fetched(self, new):
        """A session came to its end that fetched the last `new` messages; each letter lies in the folder once."""
        octets = sum(mailbox.size(m) for m in self.mail[len(self.mail) - new:])
        self.assertEqual(self.session_end(), {"retrieved": new, "retrieved_octets": octets, "deleted": 0, "left": len(self.mail)})
        each_once = [1] * len(self.mail)
        harness.wait_for(lambda: self.counts() == each_once, 20)  # the program may still write
        self.assertEqual(self.counts(), each_once, self.client.letters())
        self.assertEqual(len(self.client.letters()), len(self.mail))

    def counts(self):
        """How often each message of the mailbox lies in the program's folder."""
        letters = self.client.letters()
        return [len([kept for kept in letters if kept.endswith(lf(stored))]) for stored in self.mail]

    def check(self, new):
        """The user asks for mail, gives his password if he is asked, and is told of no failure."""
        self.client.check()
        if harness.wait_for(lambda: self.asked() or self.over(), 60, 0.3) == "asked":
            self.answer(self.owner.password)
        self.fetched(new)
        self.assertEqual(self.client.messages(), [])

    def asked(self):
        return any(self.client.prompt.search(w["title"]) for w in self.desktop.windows()) and "asked"

    def over(self):
        with contextlib.suppress(AssertionError):
            return self.daemon.log_fields("session-end", 0, self.mark, user=self.owner.name, reason="quit") and "over"

    def connected(self):
        """Is there a connection to the server?  No other program is in this network."""
        with open("/proc/net/tcp") as f:
            rows = [line.split() for line in f][1:]
        return any(local.endswith(":%04X" % self.client.port) and state == "01" for _, local, _, state, *_ in rows)

    # --- the situations ---

    def test_first_fetch_second_check_one_more(self):
        self.begin()
        self.check(new=3)
        self.check(new=0)
        self.mail.append(mailbox.letter("more", b"one more\n"))
        self.owner.maildir.deliver(self.mail[-1])
        self.check(new=1)

    def test_wrong_password_then_right(self):
        self.begin()
        self.client.check()
        self.answer("not-the-password")
        self.assertRegex(self.message(), self.client.refused)
        self.daemon.log_fields("login-failed", since=self.mark, user=self.owner.name, reason="password")
        self.tell("%d logins failed" % self.daemon.log()[self.mark:].count("login-failed "))
        self.client.again()
        self.answer(self.owner.password)
        self.fetched(3)
        self.assertEqual(self.client.messages(), [])

    def test_password_typed_late(self):
        self.begin()
        self.client.check()
        window = self.desktop.window(self.client.prompt)
        late = time.monotonic() + THINKING
        self.see(window)
        time.sleep(max(0, late - time.monotonic()))  # what is tested: a user who looks for his password
        self.tell("%d s later: %s" % (THINKING, "still connected" if self.connected() else "not connected"))
        self.desktop.type(window, self.owner.password)
        self.fetched(3)
        self.assertEqual(self.client.messages(), [])

    def test_in_use(self):
        self.begin()
        holder = self.session(self.owner)
        self.client.check()
        self.answer(self.owner.password)
        self.assertRegex(self.message(), self.client.in_use)
        self.assertEqual(self.client.letters(), [])
        holder.quit()
        self.session_end()
        self.check(new=3)


