"""Packages of Debian at work on this host, and not installed: for test programs of their own, as root.

They are fetched and unpacked.  A program that calls enter() runs again in namespaces of its own (mounts, processes, network)
with their trees over /usr; what is changed in /etc, /run and /var is of a memory file system.  All of it ends with them.
"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

MOUNTS = """
mount -t tmpfs tmpfs "$0/memory" && cd "$0/memory" && mkdir etc etc.work var var.work &&
mount -t overlay overlay -o "lowerdir=$0/tree/usr:/usr" /usr &&
mount -t overlay overlay -o "lowerdir=$0/tree/etc:/etc,upperdir=etc,workdir=etc.work" /etc &&
mount -t overlay overlay -o "lowerdir=$0/tree/var:/var,upperdir=var,workdir=var.work" /var &&
mount -t tmpfs tmpfs /run && ip link set lo up && cd / && exec "$@"
"""


def fetch(folder, packages):
    """The packages, with what they need if they can be installed here, unpacked to one tree."""
    tree, debs = os.path.join(folder, "tree"), os.path.join(folder, "debs")
    for path in (folder + "/memory", tree, tree + "/usr", tree + "/etc", tree + "/var", debs, debs + "/partial"):
        os.mkdir(path)
    apt = ["apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=60", "-o", "Dir::Cache::archives=" + debs,
           "install", "--reinstall", "--download-only", "--no-install-recommends", *packages]
    if subprocess.run(apt, stdout=subprocess.DEVNULL).returncode != 0:
        subprocess.run(["apt-get", "-qq", "update"], check=True)
        subprocess.run(apt, check=True, stdout=subprocess.DEVNULL)
    for package in glob.glob(debs + "/*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, tree], check=True)
    for name in ("lib", "sbin", "bin"):
        if os.path.isdir(os.path.join(tree, name)):
            shutil.copytree(os.path.join(tree, name), os.path.join(tree, "usr", name), symlinks=True, dirs_exist_ok=True)


def enter(packages, usage, limit=900):
    """Of a program that is called with PREFIX: return, in there, the folder of the packages' tree and of free space in
    memory/.  Its harness is that of tests/system, with that prefix."""
    if len(sys.argv) == 3:
        os.environ["P3T_PREFIX"] = sys.argv[1]
        sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "system"))
        return sys.argv[2]
    if len(sys.argv) != 2:
        sys.exit(usage)
    folder = tempfile.mkdtemp(prefix="pop3d-unpacked-")
    os.chmod(folder, 0o755)
    try:
        fetch(folder, packages)
        sys.exit(subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", MOUNTS, folder,
                                 sys.executable, os.path.abspath(sys.argv[0]), os.path.abspath(sys.argv[1]), folder], timeout=limit).returncode)
    finally:
        shutil.rmtree(folder)
