"""mbox files for the tests, and the delivery agents that write to them."""

import contextlib
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import harness

FROM = b"From sender@example.org Mon Jan  2 10:00:%02d 2023\n"


def block(octets, second=0):
    """A message as it stands in an mbox."""
    lines = octets.split(b"\n")
    quoted = [b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in lines]
    text = b"\n".join(quoted)
    return FROM % second + text + (b"" if text.endswith(b"\n") or not text else b"\n") + b"\n"


class Mbox:
    """An mbox of one user.  `state` is where the server keeps its lock and journal for it, `spare` what
    mbox_journal names."""

    def __init__(self, path, user, state, spare=None):
        self.path, self.user, self.state = path, user, os.path.join(state, ".pop3d")
        self.spare = spare and os.path.join(spare, str(user.uid))

    def write(self, octets):
        """These octets, in a fresh file."""
        self.remove()
        with open(self.path, "wb") as f:
            f.write(octets)
        os.chown(self.path, self.user.uid, self.user.gid)
        os.chmod(self.path, 0o600)
        return self

    def fill(self, messages):
        return self.write(b"".join(block(m, i % 60) for i, m in enumerate(messages)))

    def remove(self):
        for name in (self.path, self.path + ".lock", self.lock_file()):
            if os.path.lexists(name):
                os.unlink(name)
        shutil.rmtree(self.state, ignore_errors=True)

    def lock_file(self):
        return os.path.join(os.path.dirname(self.path), ".%s.pop3d-lock" % os.path.basename(self.path))

    def stored(self):
        with open(self.path, "rb") as f:
            return f.read()

    def leftovers(self):
        """Locks and journals that nobody should have left."""
        found = [name for name in (self.path + ".lock", self.lock_file()) if os.path.lexists(name)]
        for folder in (self.state, self.spare):
            if folder and os.path.isdir(folder):
                found += [name for name in os.listdir(folder) if "journal" in name]
        return found


def home_box(user):
    """An mbox in a directory of the user's own: mbox:%h/mail/inbox."""
    folder = os.path.join(user.home, "mail")
    if not os.path.isdir(folder):
        os.mkdir(folder, 0o700)
        os.chown(folder, user.uid, user.gid)
    return Mbox(os.path.join(folder, "inbox"), user, folder)


def spool():
    """A spool like Debian's /var/mail to a plain user: he may not make files in it."""
    path = harness.world().path("spool")
    if not os.path.isdir(path):
        os.mkdir(path, 0o755)
    return path


def spool_box(user, spare=None):
    """An mbox there: mbox:SPOOL/%u."""
    return Mbox(os.path.join(spool(), user.name), user, user.home, spare)


def journals():
    """A directory as mbox_journal wants it."""
    path = harness.world().path("journals")
    if not os.path.isdir(path):
        os.mkdir(path)
        os.chmod(path, 0o1777)
    return path


def _agent(box, octets, command):
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/",
                               env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LOGNAME": "root"})
    process.stdin.write(octets)
    process.stdin.close()
    return process


def _recipe(name, text):
    path = harness.world().path(name)
    if not os.path.exists(path):
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600)
    return path


def procmail(box, octets):
    """Deliver as the mail system does, with dot-lock and fcntl lock; the running process.

    It sleeps for a second if the file was read in the one in which it writes to it, so that it looks unread."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(box.path, ns=(0, os.stat(box.path).st_mtime_ns))
    recipe = _recipe("procmail.rc", "LOCKSLEEP=1\nLOGFILE=/dev/null\n:0:\n$BOX\n")
    return _agent(box, octets, ["procmail", "-f", "late@example.org", "BOX=" + box.path, recipe])


def maildrop(box, octets):
    recipe = _recipe("maildrop.%s" % os.path.basename(box.path), "LOCKSLEEP=1\nto \"%s\"\n" % box.path)
    return _agent(box, octets, ["maildrop", "-f", "late@example.org", recipe])


def mutt(box, keys):
    """Have mutt open the mbox as its owner, in a terminal of its own, and do these functions, which end it."""
    conf = _recipe("muttrc", "set folder=~ quit=yes move=no mark_old=yes\n")
    os.chmod(conf, 0o644)
    command = ["setpriv", "--reuid", str(box.user.uid), "--regid", str(box.user.gid), "--clear-groups",
               "mutt", "-n", "-F", conf, "-f", box.path, "-e", "push '%s'" % keys]
    pid, fd = pty.fork()
    if pid == 0:
        try:
            os.chdir("/")
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            os.execvpe(command[0], command, {"PATH": os.environ["PATH"], "HOME": box.user.home, "TERM": "vt100", "LC_ALL": "C"})
        finally:
            os._exit(127)
    deadline, screen = time.monotonic() + 50, b""
    try:
        while time.monotonic() < deadline:
            if not select.select([fd], [], [], 1)[0]:
                continue
            piece = os.read(fd, 65536)
            screen = (screen + piece)[-1000:]
            if not piece:
                return
    except OSError:  # the terminal has been closed
        return
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)
    raise AssertionError("mutt hangs; the screen: %r" % screen)
