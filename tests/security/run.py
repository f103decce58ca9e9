#!/usr/bin/python3
"""The security tests: the installed daemon, one of its roles replaced by an attacker, or a hostile user or client beside it."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../system"))
sys.dont_write_bytecode = True

import runner  # noqa: E402

if __name__ == "__main__":
    sys.exit(runner.main(HERE, ["test_worker.py", "test_session.py", "test_dispatcher.py", "test_local_user.py", "test_client.py", "test_floods.py", "test_enumeration.py"]))
