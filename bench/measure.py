"""What the benchmarks share: machines with their figures, programs with theirs, and rows."""
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

MALV = "build/host/malv"
TEST_ARCHIVE = "build/boot-test.cpio"


class CannotMeasure(Exception):
    """Something that a row needs is missing or failed; the text says what to do."""


def progress(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def need_files(*paths):
    for path in paths:
        if not os.path.exists(path):
            raise CannotMeasure(f"{path} is missing; `make bench` makes it")


def go_first():
    """Puts the calling thread, and what it starts, before the computer's other work, where it may.

    For what is short and timed: value and baseline alike, or neither.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        pass


native_found = {}  # rows that programs without a machine have printed in this run, by program


def printed_rows(command, environment=None):
    """The rows that a program of build/bench prints, by name. It runs before the computer's other work where that
    is permitted; `environment` is added to this process's."""
    need_files(command[0])
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=300, check=False, preexec_fn=go_first, env=os.environ | (environment or {}))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(f"{command[0]}: {error}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise CannotMeasure(f"{command[0]} ended with status {done.returncode}: {said}")
    rows = [json.loads(line) for line in done.stdout.decode("utf-8", "replace").splitlines()]
    return {row["row"]: row for row in rows}


def native_rows(program, what):
    """The rows of a program that measures gpud without a machine, beside the host's own library. It runs once."""
    if program not in native_found:
        progress(f"{what}, native")
        native_found[program] = printed_rows([program])
    return native_found[program]


def native_row(program, what, name):
    rows = native_rows(program, what)
    if name not in rows:
        raise CannotMeasure(f"{program} printed no {name}")
    return rows[name]


def goal_row(row, factor, extra=0):
    """A row whose goal is at most factor times its baseline, and `extra` of its unit more."""
    goal = f"<= {factor} x" + (f" + {extra} {row['unit']}" if extra else "")
    return round_row(row | {"goal": goal, "holds": row["value"] <= factor * row["baseline"] + extra})


def beside_row(name, values, native):
    """A row of a machine's microseconds beside the same work of the native front end."""
    return make_row(name, values, "us", "native front end", [native["value"]])


@contextlib.contextmanager
def going_first():
    """The same for a while: who stamps a moment must not wait behind the computer's other work."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    go_first()
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def run_machine(command, options=(), timeout=60, any_status=False, first=False):
    """Runs a machine without a GPU unless options say so; returns (stdout, malv's figures).

    first: before the computer's other work, where that is permitted.
    """
    handle, path = tempfile.mkstemp(prefix="malv-bench-")
    os.close(handle)
    words = [MALV, "run", "--gpu", "off", "--timeout", str(timeout), f"--stats={path}", *options,
             "--", *command]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout + 30, check=False,
                              preexec_fn=go_first if first else None)
        if done.returncode and not any_status:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise CannotMeasure(f"{' '.join(words[:2])} -- {' '.join(command)} ended with status "
                                f"{done.returncode}: {said[-1] if said else 'no message'}")
        with open(path, encoding="utf-8") as file:
            return done.stdout.decode("utf-8", "replace"), json.load(file)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(f"the machine could not be measured: {error}") from error
    finally:
        os.unlink(path)


def run_console(pattern, options, timeout=120):
    """The first match of pattern in what a machine with another system says on its console; then it
    is ended."""
    words = [MALV, "run", "--gpu", "off", "--timeout", str(timeout), "--verbose", *options, "--", "none"]
    last = "nothing"
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as machine:
        try:
            for line in machine.stderr:
                last = line.decode("utf-8", "replace").strip()
                found = re.search(pattern, last)
                if found:
                    return found
        finally:
            machine.terminate()
    raise CannotMeasure(f"another system's machine said no {pattern}, but: {last}")


def run_suite(suite, options=(), append="", **how):
    """Runs a suite of tests/kernel in a machine; returns the figures it reported, as text."""
    need_files(TEST_ARCHIVE)
    words = ["--initrd", TEST_ARCHIVE, "--append", f"modules=ktest ktest={suite} {append}".strip()]
    return run_machine(["ktest"], [*words, *options], **how)[1]["stats"]


def json_lines(text):
    """The JSON objects among the lines of a program's output, by their "name"."""
    found = {}
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                figure = json.loads(line)
                found[figure["name"]] = figure
            except (ValueError, KeyError):
                continue
    return found


def round_row(row):
    """Completes a row with its ratio, and cuts what no measurement knows."""
    value, baseline = row["value"], row["baseline"]
    return row | {
        "value": round(value, 3), "baseline": round(baseline, 3) if baseline else None,
        "ratio": round(value / baseline, 4) if baseline else None,
    }


def make_row(name, values, unit, baseline_name, baselines, at_most=None):
    """A row from single values; at_most is the goal for the ratio."""
    value, baseline = statistics.median(values), statistics.median(baselines)
    return round_row({
        "row": name, "value": value, "unit": unit, "baseline_name": baseline_name,
        "baseline": baseline, "goal": f"<= {at_most} x" if at_most else None,
        "holds": value <= at_most * baseline if at_most else None, "runs": len(values),
    })


def figure_row(name, values, unit, limit=None, below=None, baseline_name=None, baseline=None):
    """A row whose goal, if any, is for the value itself: at most `limit`, or less than `below`."""
    value = statistics.median(values)
    goal, holds = None, None
    if limit is not None:
        goal, holds = f"<= {limit}", value <= limit
    elif below is not None:
        goal, holds = f"< {below}", value < below
    return round_row({
        "row": name, "value": value, "unit": unit, "baseline_name": baseline_name,
        "baseline": baseline, "goal": goal, "holds": holds, "runs": len(values),
    })
