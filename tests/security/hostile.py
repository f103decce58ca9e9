"""Roles of the daemon that have been taken: how they are made and put in the place of the installed ones."""

import os
import re
import shutil
import subprocess
import unittest

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "../..")
COMMON = ["common/build.c", "common/channel.c", "common/msg.c"]


def build(name):
    """Compile tests/security/NAME.c, once; the path of the program."""
    folder = harness.world().path("hostile")
    out = os.path.join(folder, name)
    if os.path.exists(out):
        return out
    if not shutil.which("cc"):
        raise unittest.SkipTest("no compiler")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)
    with open(os.path.join(folder, "config.h"), "w") as f:
        f.write('#define PACKAGE_VERSION "test"\n')
    with open(installed("pop3d-login"), "rb") as f:  # it passes for a program of this build
        digits = re.search(rb"pop3d build ([0-9a-f]{16})", f.read()).group(1).decode()
    with open(os.path.join(folder, "build_id.h"), "w") as f:
        f.write(f"#define BUILD_ID {digits}\n")
    sources = [os.path.join(TOP, s) for s in [f"tests/security/{name}.c", *COMMON]]
    done = subprocess.run(["cc", "-D_GNU_SOURCE", "-std=gnu11", "-I", folder, "-I", TOP, "-o", out, *sources, "-lbsd"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode != 0:
        raise AssertionError(done.stdout)
    return out


def installed(program):
    """The path of a role's program."""
    prefix = os.path.dirname(os.path.dirname(harness.program()))
    for folder, _, names in os.walk(prefix):
        if program in names:
            return os.path.join(folder, program)
    raise AssertionError(f"no {program} below {prefix}")


def in_place_of(program, name):
    """The start of a command line (own_daemon's wrap) under which the attacker NAME stands where the role's PROGRAM is."""
    return harness.private_mounts('mount --bind "$0" "$1" && shift', build(name), installed(program))
