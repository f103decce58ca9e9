"""What bash, zsh and fish offer for the word under the cursor of a command line of pop3ctl."""

import os
import pty
import re
import shlex
import subprocess
import tempfile
import unittest

import harness
from client import TestCase
from control import USAGE, Control
from harness import PLAIN

SHARE = os.path.join(harness.PREFIX, "share")

# An interactive zsh that tells in a file what its completion found, and then "end".
ZSHRC = """
unsetopt beep zle_bracketed_paste
fpath=(%(functions)s $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {
	local -a found
	builtin compadd -O found "$@"
	print -rl -- $found >>%(out)s
	builtin compadd "$@"
}
offer() { zle list-choices; print end >>%(out)s; zle kill-whole-line }
zle -N offer
bindkey '^X' offer
print end >>%(out)s
"""


class Completes:
    """The tests; each shell gives PATH, the file with its completion, and complete(words...)."""

    def setUp(self):
        super().setUp()
        if not harness.have(self.SHELL) or not os.path.exists(self.PATH):
            self.skipTest("no %s, or installed without the completion" % self.SHELL)
        self.ctl = Control(self.daemon)

    def folder(self):
        return tempfile.mkdtemp(dir=harness.world().dir)

    def write(self, path, text):
        with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(text)

    def line(self, words):
        return [harness.program("pop3ctl"), "-s", self.ctl.path, *words]

    def test_words(self):
        self.ctl.done("new", "y")
        self.addCleanup(self.ctl.run, "destroy", "y")
        self.ctl.done("new", "x")
        self.addCleanup(self.ctl.run, "destroy", "x")
        for words, offered in (
                (("co",), ["configure", "conn"]), (("box", "mo"), ["move"]), (("box", "add", "cl"), ["clear"]),
                (("box", "remove", "x", "y", ""), ["--force"]), (("help", "box", "li"), ["list"]),
                (("up", ""), ["clear", "secure", "x", "y"]), (("--json", "cget", "cl"), ["clear"]),
                (("cget", "x", "-s"), ["-socket", "-state", "-storage"]), (("configure", "x", "-port", ""), []),
                (("configure", "x", "-port", "0", "-a"), ["-auth"]), (("configure", "x", "-port", "0", "-socket", "t"), ["tls"]),
                (("destroy", "x", "de"), ["defer"]), (("destroy", "x", ""), ["--wait", "defer", "kill"]),
                (("destroy", "x", "defer", ""), ["--wait"]), (("conn", ""), ["kill", "list", "state"]),
                (("conn", "list", "se"), ["secure"]), (("conn", "list", "y", ""), []), (("log", ""), ["errors"]), (("last", "-"), ["--help", "--json", "--since", "--tcl"]), (("last", "--since", "2026", ""), []), (("log", "errors", ""), []), (("top", ""), ["--once"]), (("reload", ""), []), (("new", ""), []),
                (("history", "x", "y", ""), ["--since"]), (("doctor", ""), ["--conf", "clear", "secure", "x", "y"]), (("user", "-f", "x", "ad"), ["add"]),
                (("uidl", ""), ["import", "verify"]), (("uidl", "import", ""), ["--from"]), (("uidl", "import", "--from", "d"), ["dovecot"]),
                (("uidl", "import", "--from", "courier", "cl"), ["clear"]),
                (("uidl", "import", "--from", "courier", "--force", "cl"), ["clear"]), (("uidl", "verify", "cl"), ["clear"]),
                (("--watch=2", "sess"), ["sessions"]), (("--json", "--watch", "log", ""), ["errors"]), (("last", "--since", "10:00", "--j"), ["--json"]),
                (("sessions", "-"), ["--help", "--json", "--tcl", "--watch"]), (("sessions", "--json", "--"), ["--help", "--watch"]),
                (("conn", "list", "y", "--w"), ["--watch"]), (("conn", "list", "--w"), []), (("kick", "x", "--w"), []),
                (("log", "errors", "--"), ["--help", "--json", "--tcl"]), (("cget", "--"), ["--help"]), (("up", "--"), ["--help"]),
                (("autoconfig", ""), ["--conf", "--dns", "--domain", "--xml", "clear", "secure", "x", "y"]),
                (("autoconfig", "--domain", "example.org", "--xml", ""), ["--conf", "clear", "secure", "x", "y"]), (("autoconfig", "--domain", ""), []),
                (("adopt", ""), ["courier", "dovecot", "uids"]), (("adopt", "dovecot", ""), ["--config", "--force", "-o"]),
                (("adopt", "dovecot", "--force", "-"), ["--config", "--help", "-o"]),
                (("adopt", "uids", "dovecot", "--force", "--j"), ["--jobs"]), (("adopt", "uids", "dovecot", "--jobs", "2", "cl"), ["clear"])):
            self.assertEqual(self.complete(*words), offered, words)

    def test_ids_of_connections(self):
        port = self.ctl.server("z")
        self.addCleanup(self.ctl.run, "destroy", "z")
        clients = [self.connect(PLAIN, address=("127.0.0.1", port)) for _ in range(2)]
        ids = sorted(self.ctl.lines("conn", "list", "z"))
        self.assertEqual(len(ids), 2)
        self.assertEqual(self.complete("conn", "kill", "z", ""), ids)
        for client in clients:
            client.quit()

    def test_names_of_users(self):
        users = os.path.join(self.folder(), "users")
        self.write(users, "joanna:*:2001:2001:/nonexistent\njohn:*:2002:2002:/nonexistent\nmary:*:2003:2003:/nonexistent\n")
        self.ctl.done("new", "filed")
        self.addCleanup(self.ctl.run, "destroy", "filed")
        self.ctl.done("configure", "filed", "-auth", "file:" + users)
        self.ctl.done("new", "host")
        self.addCleanup(self.ctl.run, "destroy", "host")
        for words, offered in (
                (("box", "add", "filed", "jo"), ["joanna", "john"]), (("history", "filed", "m"), ["mary"]),
                (("uidl", "import", "--from", "md5", "filed", "jo"), ["joanna", "john"]), (("uidl", "verify", "filed", "joh"), ["john"]),
                (("box", "exists", "host", "roo"), ["root"]), (("user", "-f", users, "remove", "ma"), ["mary"])):
            self.assertEqual(self.complete(*words), offered, words)

    def test_names_of_files(self):
        for words in ("user", "-f", "/etc/hostn"), ("user", "save", "/etc/hostn"), ("uidl", "verify", "x", "y", "/etc/hostn"), (
                "autoconfig", "--conf", "/etc/hostn"), ("adopt", "courier", "--force", "-o", "/etc/hostn"):
            self.assertIn("hostname", [os.path.basename(found) for found in self.complete(*words)], words)

    def test_every_command_is_offered(self):
        known = re.search("must be (.*)", self.ctl.refused(USAGE, "nonsense")).group(1).replace(" or ", " ").replace(",", "").split()
        self.assertEqual(self.complete(""), sorted(known + ["help"]))


