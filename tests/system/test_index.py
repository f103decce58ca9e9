"""The index of a Maildir: what is read again, and what becomes of a session when the index is not what it was."""

import os
import random
import subprocess
import threading
import time
import unittest

import harness
import mailbox
from client import Eof, TestCase
from harness import PLAIN, TLS

MESSAGES = mailbox.simple(6)
SETTLED = mailbox.SETTLED


class Case(TestCase):
    def path(self, user, name="pop3d-index"):
        return os.path.join(user.maildir.path, name)

    def look(self, user, **options):
        """A session: its sizes and unique-ids."""
        client = self.session(user, **options)
        seen = [int(line.split()[1]) for line in client.listing(b"LIST")], client.listing(b"UIDL")
        self.assertEqual(client.ok(b"STAT"), b"+OK %d %d" % (len(seen[0]), sum(seen[0])))
        client.quit()
        return seen

    def known(self, messages=MESSAGES):
        """A user whose mailbox has an index that says all there is to say, and what it says."""
        user = self.user(messages)
        time.sleep(SETTLED)
        seen = self.look(user)
        self.assertEqual(seen[0], list(map(mailbox.size, messages)))
        return user, seen

    def spoil(self, user):
        """Put other octets into every message, as no program does: who reads one tells another size."""
        for path in user.maildir.paths():
            with open(path, "r+b") as f:
                f.truncate(0)
                f.write(b"spoilt " * 99)


