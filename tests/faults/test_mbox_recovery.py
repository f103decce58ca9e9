"""A login that sets right what a killed session left of an mbox, killed itself at each system call."""

import unittest

import harness
import mboxes
import test_mbox_crash as crash
from client import Eof
from test_update import Injected


@unittest.skipUnless(harness.have("strace", "procmail"), "no strace or no procmail")
class Recovery(crash.Case):
    """The session that sets right what was cut off is killed as well, at each system call."""

    settings = {"session_spares": 1, "storage": "mbox:%s/%%u" % mboxes.spool()}

    def spares(self):
        spawner = self.daemon.spawner()

        def look():
            return [pid for pid in self.daemon.role("pop3d-session")
                    if pid not in spawner and int(harness.status(pid)["Uid"].split()[0]) == 0]
        return harness.wait_for(look, 5)

    def cut_off(self, user, box, call, when):
        """UPDATE killed at a call that changes the mbox, and mail delivered since."""
        box.fill(crash.MESSAGES)
        client, pid = self.marked(user)
        with Injected([pid], "%s:signal=KILL:when=%d" % (call, when)):
            client.send(b"QUIT\r\n")
            client.rest()
            client.close()
            harness.wait_for(lambda: harness.start_time(pid) is None, 10)
        self.assertEqual(mboxes.procmail(box, crash.LATE).wait(60), 0)

    def login_calls(self, user, box, call, when):
        """The system calls of a login that recovers, from the grant to +OK."""
        self.cut_off(user, box, call, when)
        spares = self.spares()
        with Injected(spares, None) as trace:
            client = self.session(user)
            served = self.daemon.session_of(user)
            client.close()
            harness.wait_for(lambda: harness.start_time(served[0]) is None, 5)
        self.assertIn(served[0], spares)
        calls = trace.sequence(served[0])
        return calls[:calls.index(("sendto", 1)) + 1]

    def walk_recovery(self, call, when):
        user = self.user()
        box = mboxes.spool_box(user)
        points = 0
        for at in self.login_calls(user, box, call, when):
            with self.subTest(call=at):
                self.cut_off(user, box, call, when)
                with Injected(self.spares(), "%s:signal=KILL:when=%d" % at) as trace:
                    client = self.connect()
                    try:
                        client.try_login(user)
                    except (Eof, OSError):
                        pass
                    client.close()
                self.assertEqual(self.check(user, box, True, 1), len(crash.KEPT))
                points += "killed by SIGKILL" in trace.calls()
        self.assertGreater(points, 60)
        return points

    def test_MBX_04_killed_while_it_takes_up_mail_that_came(self):
        # the octets are written, and nothing says so yet
        self.tell(self.walk_recovery("fsync", 3))

    def test_MBX_04_killed_while_it_moves_mail_that_came(self):
        self.tell(self.walk_recovery("ftruncate", 1))
