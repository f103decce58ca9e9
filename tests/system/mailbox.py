"""Maildirs for the tests, and a model of what must come over the wire.

The model is naive on purpose: it holds the whole message, cuts it into lines
and puts it together again.  It shares nothing with the server.
"""

import os
import random
import shutil
import unittest

SETTLED = 0.12  # seconds until an index believes a time stamp of the folder

# What CONFORMANCE SIZ-09 says: stored octets, octets on the wire, LIST size.
SIZ_09 = [
    (b"", b"", 0),
    (b"\n", b"\r\n", 2),
    (b".", b"..\r\n", 3),
    (b"..\n", b"...\r\n", 4),
    (b"\n.\n", b"\r\n..\r\n", 5),
    (b"A: b\n\nx", b"A: b\r\n\r\nx\r\n", 11),
    (b"A: b\r\n\r\nx\r\n", b"A: b\r\n\r\nx\r\n", 11),
    (b"A: b\n\nx\r\ny\n", b"A: b\r\n\r\nx\r\ny\r\n", 14),
    (b"a\rb\n", b"a\rb\r\n", 5),
    (b"a\r.b\n", b"a\r.b\r\n", 6),
    (b"a\r", b"a\r\r\n", 4),
    (b"a\r\r\n", b"a\r\r\n", 4),
    (b"a\0b\n", b"a\0b\r\n", 5),
    (b"\xe9\n", b"\xe9\r\n", 3),
    (b"a\n\n\n", b"a\r\n\r\n\r\n", 7),
]


def lines(stored):
    """The lines of a stored message, without their line ends (MLT-03, MLT-05)."""
    parts = stored.split(b"\n")
    last = parts.pop()
    out = [part[:-1] if part.endswith(b"\r") else part for part in parts]
    if last:
        out.append(last)
    return out


def plain(stored):
    """The message with CRLF line ends: what LIST counts (SIZ-01)."""
    return b"".join(line + b"\r\n" for line in lines(stored))


def size(stored):
    return len(plain(stored))


def stuff(unstuffed_lines):
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in unstuffed_lines)


def wire(stored):
    """The octets between RETR's first line and the terminator (MLT-01)."""
    return stuff(lines(stored))


def top(stored, count):
    """The octets of TOP between the first line and the terminator (TOP-01)."""
    out = []
    body = None
    for line in lines(stored):
        if body is None:
            out.append(line)
            if not line:
                body = 0
        elif body < count:
            out.append(line)
            body += 1
        else:
            break
    return stuff(out)


def unstuff(octets):
    """What a client makes of a multi-line body: one dot off each line that begins with one."""
    if not octets:
        return b""
    parts = octets.split(b"\r\n")
    assert parts[-1] == b"", "body does not end in CRLF"
    return b"".join((p[1:] if p.startswith(b".") else p) + b"\r\n" for p in parts[:-1])


HEADER = b"Return-Path: <a@example.org>\nFrom: A <a@example.org>\nTo: b@example.org\nSubject: %s\n" \
         b"Date: Mon, 2 Jan 2023 10:00:00 +0000\nMessage-ID: <%s@example.org>\n\n"


def letter(name, body):
    """A message with an ordinary header."""
    tag = name.encode("ascii")
    return HEADER % (tag, tag) + body


def simple(count):
    """A few plain messages of different length."""
    return [letter("m%d" % i, b"line of message %d\n" % i * i) for i in range(1, count + 1)]


