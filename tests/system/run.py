#!/usr/bin/python3
"""The system tests: the whole installed daemon, from outside; as an ordinary user those that need no root."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import runner  # noqa: E402

# The slow ones begin first.
FIRST = ["test_clients.py", "test_connections.py", "test_multiline.py", "test_service_manager.py", "test_sizes.py", "test_processes.py", "test_tls.py"]

if __name__ == "__main__":
    sys.exit(runner.main(HERE, FIRST, extra=[os.path.join(HERE, "mailbox.py")], rootless=True))
