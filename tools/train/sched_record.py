#!/usr/bin/python3
"""Records threads for sched_burst.py: their bursts on the CPU and their sleeps, from a machine's tracepoints.

usage: sched_record.py OUTPUT PATTERN [SEED]

Runs bench_sched's server with a pattern of arrivals beside its training, on one CPU whose instructions are
counted, under sched_fair, with the tracepoints thread_wake and thread_switch on. A line of OUTPUT is a thread:
{"name", "bursts", "sleeps"} in ns; sleeps[i] comes before bursts[i].
"""
import collections
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECONDS = 4
BLOCKED = 3  # enum thread_state
SCRIPT = """
echo 'thread_wake thread_switch' > /sys/kernel/malv/trace
/programs/bench_sched server {pattern} --seed={seed} --seconds={seconds} &
while {busybox} kill -0 $! 2> /dev/null; do
    {busybox} cat /sys/kernel/malv/trace
    {busybox} usleep 20000
done
"""
BUSYBOX = "/busybox/busybox"
EVENT = re.compile(r"(\d+)\.(\d{9}) \d+ (thread_wake thread|thread_switch from)=(\d+) (?:cpu|to)=(\d+)(?: state=(\d+))?")


def machine(pattern, seed):
    script = SCRIPT.format(pattern=pattern, seed=seed, seconds=SECONDS, busybox=BUSYBOX)
    words = ["build/host/malv", "run", "--gpu", "off", "--icount", "--cpus", "1", "--timeout", "300",
             "--bind", "build/guest:/programs:ro", "--bind", "build/tools/busybox:/busybox:ro", "--",
             BUSYBOX, "sh", "-c", script]
    return subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          check=True).stdout


class Thread:
    def __init__(self):
        self.bursts, self.sleeps = [], []
        self.since = None    # running since
        self.ran = 0
        self.stopped = None  # asleep since
        self.slept = None    # the sleep before the burst that goes on

    def stop(self, now, blocked):
        if self.since is not None:
            self.ran += now - self.since
        self.since = None
        if not blocked:
            return
        if self.slept is not None:
            self.bursts.append(self.ran)
            self.sleeps.append(self.slept)
        self.ran, self.stopped, self.slept = 0, now, None

    def wake(self, now):
        if self.stopped is not None:
            self.slept = now - self.stopped
        self.stopped = None


def threads_of(text):
    threads = collections.defaultdict(Thread)
    for line in text.splitlines():
        if line.startswith("# lost"):
            sys.exit(f"events were {line[2:]}: the machine's rings are too small for this")
        found = EVENT.match(line)
        if not found:
            continue
        now, first = int(found[1] + found[2]), int(found[4])
        if found[3].startswith("thread_wake"):
            threads[first].wake(now)
        else:
            threads[first].stop(now, found[6] == str(BLOCKED))
            threads[int(found[5])].since = now
    return threads


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[1].startswith("-"):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    pattern, seed = sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "1"
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        for number, thread in sorted(threads_of(machine(pattern, seed)).items()):
            if len(thread.bursts) > 20:
                json.dump({"name": f"{pattern} {number}", "bursts": thread.bursts, "sleeps": thread.sleeps}, out)
                out.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
