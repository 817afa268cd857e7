#!/usr/bin/env python3
"""Python's own tests in a machine.

    tests/debian/python_modules.py [--linux] TREE [MODULE...]   without modules: all that are in the list

With --linux they run on this machine's Linux, the tree being the root, to have the figures. Each module runs in a machine of its own. What fails must be in python-known, a line for each:

    MODULE  REGULAR EXPRESSION  CAUSE

The expression is looked for in "NAME: LAST LINE OF THE EXCEPTION". A failure that nothing explains is a
failure of the module here; so is a line that explains nothing any more.
"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import machine  # pylint: disable=wrong-import-position

MODULES = """test_os test_threading test_subprocess test_signal test_mmap test_select test_socket test_io
test_json test_re test_posix test_fcntl test_selectors test_epoll test_tempfile test_shutil test_time
test_pty""".split()
LIMIT = 1200
# Tests that are left out: a connection to a host over vsock, where there is no host, never comes.
LEFT_OUT = {"test_socket": ["-i", "*VSOCK*"]}


def known_failures(module):
    """[(expression, cause)] of the list."""
    found = []
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python-known")
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                name, expression, cause = re.split(r"\s{2,}", line.strip(), maxsplit=2)
                if name in (module, "*"):
                    found.append((expression, cause, name))
    return found


class Result:
    """What one module's run came to."""

    def __init__(self, module, status, output):
        self.module, self.status = module, status
        ran = re.findall(r"^Ran (\d+) tests?", output, re.M)
        self.run = int(ran[-1]) if ran else 0
        skipped = re.findall(r"^(?:OK|FAILED) \(.*?skipped=(\d+)", output, re.M)
        self.skipped = int(skipped[-1]) if skipped else 0
        self.failures = self.read_failures(output)
        self.last = output.strip().splitlines()[-1] if output.strip() else "no output"
        self.causes, self.unknown, self.stale = {}, [], []
        self.explain()

    @staticmethod
    def read_failures(output):
        """{CLASS.TEST: last line of its exception}."""
        failures = {}
        for block in re.split(r"^={70}\n", output, flags=re.M)[1:]:
            head = re.match(r"(?:FAIL|ERROR): \S+ \((?:\S+\.)?(\w+\.\w+)\)", block)
            if head:
                body = re.split(r"^-{70}\n", block, flags=re.M)
                lines = [line for line in (body[1] if len(body) > 1 else "").splitlines()
                         if re.match(r"[A-Za-z_][\w.]*(:|$)", line)]
                failures.setdefault(head.group(1), lines[-1] if lines else "")
        return failures

    def explain(self):
        used = set()
        known = known_failures(self.module)
        for name, line in self.failures.items():
            for expression, cause, _ in known:
                if re.search(expression, f"{name}: {line}"):
                    self.causes.setdefault(cause, []).append(name)
                    used.add(expression)
                    break
            else:
                self.unknown.append(f"{name} ({line})")
        self.stale = [expression for expression, _, name in known if name != "*" and expression not in used]

    def problem(self):
        """Why the module counts as failed; None: it does not."""
        if not self.run:
            return f"it ran nothing: status {self.status}, {self.last}"
        if self.unknown:
            return f"{len(self.unknown)} tests fail: {', '.join(self.unknown[:5])}"
        if self.stale:
            return f"python-known says that {self.stale[0]} fails, but it does not"
        return None

    def row(self):
        failed = len(self.failures)
        causes = "; ".join(f"{cause} ({len(names)})" for cause, names in self.causes.items())
        passed = self.run - self.skipped - failed
        return f"| {self.module} | {self.run} | {passed} | {self.skipped} | {failed} | {causes} |"


def run_module(tree, module, on_linux=False):
    command = ["python3", "-m", "test", "-v", module, *LEFT_OUT.get(module, [])]
    if on_linux:
        status, output = machine.run_on_linux(tree, command, LIMIT)
    else:
        status, output = machine.run_in_machine(tree, command, LIMIT, memory="1G")
    return Result(module, status, output)


def main():
    arguments = sys.argv[1:]
    on_linux = arguments[:1] == ["--linux"]
    arguments = arguments[on_linux:]
    if not arguments or not os.path.isdir(arguments[0]):
        sys.exit("usage: tests/debian/python_modules.py [--linux] TREE [MODULE...]")
    failed = 0
    for module in arguments[1:] or MODULES:
        result = run_module(arguments[0], module, on_linux)
        print(result.row(), flush=True)
        if on_linux:
            continue
        problem = result.problem()
        failed += problem is not None
        print(f"FAIL {module}: {problem}" if problem else f"ok {module}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
