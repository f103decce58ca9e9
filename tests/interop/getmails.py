#!/usr/bin/python3
"""getmail for many users: usage: getmails.py AT_ONCE, with a user a line on standard input: uid gid home.

Each runs in a process of its own as its user, as `getmail --getmaildir HOME/getmail --rcfile rc` does; getmail's modules
are read once for all.  On standard output is a line for each: home, exit status, and what was said, as JSON.

getmail looks for the end of a child that delivers a message only after it has started it: one that ends sooner is never
seen, and getmail gives up after minutes, with the message delivered and not noted.  Here it waits for that child.
"""

import concurrent.futures
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


def run(uid, gid, home):
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
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
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        return home, status, said.read().decode(errors="replace")


def main():
    users = [line.split(" ", 2) for line in sys.stdin.read().splitlines()]
    with concurrent.futures.ThreadPoolExecutor(int(sys.argv[1])) as pool:
        for done in pool.map(lambda u: run(int(u[0]), int(u[1]), u[2]), users):
            print(json.dumps(done))


if __name__ == "__main__":
    main()