def edges(block=4096):
    """Messages whose CR, LF and dots fall on the edges of blocks and TLS records (MLT-06)."""
    out = []
    for base in (4096, 16384, 65536):
        for total in (base - 1, base, base + 1):
            out.append(b"x" * total)
            out.append(b"x" * (total - 1) + b"\n")
            out.append(b"x" * (total - 1) + b"\n.\n")
            out.append(b"x" * (total - 1) + b"\r\n.y\n")
            out.append(b"x" * (total - 2) + b"\r\n\r\n")
            out.append(b"x" * (total - 1) + b"\r\r\n")
            out.append(b"x" * (total - 1) + b"\r.z\r\n")
            out.append(b".\n" * (total // 2))
            out.append(b"." * total)
            out.append(b"\n" * total)
    return out


def random_files(count, seed):
    """Random files of octets that matter, sizes around block edges (SIZ-08)."""
    rng = random.Random(seed)
    weights = [b"\r", b"\n", b".", b"\0", b"a", b"\xff", b"\r\n", b"\r\n.", b"\n.\r\n", b"word"]
    out = []
    for _ in range(count):
        near = rng.choice([0, 5, 50, 500, 4096, 8192, 16384])
        want = max(0, near + rng.randint(-3, 3))
        piece = bytearray()
        filler = rng.random() < 0.5
        while len(piece) < want:
            if filler and want - len(piece) > 80:
                piece += b"f" * rng.randint(1, 70)
            piece += rng.choice(weights)
        out.append(bytes(piece[:want]))
    return out


def difficult(big=50 << 20):
    """The difficult mailbox: a list of (name, stored octets)."""
    block = b"".join(b"%07d the quick brown fox jumps over the lazy dog, again and again.\n" % i for i in range(2000))
    large = letter("large", (block * (big // len(block) + 1))[:big])
    return [
        ("first-dot", b".first: octet is a dot\n\nbody\n.\n..\n.last\n"),
        ("no-final-newline", letter("nofinal", b"last line has no end")),
        ("crlf-stored", letter("crlf", b"one\ntwo\n.three\n").replace(b"\n", b"\r\n")),
        ("nul", letter("nul", b"before\0after\n\0\n")),
        ("eight-bit", letter("eight", bytes(range(160, 256)) + b"\n\xc3\xa9\n")),
        ("long-line", letter("long", b"L" * 1000000 + b"\nend\n")),
        ("empty", b""),
        ("header-only", b"From: a@example.org\nSubject: header only\nMessage-ID: <honly@example.org>\n"),
        ("header-and-blank", b"From: a@example.org\nSubject: header and blank\nMessage-ID: <hb@example.org>\n\n"),
        ("dots", letter("dots", b".\n..\n...\n.\n")),
        ("blank-end", letter("blankend", b"text\n\n\n\n")),
        ("from-line", letter("from", b"From here on it looks like mbox\n>From quoted\n")),
        ("large", large),
    ]


class Maildir:
    """A Maildir of one user, written the way a delivery agent would."""

    counter = 0

    def __init__(self, path, uid, gid):
        self.path, self.uid, self.gid = path, uid, gid

    def make(self):
        """An empty Maildir in place of whatever stood there."""
        self.remove()
        for name in ("", "tmp", "new", "cur"):
            path = os.path.join(self.path, name)
            os.mkdir(path, 0o700)
            os.chown(path, self.uid, self.gid)
        return self

    def remove(self):
        if os.path.islink(self.path) or os.path.isfile(self.path):
            os.unlink(self.path)
        elif os.path.isdir(self.path):
            os.chmod(self.path, 0o700)
            for name in os.listdir(self.path):
                sub = os.path.join(self.path, name)
                if os.path.isdir(sub) and not os.path.islink(sub):
                    os.chmod(sub, 0o700)
            shutil.rmtree(self.path)

    def write(self, where, name, octets):
        """One file, by way of tmp/ as maildir(5) says.  Returns its path."""
        temporary = os.path.join(self.path, "tmp", name)
        final = os.path.join(self.path, where, name)
        with open(temporary, "wb") as f:
            f.write(octets)
        os.chown(temporary, self.uid, self.gid)
        os.chmod(temporary, 0o600)
        os.rename(temporary, final)
        return final

    def deliver(self, octets, where="new", flags=""):
        """A new message behind all others.  Returns its path."""
        Maildir.counter += 1
        name = "%d.M%dP%d.test" % (1600000000 + Maildir.counter, Maildir.counter, os.getpid())
        if where == "cur":
            name += ":2," + flags
        return self.write(where, name, octets)

    def fill(self, messages):
        """A fresh Maildir with these messages, in this order, new/ and cur/ in turn."""
        self.make()
        for i, octets in enumerate(messages):
            self.deliver(octets, "cur" if i % 2 else "new", "S" if i % 3 else "")
        return self

    def paths(self):
        """The message files, in delivery order."""
        out = []
        for where in ("new", "cur"):
            folder = os.path.join(self.path, where)
            out += [os.path.join(folder, n) for n in os.listdir(folder) if not n.startswith(".")]
        return sorted(out, key=lambda p: (int(os.path.basename(p).split(".")[0]), os.path.basename(p)))

    def stored(self):
        """The octets of all messages, in delivery order."""
        out = []
        for path in self.paths():
            with open(path, "rb") as f:
                out.append(f.read())
        return out


class ModelTest(unittest.TestCase):
    """The model itself, against the table of CONFORMANCE."""

    def test_SIZ_09_model_agrees_with_the_table(self):
        for stored, on_wire, octets in SIZ_09:
            with self.subTest(stored=stored):
                self.assertEqual(wire(stored), on_wire)
                self.assertEqual(size(stored), octets)

    def test_SIZ_08_model_unstuffs_to_its_size(self):
        for stored in random_files(300, 1) + edges():
            self.assertEqual(unstuff(wire(stored)), plain(stored))
            self.assertEqual(len(unstuff(wire(stored))), size(stored))

    def test_TOP_01_model(self):
        self.assertEqual(top(b"A: b\n\nx\ny\n", 0), b"A: b\r\n\r\n")
        self.assertEqual(top(b"A: b\r\n\r\n.x\r\ny", 1), b"A: b\r\n\r\n..x\r\n")
        self.assertEqual(top(b"A: b\n\nx\ny", 9), b"A: b\r\n\r\nx\r\ny\r\n")
        self.assertEqual(top(b"A: b", 0), b"A: b\r\n")
        self.assertEqual(top(b"\nbody\n", 0), b"\r\n")


if __name__ == "__main__":
    unittest.main()
