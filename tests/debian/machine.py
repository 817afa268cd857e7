"""What the tests of Debian's programs share: running a command of a tree in a machine and on this
machine's Linux.

A tree is a folder that tools/debian-root made. Results are (status, output), output being standard
output and error together as text.
"""
import os
import shutil
import signal
import subprocess
import tempfile

MALV = os.environ.get("MALV", "build/host/malv")


def packages(name):
    """The packages of a list beside this file."""
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as lines:
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def run(command, limit):
    """Runs a command of this machine; what takes longer than limit seconds has status 124."""
    env = {name: value for name, value in os.environ.items() if name != "TMPDIR"}  # no folder of a tree
    with tempfile.TemporaryFile() as sink:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink,
                                   stderr=subprocess.STDOUT, env=env, start_new_session=True)
        try:
            status = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            status = 124
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        sink.seek(0)
        return status, sink.read().decode("utf-8", "replace")


def run_in_machine(tree, command, limit, cpus=2, memory="512M", options=()):
    """Runs a command in a machine with this tree as its root."""
    return run([MALV, "run", "--gpu", "off", "--root", tree, "--cpus", str(cpus), "--memory", memory,
                "--timeout", str(limit), *options, "--", *command], limit + 60)


# The tree's own /dev and /proc where this user may have them; a root user without the right to mount
# makes do with a null device.
ON_LINUX = """
tree=$1; shift
if mount --rbind /dev "$tree/dev" 2>/dev/null; then
    mount --rbind /proc "$tree/proc" || exit 125
elif [ ! -e "$tree/dev/null" ]; then
    mknod -m 666 "$tree/dev/null" c 1 3 || exit 125
fi
exec chroot "$tree" "$@"
"""


def run_on_linux(tree, command, limit):
    """Runs a command of the tree on this machine's Linux, the tree being its root."""
    shell = ["sh", "-c", ON_LINUX, "sh", tree, *command]
    private = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode == 0:
        shell = private + shell
    return run(shell, limit)


def copy_into(tree, folder, target):
    """Copies a folder of this repository to tree/target, fresh."""
    place = os.path.join(tree, target)
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place)
