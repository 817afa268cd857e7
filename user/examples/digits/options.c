/*
 * options.c: reads the command line.
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "message.h"

#define MAX_ROUNDS 1000000u
#define MAX_BATCH  65536u

static const char help_text[] =
    "usage: digits [OPTION...]\n"
    "Reads handwritten digits with a small convolutional net, on the GPU and on the CPU,\n"
    "and compares the two.\n"
    "\n"
    "  --model FILE      the net's weights (/share/digits/weights.mtf)\n"
    "  --data FILE       the digits to read (/share/digits/heldout.mtf)\n"
    "  --device PATH     the GPU (/dev/malv0)\n"
    "  --batch N         images handed to the GPU at once (64)\n"
    "  --rounds N        read the whole set N times (1)\n"
    "  --cpu-threads N   threads that compute on the CPU (1)\n"
    "  --midway COMMAND  run COMMAND (words, no quoting) in the middle of the work\n"
    "  --quiet           draw no digits and show no progress\n"
    "  --help            print this\n"
    "\n"
    "Exit status: 0 when at least 97 % are read right and GPU and CPU agree, 1 when not or\n"
    "when something fails, 2 for a wrong command line.\n";

enum option_key {
    KEY_MODEL = 256,
    KEY_DATA,
    KEY_DEVICE,
    KEY_BATCH,
    KEY_ROUNDS,
    KEY_CPU_THREADS,
    KEY_MIDWAY,
    KEY_QUIET,
    KEY_HELP,
};

static const struct option long_options[] = {
    {"model", required_argument, NULL, KEY_MODEL},
    {"data", required_argument, NULL, KEY_DATA},
    {"device", required_argument, NULL, KEY_DEVICE},
    {"batch", required_argument, NULL, KEY_BATCH},
    {"rounds", required_argument, NULL, KEY_ROUNDS},
    {"cpu-threads", required_argument, NULL, KEY_CPU_THREADS},
    {"midway", required_argument, NULL, KEY_MIDWAY},
    {"quiet", no_argument, NULL, KEY_QUIET},
    {"help", no_argument, NULL, KEY_HELP},
    {NULL, 0, NULL, 0},
};

static bool number_parse(const char *name, const char *text, uint32_t most, uint32_t *number)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value < 1 || value > most) {
        message_error("%s wants a number from 1 to %u, not '%s'", name, most, text);
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

static bool option_apply(struct options *options, int key, const char *value)
{
    switch (key) {
    case KEY_MODEL:
        options->model = value;
        return true;
    case KEY_DATA:
        options->data = value;
        return true;
    case KEY_DEVICE:
        options->device = value;
        return true;
    case KEY_MIDWAY:
        options->midway = value;
        return true;
    case KEY_BATCH:
        return number_parse("--batch", value, MAX_BATCH, &options->batch);
    case KEY_ROUNDS:
        return number_parse("--rounds", value, MAX_ROUNDS, &options->rounds);
    case KEY_CPU_THREADS:
        return number_parse("--cpu-threads", value, CPU_MAX_THREADS, &options->cpu_threads);
    default:
        options->quiet = true;
        return true;
    }
}

enum options_outcome options_parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){
        .model = "/share/digits/weights.mtf",
        .data = "/share/digits/heldout.mtf",
        .batch = 64,
        .rounds = 1,
        .cpu_threads = 1,
    };
    opterr = 0;
    for (;;) {
        int at = optind;
        int key = getopt_long(argc, argv, ":", long_options, NULL);
        if (key == -1) {
            break;
        }
        if (key == KEY_HELP) {
            fputs(help_text, stdout);
            return OPTIONS_HELP;
        }
        if (key == ':' || key == '?') {
            message_error(key == ':' ? "%s wants a value; see --help"
                                     : "there is no option %s; see --help",
                          argv[at]);
            return OPTIONS_WRONG;
        }
        if (!option_apply(options, key, optarg)) {
            return OPTIONS_WRONG;
        }
    }
    if (optind < argc) {
        message_error("what is '%s' for? See --help", argv[optind]);
        return OPTIONS_WRONG;
    }
    return OPTIONS_RUN;
}
