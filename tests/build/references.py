#!/usr/bin/python3
"""Does what the tree refers to exist?  usage: tests/build/references.py SOURCE

Numbers of items ("LIN-03", or in the name of a test "test_LIN_03_...") have to
stand in tests/CONFORMANCE; sections ("DESIGN 3.2", "HACKING section 4") in that
document; files that the documents name have to be in the tree; DESIGN lists the
messages of common/msg.def and the steps of daemon/steps.c, and no others; HACKING
lists the files of daemon/ctl; the AppArmor profile the files of /proc that the
daemon opens.  Prints what is not so, and the items that no test names.
"""

import os
import re
import sys

ITEMS = "tests/CONFORMANCE"
DOCUMENTS = {"CONFORMANCE": ITEMS, "DESIGN": "DESIGN", "HACKING": "HACKING", "SECURITY": "SECURITY"}
PROSE = ["README", "DESIGN", "HACKING", "SECURITY"]
SKIPPED = {".git", "__pycache__", "autom4te.cache", "build", "corpus", "m4", "obj"}
ENDS = (".c", ".h", ".py", ".sh", ".5", ".8", ".am", ".ac", ".in")


def text_of(top, path):
    with open(os.path.join(top, path), errors="replace") as f:
        return f.read()


def files(top):
    """Sources, tests and documents."""
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(f for f in folders if f not in SKIPPED)
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), top)
            if name.endswith(ENDS) or name in ("run", "CONFORMANCE", *PROSE):
                yield path


def items(top):
    return set(re.findall(r"^([A-Z][A-Z0-9]{1,2}-\d\d) [MSP]  ", text_of(top, ITEMS), re.M))


def groups_of(numbers):
    return {n.split("-")[0] for n in numbers}


def named_items(text, groups):
    """Items that a text names, with the line: "LIN-03", "RSP-01, 02 and 04", "RSP_01_02_04"."""
    group = "|".join(sorted(groups))
    pattern = r"(?<![A-Za-z0-9])(%s)((?:-\d\d(?:(?:, | and )\d\d\b)*)|(?:_\d\d(?!\d))+)" % group
    for m in re.finditer(pattern, text.replace("test_", "test ").replace("_and_", " ")):
        for number in re.findall(r"\d\d", m.group(2)):
            yield text.count("\n", 0, m.start()) + 1, "%s-%s" % (m.group(1), number)
    # in the middle of a name: test_CON_06_REG_17_...
    for m in re.finditer(r"_(%s)_(\d\d)(?!\d)" % group, text):
        yield text.count("\n", 0, m.start()) + 1, "%s-%s" % m.groups()


def sections(top, path):
    """The numbers of a document's headings, as "3" and "3.2"."""
    lines = text_of(top, path).split("\n")
    out = set()
    for line, below in zip(lines, lines[1:] + [""]):
        m = re.match(r"(\d+(?:\.\d+)*)\.? \S", line)
        if m and (re.fullmatch(r"[-=]{3,}", below) or "." in m.group(1)):
            out.add(m.group(1))
    return out


def named_sections(text):
    """Of the documents of the tree, and of what looks like one: "XYZT section 3"."""
    pattern = r"\b(?:(%s),?\s(?:\*\s)?|([A-Z]{4,})\s(?=section))(?:sections?\s)?(\d+(?:\.\d+)*)" % "|".join(DOCUMENTS)
    for m in re.finditer(pattern, text):
        yield text.count("\n", 0, m.start()) + 1, m.group(1) or m.group(2), m.group(3).rstrip(".")


def named_files(text):
    """Paths of the tree that a document names; a folder ends with "/"."""
    for m in re.finditer(r"(?<![\w/.%])((?:common|daemon|worker|tests|etc)/[\w./-]*\w/?(?:\.\[ch\])?)", text):
        yield text.count("\n", 0, m.start()) + 1, m.group(1)


def is_there(top, name):
    if "NAME" in name:  # it stands for many
        return True
    if name.endswith(".[ch]"):
        return all(os.path.exists(os.path.join(top, name[:-4] + end)) for end in "ch")
    return os.path.exists(os.path.join(top, name))


