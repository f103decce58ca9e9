"""Sylpheed.  It asks for the password before it connects, and keeps it until it ends or the password was wrong."""

import re

from client import TestCase
from mh import MhProgram
from situations import Situations


class SylpheedMail(MhProgram):
    command, profile = "sylpheed", ".sylpheed-2.0"
    prompt = re.compile("^Input password$")
    quiet = (re.compile("Sylpheed"), re.compile("Retrieving new messages$"), re.compile("^Notification$"))  # "3 new messages"
    ends = ("OK",)

    def __init__(self, desktop, user, port):
        super().__init__(desktop, user, port)
        desktop.write(self.profile + "/sylpheedrc", "[Common]\nauto_update_check=0\n")


class Sylpheed(Situations, TestCase):
    program = SylpheedMail
