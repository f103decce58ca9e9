"""Messages that another server has compressed or encrypted: inflated, or refused; never sent as they are stored.

The magic numbers of what is refused and what a client sees of it are tested here, damage and hostile data in
tests/unit/unpack.c.
"""

import bz2
import gzip
import lzma
import os
import re
import shutil
import subprocess
import unittest

import harness
import mailbox
from client import TestCase
from harness import PLAIN, TLS
from test_serve import Serve

REFUSED = rb"\A-ERR \[SYS/PERM\] "
# Several blocks of the session's and of the decoder's, with lines that begin with a dot.
LARGE = mailbox.letter("large", b"".join(b"%s line %d\n" % (b"." * (i % 3), i * 7919 % 10007) for i in range(30000)))


def zstd(octets, *options):
    return subprocess.run(["zstd", "-q", "-c", *options], input=octets, stdout=subprocess.PIPE, check=True).stdout


def forms(letter):
    """Files that are inflated."""
    out = {"gzip": gzip.compress(letter), "members": gzip.compress(letter[:50]) + gzip.compress(letter[50:])}
    if shutil.which("zstd"):
        out["zstd"] = zstd(letter)
        out["zstd -19"] = zstd(letter, "-19")
    return out


def refused(letter):
    """Files that are not."""
    whole = gzip.compress(letter)
    damaged = bytearray(whole)
    damaged[-6] ^= 1  # the checksum, behind all of the text
    return {"bzip2": bz2.compress(letter), "xz": lzma.compress(letter), "lz4 of Dovecot": b"Dovecot-LZ4\r*\x9b\xc5" + letter,
            "encrypted": b"CRYPTED\x03\x07\x02" + letter, "cut off": whole[:len(whole) // 2], "nearly whole": whole[:-1],
            "damaged": bytes(damaged), "garbage behind": whole + b"garbage", "bomb": gzip.compress(bytes(100 << 20))}


class Compressed(TestCase):
    def fill(self, user, files):
        for i, octets in enumerate(files, 1):
            user.maildir.write("cur", "17000000%02d.M1P1.h,S=1:2,SZ" % i, octets)

    def names(self, user):
        return sorted(os.listdir(os.path.join(user.maildir.path, "cur")))

    def test_SIZ_01_MLT_01_as_if_they_were_not_compressed(self):
        for letter in (mailbox.letter("short", b"text\n.dot\n"), LARGE):
            files = forms(letter)
            user = self.user()
            self.fill(user, files.values())
            for kind in self.each_kind((PLAIN, TLS)):
                for known in (False, True):
                    client = self.session(user, kind)
                    if known:
                        sizes = [int(line.split()[1]) for line in client.listing(b"LIST")]
                        self.assertEqual(sizes, [mailbox.size(letter)] * len(files))
                    for n, name in enumerate(files, 1):
                        with self.subTest(name, known=known):
                            self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(letter))
                            self.assertEqual(client.multi(b"TOP %d 3" % n), mailbox.top(letter, 3))
                    client.quit()

    def test_the_size_is_kept(self):
        user = self.user()
        self.fill(user, [gzip.compress(LARGE)])
        client = self.session(user)
        self.assertEqual(client.ok(b"LIST 1"), b"+OK 1 %d" % mailbox.size(LARGE))
        client.quit()
        path = os.path.join(user.maildir.path, "cur", self.names(user)[0])
        os.chmod(path, 0)  # whoever looked again would find nothing
        client = self.session(user)
        self.assertEqual(client.ok(b"STAT"), b"+OK 1 %d" % mailbox.size(LARGE))
        client.quit()

    def check_refused(self, client, n, stored):
        self.assertEqual(client.ok(b"LIST %d" % n), b"+OK %d %d" % (n, len(stored)))
        for command in (b"RETR %d", b"TOP %d 0", b"TOP %d 100000", b"DELE %d"):
            self.assertRegex(client.command(command % n), REFUSED)

    def test_refused_and_not_deleted(self):
        letter = mailbox.letter("x", b"text\n" * 2000)
        files = refused(letter)
        for first in (b"NOOP", b"STAT"):  # before and after the sizes are known
            user = self.user()
            self.fill(user, [*files.values(), gzip.compress(letter), letter])
            client = self.session(user)
            client.ok(first)
            for n, name in enumerate(files, 1):
                with self.subTest(name, first=first):
                    self.assertRegex(client.command(b"DELE %d" % n), REFUSED)
                    self.check_refused(client, n, files[name])
            for n in (len(files) + 1, len(files) + 2):
                self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(letter))
                client.ok(b"DELE %d" % n)
            client.quit()
            self.assertEqual(len(self.names(user)), len(files))
        self.daemon.log_wait("compressed with bzip2, which is not inflated")
        self.daemon.log_wait("damaged or cut off")

    def test_damage_behind_what_was_sent_is_found_before(self):
        """A large one, cut off: its first block is good."""
        user = self.user()
        stored = gzip.compress(LARGE)[:-1000]
        self.fill(user, [stored])
        for _ in range(2):
            client = self.session(user)
            self.assertRegex(client.command(b"RETR 1"), REFUSED)
            self.assertRegex(client.command(b"TOP 1 0"), REFUSED)
            self.check_refused(client, 1, stored)
            client.quit()

    def test_plain_files_that_begin_like_that(self):
        letters = [b"BZh9: not compressed\n\ntext\n", b"CRYPTED: no\n\n", b"\x1f\x8b\n", b"Dovecot-LZ4: no\n\n"]
        user = self.user(letters)
        client = self.session(user)
        for n, letter in enumerate(letters, 1):
            self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(letter))
        client.quit()


