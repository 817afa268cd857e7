#!/usr/bin/env python3
"""malv run --tty from the outside: this script is the person at the terminal, a pty, and this
system's bash, in a small root folder, is the command.

# timeout: 1800
"""
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

MALV = os.environ.get("MALV", "build/host/malv")
PROGRAMS = ["bash", "sh", "cat", "sleep", "stty", "tty", "script", "rm"]
PATIENCE = 300
# A job that tells when its group comes to the front of the terminal, or no longer is there. It starts no
# program for that: a shell that waits for vfork() can't be stopped, and its child may be, before its exec.
FOLLOWER = """#!/bin/bash
exec 3<> <(:)
place=
while :; do
    read -r _ _ _ _ group _ _ front _ </proc/self/stat
    if [ "$group" = "$front" ]; then now=front; else now=behind; fi
    [ "$now" = "$place" ] || echo "in $now"
    place=$now
    read -rt 0.1 -u 3
done
"""
failed = 0


class Wrong(Exception):
    """What a case found."""


def make_tree(folder):
    """A root folder with this system's programs and the libraries that they need."""
    os.makedirs(folder + "/bin")
    for name in PROGRAMS:
        source = shutil.which(name, path="/usr/bin:/bin")
        if not source:
            raise Wrong(f"this system has no {name}")
        shutil.copy(source, folder + "/bin/" + name)
        listed = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"/\S+", listed):
            os.makedirs(folder + os.path.dirname(library), exist_ok=True)
            shutil.copy(library, folder + library)
    with open(folder + "/bin/follower", "w", encoding="utf-8") as script:
        script.write(FOLLOWER)
        os.fchmod(script.fileno(), 0o755)


