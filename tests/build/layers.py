#!/usr/bin/python3
"""Do the arrows go down?  usage: tests/build/layers.py SOURCE

Reads the #include lines of the programs' sources.  A file may include its own
folder, the folders of the layers below its own, and what all may include; the
programs share common/ and nothing else, but for what is named here.  Prints
each arrow that goes up, and the largest circle of files in daemon/.
"""

import os
import re
import sys

# The layers of master, the lowest first; a file or a folder, a layer a line.
MASTER = [
    ["totals"],
    ["log"],
    ["settle", "waiters", "notify", "users", "background", "aside", "remember", "last", "last_file"],
    ["conf"],
    ["base", "runtime"],
    ["ports"],
    ["roles"],
    ["table"],
    ["certificates", "change", "inspect"],
    ["serve"],
    ["control"],
    ["steps"],
    ["master", "pop3d"],
]
# What a program's folder may include beside common/ and itself.
PROGRAMS = {
    "common": [],
    "daemon/auth": [],
    "daemon/dispatch": ["daemon/auth"],
    "daemon/ctl": ["daemon/auth"],
    "daemon/exporter": [],
    "worker/tls": [],
    "worker/key": ["worker/tls"],
    "worker/login": ["worker/tls"],
    "worker/store": [],
    "worker/session": ["worker/store"],
    "daemon": ["worker/store", "daemon/auth"],
}
CIRCLE_MAX = 3


def program(path):
    """The longest of PROGRAMS that the path lies in."""
    return max((p for p in PROGRAMS if path.startswith(p + "/")), key=len)


def layer(path):
    """Of a file of master; None: it is of another program."""
    if program(path) != "daemon":
        return None
    part = path.split("/")[1].split(".")[0]
    for i, names in enumerate(MASTER):
        if part in names:
            return i
    raise SystemExit("%s: in no layer; tests/build/layers.py names them" % path)


def sources(top):
    for folder, folders, files in os.walk(top):
        folders[:] = [f for f in folders if f not in (".git", "tests", "obj", "etc")]
        for name in files:
            if name.endswith((".c", ".h")):
                yield os.path.relpath(os.path.join(folder, name), top)


def includes(top, path):
    with open(os.path.join(top, path)) as f:
        return re.findall(r'^#include "([a-z_]+/[^"]+)"', f.read(), re.M)


def faults(path, target):
    mine, its = program(path), program(target)
    if mine != its and its != "common" and its not in PROGRAMS[mine]:
        yield "%s includes %s, of another program" % (path, target)
    if layer(path) is not None and layer(target) is not None and layer(target) > layer(path):
        yield "%s includes %s, of a layer above its own" % (path, target)


def largest_circle(arrows):
    """Of modules (a header and its source are one) that reach each other: Tarjan's algorithm."""
    index, low, stack, on, out = {}, {}, [], set(), []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        on.add(v)
        for w in arrows.get(v, ()):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in on:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            circle = []
            while not circle or circle[-1] != v:
                circle.append(stack.pop())
                on.discard(circle[-1])
            out.append(sorted(circle))
    sys.setrecursionlimit(10000)
    for v in list(arrows):
        if v not in index:
            visit(v)
    return max(out, key=len)


def main():
    top = sys.argv[1]
    bad, arrows = [], {}
    for path in sorted(sources(top)):
        for target in includes(top, path):
            if not os.path.exists(os.path.join(top, target)):
                continue
            bad += faults(path, target)
            if path.startswith("daemon/") and target.startswith("daemon/"):
                a, b = os.path.splitext(path)[0], os.path.splitext(target)[0]
                if a != b:
                    arrows.setdefault(a, set()).add(b)
    circle = largest_circle(arrows)
    print("largest circle of files in daemon/: %d%s" % (len(circle), "" if len(circle) < 2 else " " + " ".join(circle)))
    if len(circle) > CIRCLE_MAX:
        bad.append("that is more than %d" % CIRCLE_MAX)
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
