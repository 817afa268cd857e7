"""What the benchmarks share: machines with their figures, programs with theirs, and rows."""
import json
import os
import statistics
import subprocess
import sys
import tempfile

MALV = "build/host/malv"


class CannotMeasure(Exception):
    """Something that a row needs is missing or failed; the text says what to do."""


def progress(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run_machine(command, options=(), timeout=60, any_status=False):
    """Runs a machine without a GPU unless options say so; returns (stdout, malv's figures)."""
    handle, path = tempfile.mkstemp(prefix="malv-bench-")
    os.close(handle)
    words = [MALV, "run", "--gpu", "off", "--timeout", str(timeout), f"--stats={path}", *options,
             "--", *command]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout + 30, check=False)
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


def make_row(name, values, unit, baseline_name=None, baselines=None, at_most=None):
    """A row from single values; at_most is the goal for the ratio."""
    value = statistics.median(values)
    baseline = statistics.median(baselines) if baselines else None
    ratio = value / baseline if baseline else None
    return {
        "row": name, "value": round(value, 3), "unit": unit,
        "baseline_name": baseline_name, "baseline": round(baseline, 3) if baseline else None,
        "ratio": round(ratio, 4) if ratio else None,
        "goal": f"ratio <= {at_most}" if at_most else None,
        "holds": ratio <= at_most if at_most and ratio else None,
        "runs": len(values),
    }