def size_set(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Person:
    """malv on a terminal of its own, and who sits before it."""

    def __init__(self, root, command, term="vt220"):
        self.master, self.slave = pty.openpty()
        size_set(self.master, 33, 101)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.malv = subprocess.Popen(
            [MALV, "run", "--gpu", "off", "--root", root, "--timeout", "280", "--env", "PS1=% ", "--tty", "--"]
            + command,
            stdin=self.slave, stdout=self.slave, stderr=self.slave, env={**os.environ, "TERM": term},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.malv.poll() is None:
            self.malv.terminate()
            self.malv.wait()
        os.close(self.master)
        os.close(self.slave)

    def read(self, seconds):
        """Takes what comes within that time. False: nothing."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        self.seen += os.read(self.master, 4096)
        return True

    def sees(self, pattern):
        """Waits for a text, and forgets what came before its end."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            if time.monotonic() > end:
                raise Wrong(f"no {pattern} in {self.seen[-300:]}")
            self.read(1)
        self.seen = self.seen[found.end():]

    def types(self, text):
        os.write(self.master, text)

    def asks(self, command, *answers):
        """Types a command, sees the answers and then the prompt."""
        self.types(command + b"\r")
        for answer in answers:
            self.sees(answer)
        self.sees(b"% ")

    def status(self):
        """malv's exit status, once it has ended."""
        end = time.monotonic() + PATIENCE
        while self.malv.poll() is None:
            if time.monotonic() > end:
                raise Wrong("malv does not end")
            self.read(0.1)
        while self.read(0):
            pass
        return self.malv.returncode

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def gets_raw(self):
        end = time.monotonic() + PATIENCE
        while not self.is_raw():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def was_restored(self):
        """Where malv is killed the guard does it, a moment later."""
        end = time.monotonic() + PATIENCE
        while termios.tcgetattr(self.slave) != self.before:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def stands_still(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with open(f"/proc/{self.malv.pid}/stat", encoding="utf-8", errors="replace") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "T":
                    return True
            time.sleep(0.05)
        return False

    def ends(self, status):
        got = self.status()
        if got != status:
            raise Wrong(f"status {got}, not {status}; it said {self.seen[-300:]}")
        if not self.was_restored():
            raise Wrong("the terminal is not as it was")


def need(condition, what):
    if not condition:
        raise Wrong(what)


SHELL = ["bash", "--norc", "--noediting", "-i"]


def case_terminal(root):
    with Person(root, SHELL) as person:
        person.sees(b"% ")
        need(person.is_raw(), "the host's terminal is not raw")
        person.asks(b"tty; stty size; echo kind=$TERM", b"/dev/console", b"33 101", b"kind=vt220")
        person.asks(b"stty -a", rb"(?s)intr = \^C;.*icanon iexten echo echoe echok")
        person.types(b"echo out >/dev/tty; cat </dev/tty\r")
        person.sees(b"\nout\r\n")
        person.types(b"typed\r")
        person.sees(b"typed\r\ntyped\r\n")
        person.types(b"\x04")
        person.sees(b"% ")
        person.types(b"exit 7\r")
        person.ends(7)


def case_job_control(root):
    with Person(root, SHELL) as person:
        person.sees(b"% ")
        person.types(b"follower\r")
        person.sees(b"in front")
        person.types(b"\x1a")
        person.sees(b"Stopped +follower")
        person.asks(b"jobs", b"Stopped +follower")
        person.types(b"bg; jobs\r")
        person.sees(b"(?s)(Running +follower.*in behind|in behind.*Running +follower)")
        person.types(b"fg\r")
        person.sees(b"in front")
        person.types(b"\x03")
        person.sees(b"% ")
        person.asks(b"echo status=$?", b"status=130")
        person.asks(b"cat & wait %1; jobs", rb"Stopped +(\(tty input\) +)?cat")
        person.asks(b"kill %1; fg", b"Terminated")
        person.types(b"exit 0\r")
        person.ends(0)


def case_size(root):
    with Person(root, ["bash", "-c", "trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.1; done"]) \
            as person:
        person.sees(b"ready")
        size_set(person.master, 40, 120)
        person.sees(b"40 120")
        person.ends(5)


def case_keys_without_a_shell(root):
    with Person(root, ["sh", "-c", "echo ready; exec sleep 1000"]) as person:
        person.sees(b"ready")
        person.types(b"\x1a")  # nobody could continue it: nothing happens
        person.sees(rb"\^Z")
        person.types(b"\x1c")
        person.ends(131)


def case_much_output(root):
    script = "for ((i = 0; i < 2000; i++)); do echo line $i; done; exit 3"
    with Person(root, ["bash", "-c", script]) as person:
        person.ends(3)
        lines = person.seen.replace(b"\r", b"").split(b"\n")
        need(lines == [b"line %d" % i for i in range(2000)] + [b""], "lines are missing or mixed")


def case_pty_inside(root):
    with Person(root, SHELL) as person:
        person.sees(b"% ")
        person.asks(b"script -qc 'tty; stty size; exit 4' -e /tmp/log; echo status=$?",
                    b"/dev/pts/0", b"33 101", b"status=4")
        person.types(b"exit\r")
        person.ends(0)


def case_standard_streams(root):
    """Without --tty nothing is a terminal, and the two outputs are two."""
    command = "tty; tty <&1; tty <&2; echo error >&2; : </dev/tty"
    done = subprocess.run([MALV, "run", "--gpu", "off", "--root", root, "--timeout", "280", "--", "bash", "-c", command],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    need(done.stdout == b"not a tty\n" * 3, f"standard output: {done.stdout}")
    need(re.fullmatch(rb"error\nbash: .*/dev/tty: No such device or address\n", done.stderr),
         f"standard error: {done.stderr}")


def qemu_of(person):
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
            with open(f"/proc/{name}/cmdline", "rb") as line:
                is_qemu = b"microvm" in line.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == person.malv.pid and is_qemu:
            return int(name)
    raise Wrong("malv has no QEMU")


def ended_by(root, number, status, victim):
    with Person(root, SHELL) as person:
        person.sees(b"% ")
        os.kill(victim(person), number)
        person.ends(status)
        return person.seen


def malv_of(person):
    return person.malv.pid


def case_ended_by_sigterm(root):
    ended_by(root, signal.SIGTERM, 143, malv_of)


def case_ended_by_sigquit(root):
    ended_by(root, signal.SIGQUIT, 131, malv_of)


def case_killed(root):
    ended_by(root, signal.SIGKILL, -9, malv_of)


def case_qemu_killed(root):
    said = ended_by(root, signal.SIGKILL, 125, qemu_of)
    need(b"malv: QEMU was killed by signal 9" in said, f"it said {said}")


def case_stopped_and_continued(root):
    with Person(root, SHELL) as person:
        person.sees(b"% ")
        os.kill(person.malv.pid, signal.SIGTSTP)
        need(person.stands_still(), "malv does not stop")
        need(person.was_restored(), "the terminal is raw while malv stands still")
        os.kill(person.malv.pid, signal.SIGCONT)
        need(person.gets_raw(), "the terminal is not raw again")
        person.asks(b"echo on''ward", b"onward")
        person.types(b"exit\r")
        person.ends(0)


def main():
    global failed
    with tempfile.TemporaryDirectory() as root:
        make_tree(root)
        for name, case in [(n[5:], c) for n, c in globals().items() if n.startswith("case_")]:
            try:
                case(root)
                print("ok " + name, flush=True)
            except (Wrong, OSError) as why:
                print(f"FAIL {name}: {why}", flush=True)
                failed += 1
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
