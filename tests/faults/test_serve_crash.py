"""pop3d --serve --apply-deletes on an mbox: a session killed at each call of UPDATE that changes a file.

Afterwards, to a session of the same run and to the next run, no message is lost, doubled or damaged.
"""

import os
import poplib
import unittest

import harness
import mailbox
import mboxes
import test_serve
from test_update import Injected

MESSAGES = [mailbox.letter("m%d" % i, b"line of message %d\n" % i * (i * 37)) for i in range(1, 11)]
MARKED = (2, 4, 6, 8, 10)
CHANGES = ("pwrite64", "fsync", "renameat", "renameat2", "ftruncate", "unlinkat", "linkat", "mknodat", "openat", "utimensat", "close")


@unittest.skipUnless(harness.have("strace"), "no strace")
class Crash(test_serve.ServeCase):
    limit = 300

    def marked(self, path):
        run = self.serve(path, "--apply-deletes")
        client = run.login()
        for n in MARKED:
            client.dele(n)
        family = harness.parents()
        found = [pid for pid in family if harness.executable(pid) == "pop3d-session" and any(str(path) in link for link in harness.links(pid).values())
                 and self.descends(pid, run.process.pid, family)]
        self.assertEqual(len(found), 1)
        return run, client, found[0]

    @staticmethod
    def descends(pid, ancestor, family):
        while pid in family and pid != ancestor:
            pid = family[pid]
        return pid == ancestor

    def quit(self, client, pid):
        try:
            client.quit()
        except (poplib.error_proto, OSError):
            pass
        harness.wait_for(lambda: harness.start_time(pid) is None, 10)

    def calls(self, path):
        run, client, pid = self.marked(path)
        with Injected([pid], None) as trace:
            self.quit(client, pid)
        run.stop()
        return [call for call in trace.sequence(pid) if call[0] in CHANGES]

    def check(self, run):
        """What a session is shown: all messages, or all that were not marked."""
        client = run.login()
        count = client.stat()[0]
        texts = [b"".join(line + b"\r\n" for line in client.retr(n + 1)[1]) for n in range(count)]
        client.quit()
        all_of_them = [mailbox.plain(m) for m in MESSAGES]
        self.assertIn(texts, (all_of_them, [m for i, m in enumerate(all_of_them, 1) if i not in MARKED]))
        return count

    def test_MBX_04_killed_at_each_change(self):
        folder = os.path.join(self.owner.home, "archive")
        os.mkdir(folder)
        os.chown(folder, self.owner.uid, self.owner.gid)
        box = mboxes.Mbox(os.path.join(folder, "mbox"), self.owner, folder)
        box.fill(MESSAGES)
        points, seen = 0, set()
        for call in self.calls(box.path):
            with self.subTest(call=call):
                box.fill(MESSAGES)
                run, client, pid = self.marked(box.path)
                with Injected([pid], "%s:signal=KILL:when=%d" % call) as trace:
                    self.quit(client, pid)
                points += "killed by SIGKILL" in trace.calls()
                count = self.check(run)
                run.stop()
                run = self.serve(box.path, "--apply-deletes")
                self.assertEqual(self.check(run), count)
                run.stop()
                self.assertEqual(box.leftovers(), [])
                seen.add(count)
        self.assertEqual(seen, {10, 5})
        self.assertGreater(points, 15)
        self.note = "killed at each of %d calls that change a file: nothing lost, doubled or damaged" % points