def message_faults(top):
    """Messages that the table of rules and the list in the design do not both have."""
    ruled = set(re.findall(r'^MSG\(\w+, "([a-z-]+)"', text_of(top, "common/msg.def"), re.M))
    listed = set(re.findall(r"^  ([a-z-]+) +\w[\w, ]* > \w", text_of(top, "DESIGN"), re.M))
    return (["DESIGN 4.2: does not list the message %s" % name for name in sorted(ruled - listed)]
            + ["DESIGN 4.2: there is no message %s" % name for name in sorted(listed - ruled)])


def step_faults(top):
    """The steps of settling are listed in their order."""
    table = re.search(r"steps\[\]\)\([^)]*\) = \{(.*?)\}", text_of(top, "daemon/steps.c"), re.S)
    taken = re.findall(r"\w+", table.group(1)) if table else []
    listed = re.findall(r"^ +\d+  (\w+)  ", text_of(top, "DESIGN"), re.M)
    return [] if taken and taken == listed else ["DESIGN 5.2: daemon/steps.c has the steps %s" % " ".join(taken)]


def ctl_faults(top):
    """The files of pop3ctl are listed by subject, and no others."""
    part = re.search(r"^The files of daemon/ctl/ by subject:\n(.*?)\n\n\w", text_of(top, "HACKING"), re.S | re.M)
    listed = re.findall(r"(\w+\.c)\b", part.group(1)) if part else []
    there = sorted(name for name in os.listdir(os.path.join(top, "daemon/ctl")) if name.endswith(".c") and name != "pop3ctl.c")
    return ["HACKING 4.8: lists of daemon/ctl not once what is there: %s" % name
            for name in sorted({*listed, *there}) if listed.count(name) != 1 or name not in there]


APPARMOR = "etc/apparmor/usr.sbin.pop3d"
OPENED_BY_PROGRAM = "exe"  # of the process itself; each program may read itself


def proc_faults(top):
    """Files of a process that the daemon's own sources name and its profile does not."""
    rules = re.findall(r"@\{PROC\}/@\{pid\}/(?:\{([^}]*)\}|(\S+)) r,", text_of(top, APPARMOR))
    known = {name.strip("/") for several, one in rules for name in (several.split(",") if several else [one])}
    bad = []
    for path in files(top):
        if not path.endswith(".c") or not path.startswith(("common/", "daemon/", "worker/")) or path.startswith("daemon/ctl/"):
            continue
        for name in re.findall(r'"/proc/(?:%l?[dsu]/|self/|(?=net/))([^"]+)"', text_of(top, path)):
            name = re.sub(r"^task/%l?d", "task/@{tid}", re.sub(r"^fd/%d$", "fd", name))
            if name not in known and name != OPENED_BY_PROGRAM:
                bad.append("%s: /proc/PID/%s stands not in %s" % (path, name, APPARMOR))
    return bad


def main():
    top = sys.argv[1]
    known = items(top)
    groups = groups_of(known)
    headings = {d: sections(top, p) for d, p in DOCUMENTS.items() if os.path.exists(os.path.join(top, p))}
    bad, tested = message_faults(top) + step_faults(top) + ctl_faults(top) + proc_faults(top), set()
    for path in files(top):
        text = text_of(top, path)
        for line, number in named_items(text, groups) if path != ITEMS else ():
            if number not in known:
                bad.append("%s:%d: %s stands not in %s" % (path, line, number, ITEMS))
            if path.startswith("tests/"):
                tested.add(number)
        for line, document, section in named_sections(text):
            if section not in headings.get(document, ()):
                bad.append("%s:%d: %s has no section %s" % (path, line, document, section))
        for line, name in named_files(text) if path in PROSE else ():
            if not is_there(top, name):
                bad.append("%s:%d: %s is not there" % (path, line, name))
    print("items: %d, named by no test: %s" % (len(known), " ".join(sorted(known - tested)) or "none"))
    print("\n".join(bad))
    return 1 if bad or not known else 0


if __name__ == "__main__":
    sys.exit(main())
