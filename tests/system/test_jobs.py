"""Mailbox jobs: what pop3ctl has a session do as the mailbox's owner."""

import os
import shutil

import harness
import mailbox
from client import TestCase
from control import FAILED, USAGE, Control


class Jobs(TestCase):
    """A Maildir server, pam."""

    def control(self, daemon=None):
        return Control(daemon or self.daemon)

    def test_exists(self):
        user, ctl = self.user(), self.control()
        self.assertEqual(ctl.done("box", "exists", "clear", user.name), "1")
        user.maildir.remove()
        self.assertEqual(ctl.done("box", "exists", "-", user.name), "0")
