/*
 * options.c: reads the options of `malv run` and checks each value on its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "message.h"
#include "options.h"

#define MIB        (1024ull * 1024)
#define MEMORY_MIN (16 * MIB)
#define MEMORY_MAX (1024ull * 1024 * MIB)
#define CPUS_MAX   64u

#define NAME_BYTES_MAX 48u
#define NAME_BYTES     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* Reads a decimal number in min..max that ends where *end then points. */
static bool number_read(const char *text, uint64_t max, uint64_t *out, const char **end)
{
    char *stop;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &stop, 10);
    if (errno || value > max)
        return false;
    *out = value;
    *end = stop;
    return true;
}

static bool parse_cpus(const char *text, struct run_options *out)
{
    uint64_t value;
    const char *end;
    if (!number_read(text, CPUS_MAX, &value, &end) || *end || !value) {
        message("--cpus takes 1 to %u, not \"%s\"", CPUS_MAX, text);
        return false;
    }
    out->cpus = (unsigned)value;
    return true;
}

static bool parse_memory(const char *text, struct run_options *out)
{
    uint64_t value;
    const char *end;
    uint64_t unit = 0;
    if (number_read(text, MEMORY_MAX, &value, &end)) {
        if (!strcmp(end, "M") || !strcmp(end, "m") || !*end)
            unit = MIB;
        else if (!strcmp(end, "G") || !strcmp(end, "g"))
            unit = 1024 * MIB;
    }
    if (!unit || value > MEMORY_MAX / unit || value * unit < MEMORY_MIN) {
        message("--memory takes a size of at least 16M, as in 512M or 2G, not \"%s\"", text);
        return false;
    }
    out->memory = value * unit;
    return true;
}

static bool parse_timeout(const char *text, struct run_options *out)
{
    uint64_t value;
    const char *end;
    if (!number_read(text, 1000000, &value, &end) || *end || !value) {
        message("--timeout takes a number of seconds from 1, not \"%s\"", text);
        return false;
    }
    out->timeout = (unsigned)value;
    return true;
}

static bool parse_machine(const char *text, struct run_options *out)
{
    if (strcmp(text, "microvm") && strcmp(text, "q35")) {
        message("--machine \"%s\" is not known; there are: microvm, q35", text);
        return false;
    }
    out->machine = text;
    return true;
}

static bool parse_accel(const char *text, struct run_options *out)
{
    if (strcmp(text, "auto") && strcmp(text, "kvm") && strcmp(text, "tcg")) {
        message("--accel takes auto, kvm or tcg, not \"%s\"", text);
        return false;
    }
    out->accel = text;
    return true;
}

/* It becomes a word of the kernel's options. */
static bool parse_kernel_test(const char *text, struct run_options *out)
{
    if (text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_/")]) {
        message("--kernel-test takes SUITE, SUITE/CASE or all, not \"%s\"", text);
        return false;
    }
    out->kernel_test = text;
    return true;
}

static bool parse_gdb(const char *text, struct run_options *out)
{
    uint64_t port = 0;
    const char *end = "";
    bool path = strchr(text, '/') && !strchr(text, ',');
    if (!path && (!number_read(text, 65535, &port, &end) || *end || !port)) {
        message("--gdb takes a TCP port or a socket's path with a / and no comma, not \"%s\"",
                text);
        return false;
    }
    out->gdb = text;
    return true;
}

static bool parse_gpu(const char *text, struct run_options *out)
{
    out->gpu = text;
    return true;
}

static bool parse_root(const char *text, struct run_options *out)
{
    struct stat status;
    char *path = realpath(text, NULL); /* lives as long as malv */
    if (!path || stat(path, &status)) {
        message("--root %s: %s", text, strerror(errno));
        return false;
    }
    if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
        message("--root takes a folder or an image that holds a Linux system; %s is neither", text);
        return false;
    }
    out->root = path;
    out->root_is_image = S_ISREG(status.st_mode);
    return true;
}

static bool parse_bind(const char *text, struct run_options *out)
{
    if (out->bind_count == BIND_MAX) {
        message("--bind can be given %u times at most", BIND_MAX);
        return false;
    }
    return bind_parse(text, &out->binds[out->bind_count++]);
}

/* It becomes a file's name, and must not look like a process's number. */
static bool parse_name(const char *text, struct run_options *out)
{
    size_t length = strlen(text);
    if (length == 0 || length > NAME_BYTES_MAX || *text == '-' || *text == '.' ||
        text[strspn(text, NAME_BYTES)] || !text[strspn(text, "0123456789")]) {
        message("--name takes letters, digits and ._- and is no number, at most %u bytes, not \"%s\"",
                NAME_BYTES_MAX, text);
        return false;
    }
    out->name = text;
    return true;
}

static bool parse_workdir(const char *text, struct run_options *out)
{
    if (*text != '/') {
        message("--workdir takes an absolute path in the machine, not \"%s\"", text);
        return false;
    }
    out->workdir = text;
    return true;
}

