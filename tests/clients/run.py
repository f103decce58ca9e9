#!/usr/bin/python3
"""What tests/clients/run runs inside: mail programs with windows fetch from the installed daemon."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../system"))
sys.dont_write_bytecode = True

import runner  # noqa: E402

if __name__ == "__main__":
    sys.exit(runner.main(HERE))
