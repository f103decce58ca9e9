"""A desktop without a screen for one user: X display, session bus, window manager; its windows read, typed into, pressed."""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
READER = os.path.join(HERE, "windows.py")
PICTURES = os.environ.get("P3T_PICTURES")


class Desktop:
    """One account of this host that sits before it.  Its processes are all that run as that account."""

    number = itertools.count()

    def __init__(self):
        self.user = harness.User()
        self.home, self.uid = self.user.home, self.user.uid
        self.log_path = harness.world().path("desktop-%d" % next(Desktop.number))
        self.log = open(self.log_path, "ab")
        runtime = os.path.join(self.home, "runtime")
        self.write("runtime/.keep", "")
        os.chmod(runtime, 0o700)
        self.environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": self.home, "USER": self.user.name, "XDG_RUNTIME_DIR": runtime,
                            "GTK_MODULES": "gail:atk-bridge", "GNOME_ACCESSIBILITY": "1", "GIO_USE_VFS": "local"}
        display = self.first_line(["Xvfb", "-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"])
        self.environment["DISPLAY"] = ":" + display
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = self.first_line(
            ["dbus-run-session", "--", "sh", "-c", 'echo "$DBUS_SESSION_BUS_ADDRESS"; exec openbox'])

    def write(self, name, text):
        """A file in the user's home, with the folders above it."""
        path = self.home
        *folders, last = name.split("/")
        for folder in folders:
            path = os.path.join(path, folder)
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
                os.chown(path, self.uid, self.user.gid)
        path = os.path.join(path, last)
        with open(path, "w") as f:
            f.write(text)
        os.chown(path, self.uid, self.user.gid)
        os.chmod(path, 0o600)
        return path

    # --- programs ---

    def start(self, arguments, stdout=None):
        """A program of this user that goes on; what it prints goes to the desktop's log."""
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=stdout or self.log, stderr=self.log, env=self.environment,
                                   cwd=self.home, user=self.uid, group=self.user.gid, extra_groups=[], start_new_session=True)
        harness.world().registry.add("process", process.pid, harness.start_time(process.pid))
        return process

    def first_line(self, arguments):
        """Start a program that goes on; the first line it prints."""
        process = self.start(arguments, subprocess.PIPE)
        line = process.stdout.readline().decode().strip()
        if not line:
            raise RuntimeError("%s does not start:\n%s" % (arguments[0], self.output()))
        return line

    def run(self, arguments, stdin=subprocess.DEVNULL):
        return subprocess.run(arguments, stdin=stdin, stdout=subprocess.PIPE, stderr=self.log, env=self.environment, cwd=self.home,
                              user=self.uid, group=self.user.gid, extra_groups=[], timeout=60, check=True)

    def output(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def processes(self):
        """All that run as this user; the account is ours alone."""
        out = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, KeyError):
                if harness.status(int(name))["Uid"].split()[0] == str(self.uid) and harness.start_time(int(name)):
                    out.append(int(name))
        return out

    def close(self):
        for _ in range(50):  # one that is killed may just have made another
            left = self.processes()
            if not left:
                break
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            harness.wait_for(lambda: not set(left) & set(self.processes()), 5)
        self.log.close()

    # --- windows ---

    def reader(self, *arguments):
        with open(READER, "rb") as f:  # a folder of the sources may be closed to this user
            return self.run(["/usr/bin/python3", "-", *arguments], f).stdout

    def windows(self):
        """What shows: a list of {title, role, texts, buttons}."""
        return json.loads(self.reader())

    def window(self, title, timeout=60):
        """The first window whose title is as wanted; AssertionError if it does not come."""
        rx = re.compile(title)
        found = harness.wait_for(lambda: next((w for w in self.windows() if rx.search(w["title"])), None), timeout, 0.3)
        if found is None:
            raise AssertionError("no window %r; there are %s\n%s" % (title, self.windows(), self.output()[-2000:]))
        return found

    def gone(self, title, timeout=60):
        rx = re.compile(title)
        return harness.wait_for(lambda: not any(rx.search(w["title"]) for w in self.windows()), timeout, 0.3)

    def press(self, window, button):
        self.reader("press", window["title"], button)

    def type(self, window, text):
        """What the user types into a window, and the Return key."""
        self.run(["xdotool", "search", "--onlyvisible", "--name", "^%s$" % re.escape(window["title"]), "windowfocus", "--sync",
                  "type", "--delay", "20", text])
        self.run(["xdotool", "key", "Return"])

    def picture(self, name):
        """Of the whole screen, for the developer."""
        if PICTURES:
            done = self.run(["import", "-window", "root", "png:-"])
            with open(os.path.join(PICTURES, "%s-%d.png" % (name, next(Desktop.number))), "wb") as f:
                f.write(done.stdout)