class Index(Case):
    def test_SIZ_06_nothing_is_read_twice(self):
        user, seen = self.known()
        self.spoil(user)
        self.assertEqual(self.look(user), seen)
        self.assertEqual(self.look(user), seen)

    def test_MDR_05_not_for_others_changes_either(self):
        user, (sizes, uids) = self.known()
        self.spoil(user)
        for i, path in enumerate(user.maildir.paths()):
            base = os.path.basename(path).split(":")[0]
            os.rename(path, os.path.join(user.maildir.path, "cur", base + ":2," + "FRS"[:i % 4]))
        self.assertEqual(self.look(user), (sizes, uids))
        user.maildir.deliver(b"new\n")
        time.sleep(SETTLED)
        self.assertEqual(self.look(user)[0], sizes + [5])
        os.unlink(user.maildir.paths()[2])
        self.assertEqual(self.look(user)[0], sizes[:2] + sizes[3:] + [5])

    def test_UPD_02_nor_for_our_update(self):
        user, (sizes, _) = self.known()
        client = self.session(user)
        for n in (1, 4):
            client.ok(b"DELE %d" % n)
        client.quit()
        self.spoil(user)
        index = self.path(user)
        for _ in range(2):
            self.assertEqual(self.look(user)[0], sizes[1:3] + sizes[4:])
            time.sleep(SETTLED)
        self.look(user)
        before = os.stat(index)
        self.look(user)
        after = os.stat(index)
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns), "an unchanged mailbox is not written to")

    def test_SIZ_06_a_first_session_that_is_cut_off_keeps_what_it_read(self):
        user = self.user(MESSAGES)
        time.sleep(SETTLED)
        client = self.session(user)
        sizes = [int(client.ok(b"LIST %d" % n).split()[2]) for n in (1, 2, 3)]
        pid = self.daemon.session_of(user)[0]
        os.kill(pid, 9)
        client.rest()
        self.spoil(user)
        self.assertEqual(self.look(user)[0], sizes + [len(b"spoilt " * 99) + 2] * 3)

    def test_SIZ_06_a_wrong_size_is_found_out(self):
        user, (sizes, _) = self.known()
        self.spoil(user)
        since = len(self.daemon.log())
        client = self.session(user)
        self.assertEqual(client.multi(b"RETR 2"), mailbox.wire(b"spoilt " * 99))
        self.assertEqual(client.ok(b"LIST 2"), b"+OK 2 %d" % sizes[1])  # told once, it stays
        client.quit()
        self.daemon.log_wait("octets, but LIST said %d" % sizes[1], since=since)
        self.assertEqual(self.look(user)[0], sizes[:1] + [len(b"spoilt " * 99) + 2] + sizes[2:])

    def test_SIZ_06_MDR_08_sizes_in_names(self):
        user = self.user()
        for i in range(4):
            user.maildir.write("cur", "%d.a,S=9999,W=8888:2,S" % i, b"line %d\n" % i)
        since = len(self.daemon.log())
        self.assertEqual(self.look(user)[0], [8] * 4)
        self.look(user)
        self.daemon.log_wait("the size in its name is ignored", since=since)
        self.assertEqual(self.daemon.log()[since:].count("the size in its name is ignored"), 1, "once a session")

    def test_the_login_line_tells_octets_when_they_are_known(self):
        user = self.user(MESSAGES)
        time.sleep(SETTLED)
        since = len(self.daemon.log())
        self.look(user)
        self.assertEqual(self.daemon.log_fields("login", since=since, user=user.name)["octets"], "unknown")
        since = len(self.daemon.log())
        self.look(user)
        self.assertEqual(self.daemon.log_fields("login", since=since, user=user.name)["octets"], str(sum(map(mailbox.size, MESSAGES))))

    def test_STAT_after_DELE_and_RSET(self):
        user, (sizes, _) = self.known()
        client = self.session(user)
        client.ok(b"DELE 2")
        self.assertEqual(client.ok(b"STAT"), b"+OK 5 %d" % (sum(sizes) - sizes[1]))
        client.ok(b"RSET")
        self.assertEqual(client.ok(b"STAT"), b"+OK 6 %d" % sum(sizes))
        client.quit()

    def test_UID_02_without_the_index(self):
        user, seen = self.known()
        os.unlink(self.path(user))
        self.assertEqual(self.look(user), seen)

    @harness.needs_root
    def test_what_stands_in_its_place(self):
        secret = harness.world().path("secret-%d" % time.monotonic_ns())
        with open(secret, "w") as f:
            f.write("secret octets\n")
        user, seen = self.known()
        with open(self.path(user), "rb") as f:
            good = f.read()
        rng = random.Random(5)

        def put(octets, uid=user.uid, mode=0o600):
            with open(self.path(user), "wb") as f:
                f.write(octets)
            os.chown(self.path(user), uid, user.gid)
            os.chmod(self.path(user), mode)

        others = {
            "symlink": lambda: os.symlink(secret, self.path(user)), "fifo": lambda: os.mkfifo(self.path(user)),
            "folder": lambda: os.mkdir(self.path(user)), "empty": lambda: put(b""), "noise": lambda: put(rng.randbytes(5000)),
            "zeros": lambda: put(bytes(len(good))), "half": lambda: put(good[:len(good) // 2]), "twice": lambda: put(good + good),
            "of root": lambda: put(good, 0), "of all": lambda: put(good, user.uid, 0o666), "unreadable": lambda: put(good, user.uid, 0),
            "another version": lambda: put(good[:8] + bytes([good[8] ^ 7]) + good[9:]),
        }
        for name in others:
            with self.subTest(name):
                if os.path.isdir(self.path(user)) and not os.path.islink(self.path(user)):
                    os.rmdir(self.path(user))
                elif os.path.lexists(self.path(user)):
                    os.unlink(self.path(user))
                others[name]()
                for _ in range(2):
                    self.assertEqual(self.look(user), seen)
        with open(secret) as f:
            self.assertEqual(f.read(), "secret octets\n")

    def test_its_temporary_name_is_taken(self):
        user, seen = self.known()
        os.unlink(self.path(user))
        temporary = self.path(user, "pop3d-index.new")
        os.mkdir(temporary)
        self.assertEqual(self.look(user), seen)
        os.rmdir(temporary)
        os.symlink("/etc/hostname", temporary)
        self.assertEqual(self.look(user), seen)
        self.assertFalse(os.path.lexists(temporary))

    def test_cut_short_before_it_is_used(self):
        for kind in (PLAIN, TLS):
            user, (sizes, uids) = self.known()
            client = self.session(user, kind)
            os.truncate(self.path(user), 0)
            self.assertEqual(client.listing(b"UIDL"), uids)
            self.assertEqual(client.ok(b"STAT"), b"+OK 6 %d" % sum(sizes))
            client.ok(b"DELE 1")
            client.quit()
            self.assertEqual(user.maildir.stored(), MESSAGES[1:])

    def test_cut_short_while_it_is_used(self):
        for command in (b"UIDL 2", b"LIST 2", b"RETR 2", b"UIDL", b"LIST", b"QUIT"):
            with self.subTest(command):
                user, seen = self.known()
                since = len(self.daemon.log())
                client = self.session(user)
                client.listing(b"UIDL")
                client.ok(b"DELE 1")
                os.truncate(self.path(user), 0)
                client.send(command + b"\r\n")
                rest = client.rest()
                self.assertFalse(rest.endswith(b"\r\n.\r\n"), rest)
                if command != b"UIDL" and command != b"LIST":
                    self.assertRegex(rest, rb"\A-ERR \[SYS/TEMP\] ")
                self.daemon.log_wait("pop3d-index: has been damaged", since=since)
                client.close()
                self.assertEqual(user.maildir.stored(), MESSAGES, "nothing may be removed")
                self.assertEqual(self.look(user), seen)

    def test_overwritten_while_it_is_used(self):
        # what is told is right, or the session ends
        rng = random.Random(7)
        user, (sizes, uids) = self.known()
        right = {n: (b"+OK %d %d" % (n, sizes[n - 1]), b"+OK " + uids[n - 1]) for n in range(1, 7)}
        for _ in range(60):
            client = self.session(user)
            if rng.random() < 0.5:
                client.ok(b"UIDL 1")
            size = os.path.getsize(self.path(user))
            with open(self.path(user), "r+b") as f:
                f.seek(rng.randrange(size))
                f.write(rng.randbytes(rng.randint(1, 40)))
            try:
                for n in range(1, 7):
                    for i, command in enumerate((b"LIST %d", b"UIDL %d")):
                        response = client.command(command % n)
                        self.assertTrue(response == right[n][i] or response.startswith(b"-ERR [SYS/TEMP] "), response)
                client.command(b"QUIT")
            except (Eof, OSError):
                pass
            client.close()
        self.assertEqual(self.look(user), (sizes, uids))
        self.assertEqual(user.maildir.stored(), MESSAGES)

    def test_MDR_06_none_is_missed_while_others_move_them(self):
        user = self.user([b"%d\n" % i for i in range(40)])
        over = threading.Event()

        def move():
            rng = random.Random(11)
            while not over.is_set():
                path = rng.choice(user.maildir.paths())
                base = os.path.basename(path).split(":")[0]
                to = rng.choice(["new/" + base, "cur/%s:2,S" % base, "cur/%s:2,RS" % base])
                os.rename(path, os.path.join(user.maildir.path, to))
                time.sleep(rng.choice((0, 0.001, 0.06)))

        mover = threading.Thread(target=move)
        mover.start()
        try:
            uids = None
            for _ in range(60):
                client = self.session(user)
                seen = client.listing(b"UIDL")
                client.quit()
                self.assertEqual(len(seen), 40)
                self.assertIn(uids, (None, seen))
                uids = seen
        finally:
            over.set()
            mover.join()

    def test_MDR_06_deliveries_at_any_time(self):
        rng = random.Random(13)
        user = self.user(MESSAGES)
        have = len(MESSAGES)
        for _ in range(100):
            for _ in range(rng.randint(0, 2)):
                user.maildir.deliver(b"x\n", rng.choice(("new", "cur")))
                have += 1
            client = self.session(user)
            self.assertEqual(client.ok(b"STAT").split()[1], b"%d" % have)
            client.quit()
            time.sleep(rng.choice((0, 0, 0.01, 0.06)))


class Disks(Case):
    settings = None

    def small_home(self):
        user = harness.User()
        options = "size=512k,nr_inodes=60,mode=700,uid=%d,gid=%d" % (user.uid, user.gid)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", user.home], stderr=subprocess.DEVNULL).returncode != 0:
            raise unittest.SkipTest("cannot mount a tmpfs")
        harness.world().registry.add("mount", user.home)
        self.addCleanup(subprocess.run, ["umount", "-l", user.home])
        user.maildir.fill(MESSAGES)
        time.sleep(SETTLED)
        return user, self.own_daemon()

    def remount(self, user, how):
        subprocess.run(["mount", "-o", "remount," + how, user.home], check=True, stdout=subprocess.DEVNULL)

    def fill_up(self, user):
        with open(os.path.join(user.home, "filler"), "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass

    def test_read_only_with_and_without_an_index(self):
        user, daemon = self.small_home()
        sizes = list(map(mailbox.size, MESSAGES))
        self.remount(user, "ro")
        without = self.look(user, daemon=daemon)
        self.assertEqual(without[0], sizes)
        self.remount(user, "rw")
        client = self.session(user, daemon=daemon)
        client.ok(b"LIST 1")  # the others are to be measured when nothing can be written
        client.quit()
        time.sleep(SETTLED)
        self.session(user, daemon=daemon).quit()
        self.remount(user, "ro")
        for _ in range(2):
            self.assertEqual(self.look(user, daemon=daemon), without)
        self.remount(user, "rw")

    def test_full_disk(self):
        user, daemon = self.small_home()
        self.fill_up(user)
        seen = self.look(user, daemon=daemon)
        self.assertEqual(seen[0], list(map(mailbox.size, MESSAGES)))
        client = self.session(user, daemon=daemon)
        client.ok(b"DELE 3")
        client.quit()
        self.assertEqual(len(user.maildir.paths()), 5)
        self.assertFalse(os.path.exists(self.path(user, "pop3d-index.new")))

    def test_disk_fills_up_while_it_is_used(self):
        user, daemon = self.small_home()
        client = self.session(user, daemon=daemon)
        client.listing(b"UIDL")
        self.fill_up(user)
        for path in user.maildir.paths():
            base = os.path.basename(path).split(":")[0]
            os.rename(path, os.path.join(user.maildir.path, "cur", base + ":2,TFRS"))
        for n, message in enumerate(MESSAGES, 1):
            self.assertEqual(client.multi(b"RETR %d" % n), mailbox.wire(message))
        client.ok(b"DELE 6")
        client.quit()
        self.assertEqual(user.maildir.stored(), MESSAGES[:5])
        self.assertEqual(self.look(user, daemon=daemon)[0], list(map(mailbox.size, MESSAGES[:5])))

    def test_MDR_06_time_stamps_in_seconds(self):
        # a file system with inodes of 128 octets
        user = harness.User()
        image = harness.world().path("image-" + user.name)
        with open(image, "wb") as f:
            f.truncate(8 << 20)
        made = harness.have("mkfs.ext2") and subprocess.run(["mkfs.ext2", "-q", "-I", "128", image], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        if not made or subprocess.run(["mount", "-o", "loop", image, user.home], stderr=subprocess.DEVNULL).returncode != 0:
            raise unittest.SkipTest("cannot mount an ext2 image")
        harness.world().registry.add("mount", user.home)
        self.addCleanup(subprocess.run, ["umount", "-l", user.home])
        os.chown(user.home, user.uid, user.gid)
        user.maildir.make()
        daemon = self.own_daemon()
        rng = random.Random(17)
        for have in range(1, 61):
            user.maildir.deliver(b"x\n", rng.choice(("new", "cur")))
            delivered = time.time()
            client = self.session(user, daemon=daemon)
            self.assertEqual(client.ok(b"STAT"), b"+OK %d %d" % (have, 3 * have))
            client.quit()
            time.sleep(rng.choice((0, 0.02, 0.1)))
        index = self.path(user)
        self.look(user, daemon=daemon)
        early = os.stat(index).st_ino
        self.look(user, daemon=daemon)
        if time.time() < delivered + 2:
            self.assertNotEqual(os.stat(index).st_ino, early, "so soon a time stamp in seconds says nothing")
        time.sleep(4.5)
        self.look(user, daemon=daemon)
        late = os.stat(index).st_mtime, os.stat(index).st_ctime
        time.sleep(1.1)
        self.look(user, daemon=daemon)
        self.assertEqual((os.stat(index).st_mtime, os.stat(index).st_ctime), late)
