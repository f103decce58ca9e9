"""Claws Mail.  It asks for the password before it connects, and again at each check."""

import re

from client import TestCase
from mh import MhProgram
from situations import Situations


class ClawsMail(MhProgram):
    command, profile = "claws-mail", ".claws-mail"
    prompt = re.compile("^Input password$")
    quiet = (re.compile("Claws Mail"), re.compile("Retrieving new messages$"))
    ends = ("Close",)


class Claws(Situations, TestCase):
    program = ClawsMail