static bool parse_env(const char *text, struct run_options *out)
{
    unsigned count = 0;
    if (!strchr(text, '=') || *text == '=') {
        message("--env takes NAME=VALUE, not \"%s\"", text);
        return false;
    }
    while (out->env[count])
        count++;
    if (count == ENV_MAX) {
        message("--env can be given %u times at most", ENV_MAX);
        return false;
    }
    out->env[count] = text;
    return true;
}

static bool parse_kernel(const char *text, struct run_options *out)
{
    out->kernel = text;
    return true;
}

static bool parse_initrd(const char *text, struct run_options *out)
{
    out->initrd = text;
    return true;
}

static bool parse_append(const char *text, struct run_options *out)
{
    out->append = text;
    return true;
}

static const struct {
    const char *name;
    bool (*parse)(const char *text, struct run_options *out);
} valued_options[] = {
    {"--cpus", parse_cpus},
    {"--memory", parse_memory},
    {"--gpu", parse_gpu},
    {"--kernel", parse_kernel},
    {"--initrd", parse_initrd},
    {"--append", parse_append},
    {"--machine", parse_machine},
    {"--timeout", parse_timeout},
    {"--gdb", parse_gdb},
    {"--accel", parse_accel},
    {"--kernel-test", parse_kernel_test},
    {"--root", parse_root},
    {"--bind", parse_bind},
    {"--workdir", parse_workdir},
    {"--name", parse_name},
    {"--env", parse_env},
};

/*
 * Takes one option with a value, "--name value" or "--name=value". Returns how many words it took,
 * 0 when the name is not one of these, -1 when a line said what is wrong.
 */
static int valued_option_take(char **words, struct run_options *out)
{
    for (size_t i = 0; i < sizeof(valued_options) / sizeof(valued_options[0]); i++) {
        size_t length = strlen(valued_options[i].name);
        if (strncmp(words[0], valued_options[i].name, length))
            continue;
        bool here = words[0][length] == '=';
        const char *value = here ? words[0] + length + 1 : words[1];
        if (words[0][length] && !here)
            continue;
        if (!value || !*value) {
            message("%s needs a value; see malv --help", valued_options[i].name);
            return -1;
        }
        if (!valued_options[i].parse(value, out))
            return -1;
        return here ? 1 : 2;
    }
    return 0;
}

static bool flag_take(const char *word, struct run_options *out)
{
    if (!strcmp(word, "--verbose"))
        out->verbose = true;
    else if (!strcmp(word, "--read-only"))
        out->read_only = true;
    else if (!strcmp(word, "--icount"))
        out->icount = true;
    else if (!strcmp(word, "--tty"))
        out->tty = true;
    else if (!strcmp(word, "--stats"))
        out->stats = true;
    else if (!strncmp(word, "--stats=", 8) && word[8])
        out->stats_path = word + 8;
    else
        return false;
    return true;
}

/* What is to be run: the words of a command, or a kernel test. */
static bool command_take(char **words, struct run_options *out)
{
    static char test[] = "kernel-test";
    static char *test_command[] = {test, NULL};
    if (!out->kernel_test && !*words)
        message("no command: malv run [OPTIONS] -- COMMAND [ARGUMENTS]");
    if (out->kernel_test && *words)
        message("--kernel-test runs no command; leave out \"%s\"", *words);
    out->command = out->kernel_test ? test_command : words;
    return !out->kernel_test == !!*words;
}

/* What options mean only together. */
static bool options_agree(const struct run_options *options)
{
    if (options->read_only && !options->root) {
        message("--read-only is said of a root: give --root, too");
        return false;
    }
    if (options->icount && !strcmp(options->accel, "kvm")) {
        message("--icount needs QEMU's own processor: leave out --accel kvm");
        return false;
    }
    if (options->tty && options->kernel_test) {
        message("--tty gives a command a terminal; leave it out with --kernel-test");
        return false;
    }
    if (options->icount && (options->cpus != 1 || strcmp(options->gpu, "off"))) {
        message("--icount counts the instructions of one CPU alone: give --cpus 1 and --gpu off");
        return false;
    }
    return true;
}

enum options_result options_parse(char **words, struct run_options *out)
{
    *out = (struct run_options){
        .cpus = 1,
        .memory = 512 * MIB,
        .gpu = "auto",
        .machine = "microvm",
        .accel = "auto",
    };
    while (*words && (*words)[0] == '-') {
        if (!strcmp(*words, "--")) {
            words++;
            break;
        }
        if (!strcmp(*words, "--help"))
            return OPTIONS_HELP;
        if (flag_take(*words, out)) {
            words++;
            continue;
        }
        int taken = valued_option_take(words, out);
        if (taken < 0)
            return OPTIONS_BAD;
        if (!taken) {
            message("there is no option %s; see malv --help", *words);
            return OPTIONS_BAD;
        }
        words += taken;
    }
    return command_take(words, out) && options_agree(out) ? OPTIONS_RUN : OPTIONS_BAD;
}
