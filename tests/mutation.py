"""A copy of the tree in which parts are taken out, built and tested: for tests/unit/mutants and tests/security/mutants."""

import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATTERNS = shutil.ignore_patterns(".git", "autom4te.cache", "obj", "__pycache__", "*.o", "*.a", "config.status", "config.h",
                                  "Makefile", "corpus")
JOBS = "-j%d" % min(os.cpu_count() or 1, 4)


def left_out(folder, names):
    """What no build needs; "build" is where people build, and a folder of tests."""
    return PATTERNS(folder, names) | ({"build"} if folder == TOP else set())


def text_of(top, path):
    with open(os.path.join(top, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def run(words, where, **more):
    return subprocess.run(words, cwd=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, errors="replace", **more)


class Copy:
    """The copy, configured below $TMPDIR with $CC (ccache gcc if there is ccache); removed at the end of the block."""

    def __enter__(self):
        self.scratch = tempfile.mkdtemp(prefix="pop3d-mutants.")
        self.top, self.obj, self.prefix = (os.path.join(self.scratch, name) for name in ("src", "src/obj", "root"))
        os.chmod(self.scratch, 0o755)  # processes of every user come here
        try:
            shutil.copytree(TOP, self.top, symlinks=True, ignore=left_out)
            os.mkdir(self.obj)
            compiler = os.environ.get("CC") or ("ccache gcc" if shutil.which("ccache") else "gcc")
            self.need(["autoreconf", "-fi"], self.top)
            self.need(["../configure", "--prefix=" + self.prefix, "CC=" + compiler, "CFLAGS=-O0"], self.obj)
            self.build(["build_id.h"])  # which "make all" makes before everything else
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.scratch, ignore_errors=True)

    @staticmethod
    def need(words, where):
        done = run(words, where)
        if done.returncode != 0:
            sys.exit("%s failed:\n%s" % (" ".join(words), done.stdout[-4000:]))

    def write(self, path, text):
        with open(os.path.join(self.top, path), "w", encoding="utf-8") as f:
            f.write(text)

    def build(self, targets):
        self.need(["make", JOBS, *targets], self.obj)

    def install(self):
        """All programs, where system tests look for them."""
        self.build([])
        self.need(["make", "install"], self.obj)

    def unit(self, name, seconds):
        """The unit test's exit status, None if it does not end, and what it printed."""
        try:
            done = run(["tests/unit/" + name], self.obj, timeout=seconds)
            return done.returncode, done.stdout
        except subprocess.TimeoutExpired:
            return None, ""
