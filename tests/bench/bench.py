"""What the benchmarks share: the daemon and users of the system tests, and counters of the kernel."""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True


def setup(description, **numbers):
    """Read --prefix and the numbers; returns them and the system tests' harness."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--prefix", default="/usr/local", help="where pop3d is installed")
    for name, value in numbers.items():
        parser.add_argument("--" + name, type=int, default=value, help="default %d" % value)
    options = parser.parse_args()
    os.environ["P3T_PREFIX"] = os.path.abspath(options.prefix)
    sys.path.insert(0, os.path.join(HERE, "..", "system"))
    import harness
    return options, harness


def letters(count):
    """Messages of 4 KB, as BASELINE-like measurements use them."""
    line = b"The quick brown fox jumps over the lazy dog, and comes back at night.\n"
    return [b"From: a@example.org\nSubject: message %d\n\n" % i + line * 57 for i in range(count)]


def pss(pid):
    """Proportional set size in KiB."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def figures(daemon):
    """Processes, descriptors and PSS of the whole daemon."""
    pids = [pid for pid, _ in daemon.processes()]
    return {"processes": len(pids), "descriptors": sum(descriptors(p) for p in pids), "pss_kib": sum(pss(p) for p in pids)}


def cpu_ms(daemon):
    """CPU of the living processes and their reaped children, milliseconds."""
    tick = os.sysconf("SC_CLK_TCK")
    total = 0
    for pid, _ in daemon.processes():
        with open("/proc/%d/stat" % pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += sum(int(x) for x in fields[11:15])
    return total * 1000 / tick
