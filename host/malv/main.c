/*
 * main.c: malv, the launcher of MaLV-OS machines. docs/malv.md is its manual.
 */
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "options.h"
#include "policy.h"
#include "run.h"

#define MALV_VERSION "0.1.0"

static const char usage[] =
    "usage: malv run [OPTIONS] [--] COMMAND [ARGUMENTS]   run a command in a machine of its own\n"
    "       malv run [OPTIONS] --kernel-test NAME         run tests of the kernel\n"
    "       malv policy [--machine NAME|PID] VERB ...     see and choose policies of a machine\n"
    "       malv ps                                       list the machines that run\n"
    "       malv version                                  print the version\n"
    "       malv --help                                   print this\n"
    "\n"
    "options of run:\n"
    "  --cpus N            virtual CPUs (1)\n"
    "  --memory SIZE       memory, as in 512M or 2G (512M)\n"
    "  --gpu WHICH         auto: the gpud that GPUD_SOCKET names or that runs already, else the best\n"
    "                      device of the host; off: none; or a device of gpud's list (auto)\n"
    "  --timeout SECONDS   end the machine after that time, with status 124\n"
    "  --icount            for measuring: an instruction takes a nanosecond of the machine's time\n"
    "  --stats             print moments and figures of the machine at the end\n"
    "  --stats=FILE        write them as JSON to FILE\n"
    "  --verbose           show the machine's console, its kernel's log\n"
    "  --kernel FILE       another kernel (build/microlake.elf)\n"
    "  --initrd FILE       another boot archive (build/boot.cpio)\n"
    "  --root DIR|IMAGE    a folder or an EROFS image with a Linux system becomes the machine's "
    "root\n"
    "  --bind HOST:GUEST[:ro]  a folder or file of the host is one of the machine; may be repeated\n"
    "  --read-only         programs may change nothing of the root\n"
    "  --env NAME=VALUE    a variable of the command's environment; may be repeated\n"
    "  --name NAME         what malv policy calls the machine\n"
    "  --workdir DIR       the folder in the machine in which the command starts\n"
    "  --tty               the command runs on this terminal\n"
    "  --append OPTIONS    more options for the machine's kernel\n"
    "  --gdb PORT|PATH     let gdb connect to the machine there\n"
    "  --machine TYPE      microvm or q35, a PC with PCI (microvm)\n"
    "  --accel WHICH       auto: KVM where it works; kvm; or tcg, QEMU's own processor (auto)\n"
    "  --kernel-test NAME  run a suite, SUITE/CASE or all of the kernel's own tests, no command\n"
    "\n"
    "policy has the verbs of mlctl, which runs in the machine: list, load, unload, set, shadow, guard,\n"
    "pilot, stats, watch, profile; a path given to load is a file of the host.\n"
    "  --machine NAME|PID  which one, where there are several\n"
    "\n"
    "The exit status is the command's; 125: malv or the machine failed, 126: the command can't be\n"
    "run, 127: there is no such command, 124: --timeout, 128+N: malv was ended by signal N.\n";

int main(int argc, char **argv)
{
    struct run_options options;
    const char *verb = argc > 1 ? argv[1] : "";
    if (!strcmp(verb, "--help") || !strcmp(verb, "-h") || !strcmp(verb, "help")) {
        fputs(usage, stdout);
        return 0;
    }
    if (!strcmp(verb, "version") || !strcmp(verb, "--version")) {
        puts("malv " MALV_VERSION);
        return 0;
    }
    if (!strcmp(verb, "policy"))
        return policy_main(argv + 2);
    if (!strcmp(verb, "ps"))
        return policy_machines(argv + 2);
    if (strcmp(verb, "run")) {
        if (*verb)
            message("there is no \"malv %s\"; see malv --help", verb);
        else
            fputs(usage, stderr);
        return MALV_FAILED;
    }
    switch (options_parse(argv + 2, &options)) {
    case OPTIONS_RUN:
        return machine_run(&options);
    case OPTIONS_HELP:
        fputs(usage, stdout);
        return 0;
    default:
        return MALV_FAILED;
    }
}