class Directories(TestCase):
    settings = {"storage": "dir:%h/letters"}

    def test_a_directory(self):
        letter = mailbox.letter("x", b"text\n" * 2000)
        good, bad = forms(letter), refused(letter)
        user = self.user()
        path = os.path.join(user.home, "letters")
        os.mkdir(path)
        for i, octets in enumerate([*good.values(), *bad.values()], 1):
            with open(os.path.join(path, str(i)), "wb") as f:
                f.write(octets)
        subprocess.run(["chown", "-R", "%d:%d" % (user.uid, user.gid), path], check=True)
        client = self.session(user)
        for n in range(1, len(good) + 1):
            self.assertEqual(client.ok(b"LIST %d" % n), b"+OK %d %d" % (n, mailbox.size(letter)))
            self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(letter))
        for n, stored in enumerate(bad.values(), len(good) + 1):
            self.assertEqual(client.ok(b"LIST %d" % n), b"+OK %d %d" % (n, len(stored)))
            for command in (b"RETR %d", b"TOP %d 0", b"DELE %d"):
                self.assertRegex(client.command(command % n), REFUSED)
        client.quit()
        self.assertEqual(sum(name[0] != "." for name in os.listdir(path)), len(good) + len(bad))


class OneUser(unittest.TestCase):
    def test_what_cannot_be_inflated_is_left_out_and_told(self):
        letter = mailbox.letter("x", b"text\n" * 2000)
        good, bad = forms(letter), refused(letter)
        user = harness.world().take_user()
        for i, octets in enumerate([*good.values(), *bad.values()], 1):
            user.maildir.write("cur", "17000000%02d.M1P1.h:2,SZ" % i, octets)
        port = harness.free_port()
        run = Serve(user.maildir.path, "--port", str(port), start=False)
        run.port = port
        self.assertTrue(harness.wait_for(lambda: "serving %d messages" % len(good) in run.text(), 60), run.text())
        client = run.login()
        self.assertEqual(len(client.list()[1]), len(good))
        for n in range(1, len(good) + 1):
            self.assertEqual(b"\r\n".join(client.retr(n)[1]) + b"\r\n", mailbox.plain(letter))
        client.quit()
        run.stop()
        told = re.findall(r"^pop3d: cur/17000000(\d\d).*: (.+); it is left out$", run.text(), re.M)
        self.assertEqual([int(n) for n, _ in told], list(range(len(good) + 1, len(good) + len(bad) + 1)))
        self.assertIn("compressed with xz, which is not inflated", told[1][1])
        harness.world().give_back(user)
