"""What the benchmarks share: the daemon and users of the system tests, and counters of the kernel."""

import argparse
import contextlib
import os
import re
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
    """Messages of 4 KB."""
    line = b"The quick brown fox jumps over the lazy dog, and comes back at night.\n"
    return [b"From: a@example.org\nSubject: message %d\n\n" % i + line * 57 for i in range(count)]


def pss(pid):
    """Proportional set size in KiB."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def anonymous(pid):
    """Memory that is the process's own, without pages of files that it has mapped, in KiB."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Anonymous:"))


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def figures(daemon):
    """Processes, descriptors and PSS of the whole daemon."""
    pids = [pid for pid, _ in daemon.processes()]
    return {"processes": len(pids), "descriptors": sum(descriptors(p) for p in pids), "pss_kib": sum(pss(p) for p in pids)}


def cpu_ms(daemon):
    """CPU of the living processes and their reaped children, milliseconds."""
    return ticks_ms(pid for pid, _ in daemon.processes())


def ticks_ms(pids):
    tick = os.sysconf("SC_CLK_TCK")
    total = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += sum(int(x) for x in fields[11:15])
    return total * 1000 / tick


class Cpu:
    """CPU of a server, dead children included: of a control group of its own, or else in clock ticks of 10 ms."""

    ROOTS = (("/sys/fs/cgroup/cpuacct", "cpuacct.usage", 1e6), ("/sys/fs/cgroup", "cpu.stat", 1e3))

    def __init__(self, name, pids):
        self.pids, self.group = pids, None
        for root, account, per_ms in self.ROOTS:
            group = os.path.join(root, "bench-%s-%d" % (name, os.getpid()))
            with contextlib.suppress(OSError):
                os.mkdir(group)
                self.group, self.account, self.per_ms = group, os.path.join(group, account), per_ms
                for pid in pids():
                    with open(os.path.join(group, "cgroup.procs"), "w") as f:
                        f.write(str(pid))
                self.ms()
                return
            self.close()

    def ms(self):
        if self.group is None:
            return ticks_ms(self.pids())
        with open(self.account) as f:
            return int(re.search(r"\d+", f.read()).group()) / self.per_ms

    def leave(self):
        """Before the server ends: its processes go back to the group above."""
        if self.group is not None:
            for pid in self.pids():
                with open(os.path.join(os.path.dirname(self.group), "cgroup.procs"), "w") as f:
                    f.write(str(pid))
        self.close()

    def close(self):
        """When the server has ended."""
        if self.group is not None:
            with contextlib.suppress(OSError):
                os.rmdir(self.group)
        self.group = None
