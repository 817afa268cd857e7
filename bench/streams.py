"""What the standard streams of a command carry: megabytes a second, from the first instruction of the
command to its end. The baseline is the serial port alone, as it carries the first kilobytes of every
machine.
"""
import json
import os
import statistics
import subprocess
import tempfile

from measure import MALV, CannotMeasure, progress, round_row

ROWS = ["stream_output", "stream_input"]
RUNS = 3
MEGABYTE = 1000000
FAST_BYTES = 100 * MEGABYTE
SERIAL_BYTES = 200000
SERIAL_ONLY = "hostctl.fast="


def rate(command, options, count, source):
    """Megabytes a second; `source` is what the command reads."""
    handle, path = tempfile.mkstemp(prefix="malv-bench-")
    os.close(handle)
    words = [MALV, "run", "--gpu", "off", "--root", "/", "--timeout", "100", f"--stats={path}",
             *options, "--", *command]
    try:
        done = subprocess.run(words, stdin=source, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=130, check=False)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise CannotMeasure(f"{command[0]} in a machine ended with status {done.returncode}: "
                                f"{said[-1] if said else 'no message'}")
        with open(path, encoding="utf-8") as file:
            marks = json.load(file)["marks_ms"]
        return count / MEGABYTE / ((marks["exit"] - marks["first-user"]) / 1000)
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(f"the streams could not be measured: {error}") from error
    finally:
        os.unlink(path)


def output_rate(count, options):
    return rate(["head", "-c", str(count), "/dev/zero"], options, count, subprocess.DEVNULL)


def input_rate(count, options):
    with tempfile.TemporaryFile() as source:
        source.truncate(count)
        return rate(["wc", "-c"], options, count, source)


def measure():
    rows = []
    for name, measured in zip(ROWS, (output_rate, input_rate)):
        values, baselines = [], []
        for run in range(RUNS):
            progress(f"{name}, run {run + 1} of {RUNS}")
            values.append(measured(FAST_BYTES, []))
            baselines.append(measured(SERIAL_BYTES, ["--append", SERIAL_ONLY]))
        rows.append(round_row({
            "row": name, "value": statistics.median(values), "unit": "MB/s",
            "baseline_name": "serial port", "baseline": statistics.median(baselines),
            "goal": None, "holds": None, "runs": RUNS,
        }))
    return rows