class Bash(Completes, TestCase):
    SHELL, PATH = "bash", os.path.join(SHARE, "bash-completion/completions/pop3ctl")

    def complete(self, *words):
        done = subprocess.run(["bash", "-c", 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; _pop3ctl; '
                               'printf "%s\\n" "${COMPREPLY[@]}"', "-", self.PATH, *self.line(words)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, b""), words)
        return sorted(done.stdout.decode().split())

    def test_options(self):
        for words, offered in ((("--j",), ["--json"]), (("user", "add", "--"), ["--apop", "--help", "--plain"]),
                               (("uidl", "import", "--from", "courier", "--f"), ["--force"])):
            self.assertEqual(self.complete(*words), offered, words)

    def test_words_that_bash_parts(self):
        """Typed into an interactive bash, which completes them."""
        users = os.path.join(self.folder(), "users")
        self.write(users, "joe@example.org:*:2001:2001:/nonexistent\nmary:*:2002:2002:/nonexistent\n")
        out = os.path.join(self.folder(), "out")
        self.write(out, "")
        rc = os.path.join(self.folder(), "rc")
        self.write(rc, "unset HISTFILE\nsource %s\nbind -x '\"\\C-t\": printf \"%%s\\n\" \"$READLINE_LINE\" >>%s'\necho >>%s\n" % (self.PATH, out, out))
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="dumb", LC_ALL="C.UTF-8")
            os.execvp("bash", ["bash", "--noprofile", "--rcfile", rc, "-i"])
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.close, terminal)
        lines = harness.wait_for(lambda: self.lines_of(out, 1), 60)
        before = shlex.join(self.line([])) + " "
        for words, completed in (("--watch=2 sess", "ions "), ("-s x --socket=%s li" % self.ctl.path, "st "), ("user -f %s remove jo" % users, "e@example.org "),
                                 ("user -f %s remove joe@e" % users, "xample.org "), ("user -f %s remove joe@" % users, "example.org "),
                                 ("last --since 10:00 --j", "son "), ("--socket=/etc/hostn", "ame ")):
            os.write(terminal, (before + words + "\t\x14\x15").encode())
            lines = harness.wait_for(lambda: self.lines_of(out, len(lines) + 1), 60)
            self.assertEqual(lines[-1], before + words + completed)

    def lines_of(self, path, n):
        with open(path) as f:
            lines = f.read().split("\n")[:-1]
        return lines if len(lines) >= n else None


class Fish(Completes, TestCase):
    SHELL, PATH = "fish", os.path.join(SHARE, "fish/vendor_completions.d/pop3ctl.fish")

    def complete(self, *words):
        done = subprocess.run(["fish", "-N", "-c", "source $argv[1]; complete -C $argv[2]", self.PATH, shlex.join(self.line(words[:-1])) + " " + words[-1]],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, b""), words)
        return sorted(offered.split("\t")[0] for offered in done.stdout.decode().splitlines())


class Zsh(Completes, TestCase):
    SHELL, FUNCTIONS = "zsh", [os.path.join(SHARE, "zsh", f) for f in ("site-functions", "vendor-completions")]  # the latter: Debian's
    PATH = next(filter(os.path.exists, [os.path.join(f, "_pop3ctl") for f in FUNCTIONS]), "")

    def setUp(self):
        super().setUp()
        folder = self.folder()
        self.out, self.seen = os.path.join(folder, "out"), 0
        self.write(self.out, "")
        self.write(os.path.join(folder, ".zshrc"), ZSHRC % {"functions": os.path.dirname(self.PATH), "out": self.out})
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.environ.update(ZDOTDIR=folder, HOME=folder, TERM="dumb", LC_ALL="C.UTF-8")
            os.execvp("zsh", ["zsh", "-d", "-i"])
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.close, self.terminal)
        self.found()

    def found(self):
        """What it wrote since the last call, when it has written "end"."""
        def wrote():
            with open(self.out) as f:
                return f.read()[self.seen:]
        harness.wait_for(lambda: wrote().endswith("end\n"), 60)
        text = wrote()
        self.seen += len(text)
        return sorted(set(text.splitlines()[:-1]) - {""})

    def complete(self, *words):
        os.write(self.terminal, (shlex.join(self.line(words[:-1])) + " " + words[-1] + "\x18").encode())
        return self.found()


if __name__ == "__main__":
    unittest.main()
