#!/usr/bin/env python3
"""numpy's own tests of its core, as Debian ships them, in a machine and on this machine's Linux.

    tests/debian/numpy_core.py [--linux] TREE [FILE...]     FILE: "indexing" for test_indexing.py

With --linux only on Linux, to have the figures. Without: what fails in the machine must fail on Linux with
the same tree as well (some tests want a compiler, which the tree has not). Without FILE: all files of SETS.
"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import machine  # pylint: disable=wrong-import-position

FOLDER = "/usr/lib/python3/dist-packages/numpy/core/tests"
LIMIT = 2400
# Each set is one run. The files that are in none take the most time: dtype, extint128, mem_overlap,
# multiarray, nditer, numeric, scalarmath, simd, strings, ufunc, umath.
SETS = ["""_exceptions abc api argparse array_coercion array_interface arraymethod arrayprint
casting_floatingpoint_errors conversion_utils cpu_dispatcher cpu_features custom_dtypes cython deprecations
dlpack errstate function_base getlimits half hashtable indexerrors indexing item_selection limited_api
longdouble machar mem_policy memmap""".split(), """casting_unittests datetime defchararray einsum
nep50_promotions numerictypes overrides print protocols records regression scalar_ctors scalar_methods
scalarbuffer scalarinherit scalarprint shape_base simd_module umath_accuracy umath_complex unicode""".split()]


class Result:
    """What one run came to."""

    def __init__(self, output):
        self.failed = set(re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.M))
        self.last = output.strip().splitlines()[-1] if output.strip() else "no output"
        counts = re.findall(r"(\d+) (passed|skipped|xfailed|failed|errors?)\b", self.last)
        self.counts = {name: int(number) for number, name in counts}

    def finished(self):
        return bool(self.counts)


def run_files(tree, files, on_linux=False):
    command = ["sh", "-c", f"cd {FOLDER} && exec python3 -m pytest -q -p no:cacheprovider --durations=5 -rfE "
               + " ".join(f"test_{name}.py" for name in files)]
    if on_linux:
        return Result(machine.run_on_linux(tree, command, LIMIT)[1])
    return Result(machine.run_in_machine(tree, command, LIMIT, memory="2G")[1])


def problem(tree, files):
    """What differs from Linux; None: nothing does."""
    ours = run_files(tree, files)
    print(f"{' '.join(files)}: {ours.last}", flush=True)
    if not ours.finished():
        return f"it did not come to its end: {ours.last}"
    if not ours.failed:
        return None
    worse = ours.failed - run_files(tree, files, on_linux=True).failed
    return f"{len(worse)} fail that do not on Linux: {', '.join(sorted(worse)[:5])}" if worse else None


def main():
    arguments = sys.argv[1:]
    on_linux = arguments[:1] == ["--linux"]
    arguments = arguments[on_linux:]
    if not arguments or not os.path.isdir(arguments[0]):
        sys.exit("usage: tests/debian/numpy_core.py [--linux] TREE [FILE...]")
    failed = 0
    for files in [arguments[1:]] if arguments[1:] else SETS:
        if on_linux:
            print(f"{' '.join(files)}: {run_files(arguments[0], files, on_linux=True).last}", flush=True)
            continue
        why = problem(arguments[0], files)
        failed += why is not None
        print(f"FAIL numpy {files[0]}: {why}" if why else f"ok numpy {files[0]} and others", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
