#!/usr/bin/python3
"""The installed daemon beside other programs that work in the same Maildirs: Dovecot, Courier, delivery agents."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../system"))
sys.dont_write_bytecode = True

import peers  # noqa: E402
import runner  # noqa: E402

if __name__ == "__main__":
    peers.get_all()
    sys.exit(runner.main(HERE, ["test_deliveries.py", "test_dovecot.py"]))
