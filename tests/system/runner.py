"""Runs test programs (test_*.py of one folder) side by side and counts.

Each program is a process of its own, so that one that hangs or dies takes
nothing with it.  Results come back as lines of JSON.
"""

import argparse
import glob
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

SYSTEM = os.path.dirname(os.path.abspath(__file__))
PROGRAM_LIMIT = 2400  # seconds one test program may take: four times what it takes on a busy host


class Result(unittest.TestResult):
    """Writes one line of JSON a test.  A test with failed subtests counts as one failure."""

    def __init__(self, out):
        super().__init__()
        self.out = out
        self.buffer = False
        self.details, self.skipped_why = [], None

    def startTest(self, test):
        super().startTest(test)
        self.began, self.details, self.skipped_why = time.monotonic(), [], None

    def addError(self, test, err):
        if not hasattr(test, "_testMethodName"):  # setUpClass and the like
            self.write(str(test), "failed", self.text(err), 0)
            return
        kind = getattr(test, "kind_now", None)
        self.details.append(("[%s] " % kind if kind else "") + self.text(err))

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.details.append("[%s] %s" % (", ".join("%s=%r" % p for p in subtest.params.items())[:300], self.text(err)))

    def addSkip(self, test, reason):
        if not hasattr(test, "_testMethodName"):
            self.write(str(test), "skipped", reason, 0)
            return
        self.skipped_why = reason

    def stopTest(self, test):
        name = test.id()
        seconds = time.monotonic() - self.began
        if self.details:
            more = "" if len(self.details) <= 3 else "\n(and %d more)" % (len(self.details) - 3)
            self.write(name, "failed", "\n".join(self.details[:3]) + more, seconds)
        elif self.skipped_why is not None:
            self.write(name, "skipped", self.skipped_why, seconds)
        else:
            self.write(name, "passed", getattr(test, "note", ""), seconds)
        super().stopTest(test)

    @staticmethod
    def text(err):
        lines = "".join(traceback.format_exception(*err)).splitlines()
        return "\n".join(line[:400] for line in lines if "/unittest/" not in line)[-3500:]

    def write(self, name, status, detail, seconds):
        self.out.write(json.dumps({"name": name, "status": status, "detail": detail, "seconds": seconds}) + "\n")
        self.out.flush()


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def needs_root(test):
    return getattr(getattr(test, test._testMethodName), "__unittest_skip_why__", "") == "needs root"


def run_program(path, only, results):
    """In the child: run the tests of one file."""
    sys.path[:0] = [os.path.dirname(path), SYSTEM]
    name = os.path.splitext(os.path.basename(path))[0]
    with open(results, "a") as out:
        result = Result(out)
        try:
            suite = unittest.defaultTestLoader.loadTestsFromName(name)
        except Exception:
            result.write(name, "failed", traceback.format_exc(), 0)
            return 1
        tests = [t for t in flatten(suite) if not only or re.search(only, t.id())]
        if os.environ.get("P3T_ROOTLESS"):  # the others have their turn as root
            tests = [t for t in tests if not needs_root(t)]
        if not tests:
            return 0
        ids = [t.id() for t in tests]
        out.write(json.dumps({"plan": ids}) + "\n")
        out.flush()
        suite = unittest.TestSuite(tests)
        suite._removeTestAtIndex = lambda index: None
        suite.run(result)
        import harness
        if harness._world is not None:
            problems = harness.finish()
            result.write(name + ".daemons_stop_cleanly", "failed" if problems else "passed", "\n".join(problems)[:4000], 0)
    return 0


