#!/usr/bin/python3
"""The fault tests: the installed daemon with processes killed, disks full, modules gone wrong."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../system"))
sys.dont_write_bytecode = True

import runner  # noqa: E402

if __name__ == "__main__":
    sys.exit(runner.main(HERE, ["test_index_crash.py", "test_kill.py", "test_update.py"]))
