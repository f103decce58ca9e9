#!/usr/bin/python3
"""getmail for many users: usage: getmails.py AT_ONCE, with a user a line on standard input: uid gid home.

Each runs in a process of its own as its user, as `getmail --getmaildir HOME/getmail --rcfile rc` does; getmail's modules
are read once for all, and there are no threads, as each is a fork.  On standard output is a line for each: home, exit status, and what was said, as JSON.

getmail looks for the end of a child that delivers a message only after it has started it: one that ends sooner is never
seen, and getmail gives up after minutes, with the message delivered and not noted.  Here it waits for that child.
"""

import json
import os
import runpy
import sys
import tempfile

from getmailcore import baseclasses, destinations, filters, message, retrievers  # noqa: F401: read before the fork

GETMAIL = "/usr/bin/getmail"


def wait_for_child(_self, child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


baseclasses.ForkingBase._prepare_child = lambda self: None
baseclasses.ForkingBase._wait_for_child = wait_for_child


def become(uid, gid, home):
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    os.chdir(home)
    os.environ.update(HOME=home, LC_ALL="C")


def start(uid, gid, home, said):
    child = os.fork()
    if child != 0:
        return child
    status = 125
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        become(uid, gid, home)
        sys.argv = [GETMAIL, "--getmaildir", home + "/getmail", "--rcfile", "rc"]
        runpy.run_path(GETMAIL, run_name="__main__")
        status = 0
    except SystemExit as e:
        status = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
    finally:
        sys.stdout.flush()
        os._exit(status)


def finish_one(running):
    pid, status = os.wait()
    home, said = running.pop(pid)
    with said:
        said.seek(0)
        print(json.dumps([home, os.waitstatus_to_exitcode(status), said.read().decode(errors="replace")]), flush=True)


def main():
    running = {}
    for line in sys.stdin.read().splitlines():
        uid, gid, home = line.split(" ", 2)
        if len(running) == int(sys.argv[1]):
            finish_one(running)
        said = tempfile.TemporaryFile()
        running[start(int(uid), int(gid), home, said)] = home, said
    while running:
        finish_one(running)


if __name__ == "__main__":
    main()