class Program:
    """A running test program, seen from the parent."""

    def __init__(self, path, args, shared):
        self.path, self.name = path, os.path.splitext(os.path.basename(path))[0]
        self.results = os.path.join(shared, "results." + self.name)
        self.output = open(os.path.join(shared, "output." + self.name), "w+")
        self.read, self.planned, self.seen, self.began = 0, [], set(), time.monotonic()
        open(self.results, "w").close()
        environment = dict(os.environ, P3T_PREFIX=args.prefix, P3T_SANDBOX=args.sandbox,
                           P3T_LANDLOCK_ABI=str(args.landlock_abi), P3T_SHARED=shared, PYTHONDONTWRITEBYTECODE="1", LC_ALL="C")
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(SYSTEM, "runner.py"), "--program", path, "--results", self.results,
             "--only", args.only], env=environment, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
            start_new_session=True)

    def poll(self):
        """New results; the last ones when the program has ended."""
        ended = self.process.poll() is not None
        if not ended and time.monotonic() - self.began > PROGRAM_LIMIT:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            ended = True
        out = []
        with open(self.results) as f:
            f.seek(self.read)
            while True:
                line = f.readline()
                if not line.endswith("\n"):
                    break
                self.read = f.tell()
                entry = json.loads(line)
                if "plan" in entry:
                    self.planned = entry["plan"]
                else:
                    self.seen.add(entry["name"])
                    out.append(entry)
        if ended:
            self.output.seek(0)
            tail = self.output.read()[-1500:]
            missing = [t for t in self.planned if t not in self.seen]
            # a class whose setUpClass failed or was skipped has one line of its own
            missing = [t for t in missing if not any(t.rsplit(".", 1)[0] in s for s in self.seen if s.startswith("setUp"))]
            for test in missing:
                out.append({"name": test, "status": "failed", "detail": "did not end: " + tail, "seconds": 0})
            if self.process.returncode != 0 and not missing:
                out.append({"name": self.name, "status": "failed", "seconds": 0,
                            "detail": "test program ended with %d: %s" % (self.process.returncode, tail)})
        return ended, out


def sweep(shared):
    """Take away what killed test programs left behind."""
    sys.path.insert(0, SYSTEM)
    import harness
    for path in glob.glob(os.path.join(shared, "registry.*")):
        harness.Registry(path).sweep()


def report(entry, verbose):
    if entry["status"] == "failed":
        print("FAILED  %s (%.1f s)\n    %s" % (entry["name"], entry["seconds"], entry["detail"].replace("\n", "\n    ")))
    elif entry["status"] == "skipped":
        print("skipped %s: %s" % (entry["name"], entry["detail"]))
    elif verbose or entry["detail"]:  # a test's note says what it has counted
        print("passed  %s (%.1f s) %s" % (entry["name"], entry["seconds"], entry["detail"]))
    sys.stdout.flush()


def main(folder, first=(), extra=(), rootless=False):
    """Command line of tests/system/run.py and tests/faults/run.py."""
    parser = argparse.ArgumentParser(description="Run the tests of this folder against an installed pop3d.")
    parser.add_argument("--prefix", default="/usr/local", help="where pop3d is installed (PREFIX/sbin/pop3d)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="regular expression: run these tests only")
    parser.add_argument("--jobs", type=int, default=3, help="test programs at a time")
    parser.add_argument("--sandbox", default="on", choices=["on", "off", "log", "require"])
    parser.add_argument("--landlock-abi", type=int, default=0, metavar="N", help="cap the Landlock ABI in use (0: no cap)")
    parser.add_argument("-v", "--verbose", action="store_true", help="name the tests that pass")
    args = parser.parse_args()
    args.prefix = os.path.abspath(args.prefix)
    files = sorted(glob.glob(os.path.join(folder, "test_*.py"))) + list(extra)
    files.sort(key=lambda p: first.index(os.path.basename(p)) if os.path.basename(p) in first else len(first))
    if os.geteuid() != 0 and not rootless:
        count = sum(len(re.findall(r"^    def test_", open(f).read(), re.M)) for f in files)
        print("these tests need root: none was run")
        print("0 passed, 0 failed, %d skipped" % count)
        return 0
    if not os.access(os.path.join(args.prefix, "sbin/pop3d"), os.X_OK):
        print("no %s/sbin/pop3d: install first, or give --prefix" % args.prefix)
        print("0 passed, 1 failed, 0 skipped")
        return 1
    shared = os.path.join(tempfile.gettempdir(), "p3t-run-" + secrets.token_hex(4))
    os.mkdir(shared, 0o755)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    running = []
    try:
        todo = list(files)
        while todo or running:
            while todo and len(running) < args.jobs:
                running.append(Program(todo.pop(0), args, shared))
            for program in list(running):
                ended, entries = program.poll()
                for entry in entries:
                    counts[entry["status"]] += 1
                    report(entry, args.verbose)
                if ended:
                    running.remove(program)
            time.sleep(0.05)
    finally:
        for program in running:
            program.process.terminate()
        for program in running:
            try:
                program.process.wait(15)
            except subprocess.TimeoutExpired:
                program.process.kill()
        sweep(shared)
        shutil.rmtree(shared, ignore_errors=True)
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    child = argparse.ArgumentParser()
    child.add_argument("--program")
    child.add_argument("--results")
    child.add_argument("--only", default="")
    options = child.parse_args()
    sys.exit(run_program(options.program, options.only, options.results))
