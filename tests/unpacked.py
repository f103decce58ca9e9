"""Packages of Debian at work on this host, and not installed: for test programs of their own, as root.

They are fetched and unpacked.  A program that calls enter() runs again in namespaces of its own (mounts, processes, network)
with their trees over this host's; what is changed in /etc, /run, /usr and /var is in a memory file system.  All of it ends with them.
"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

MOUNTS = """
mount -t tmpfs tmpfs "$0/memory" && cd "$0/memory" && mkdir etc etc.work usr usr.work var var.work &&
mount -t overlay overlay -o "lowerdir=$0/tree/usr:/usr,upperdir=usr,workdir=usr.work" /usr &&
mount -t overlay overlay -o "lowerdir=$0/tree/etc:/etc,upperdir=etc,workdir=etc.work" /etc &&
mount -t overlay overlay -o "lowerdir=$0/tree/var:/var,upperdir=var,workdir=var.work" /var &&
mount -t tmpfs tmpfs /run && ip link set lo up && cd / && exec "$@"
"""


def fetch(folder, groups):
    """Packages that can be installed together, group by group, with what they need; of a file in two the later stays."""
    tree = os.path.join(folder, "tree")
    for path in (folder + "/memory", tree, tree + "/usr", tree + "/etc", tree + "/var"):
        os.mkdir(path)
    for i, packages in enumerate(groups):
        debs = os.path.join(folder, "debs-%d" % i)
        os.makedirs(debs + "/partial")
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


def enter(groups, usage, limit=900):
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
        fetch(folder, groups)
        sys.exit(subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", MOUNTS, folder,
                                 sys.executable, os.path.abspath(sys.argv[0]), os.path.abspath(sys.argv[1]), folder], timeout=limit).returncode)
    finally:
        shutil.rmtree(folder)
