/*
 * main.c: gpud, the host's side of the GPU of MaLV-OS machines: takes vhost-user connections and
 * gives each machine a virtio-gpgpu device (docs/virtio-gpgpu.md) on this host's real one.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "broker.h"
#include "cache.h"
#include "log.h"
#include "user.h"

#define LIST_ROOM 64u

static const char usage[] =
    "usage: gpud --socket PATH [--device NAME|INDEX|auto] [--cache FOLDER] [--ready-fd FD]\n"
    "            [--time-limit SECONDS] [--memory SIZE] [--counts]\n"
    "       gpud --list\n"
    "\n"
    "Serves MaLV-OS machines a GPU over vhost-user until SIGTERM or SIGINT.\n"
    "  --socket PATH    where machines connect\n"
    "  --device WHICH   an index of --list, part of a name, or auto (the default), of OpenCL's\n"
    "                   devices; cuda, or cuda: and one of these, of CUDA's\n"
    "  --cache FOLDER   keep built kernels there, for all machines: only where they trust each "
    "other\n"
    "  --ready-fd FD    writes the line \"ready\" to FD once machines can connect, and closes it\n"
    "  --time-limit S   work or a build that takes longer is ended, with all contexts of its\n"
    "                   machine; 0: none.\n"
    "                   The default is GPUD_TIME_LIMIT of the environment, or 60\n"
    "  --memory SIZE    what each machine may use of the device's memory, as in 512M or 2G; all of it\n"
    "                   when it is not given here or as GPUD_MEMORY of the environment\n"
    "  --counts         logs at a machine's end what it owned and what was held for it; so does\n"
    "                   GPUD_COUNTS in the environment\n"
    "  --list           shows the devices of this host\n";

struct options {
    struct broker_settings broker;
    uint64_t memory; /* bytes; 0: all that the device has */
    bool list;
};

static int devices_show(const struct device_ops *ops)
{
    static const char *const types[] = {"?", "cpu", "gpu", "accelerator"};
    static struct device_info infos[LIST_ROOM];
    char why[DEVICE_WHY_BYTES];
    unsigned count;
    if (ops->list(infos, LIST_ROOM, &count, why)) {
        log_line("%s", why);
        return 1;
    }
    for (unsigned i = 0; i < count; i++)
        printf("%u  %s  (%s, %u units, %llu MiB, %s %s)\n", i, infos[i].name, types[infos[i].type],
               infos[i].compute_units, (unsigned long long)(infos[i].global_memory >> 20),
               infos[i].backend, infos[i].backend_version);
    return 0;
}

static int number_parse(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    return *text && !*end && value >= 0 && value < 1 << 20 ? (int)value : -1;
}

static int time_limit_set(struct broker_settings *settings, const char *text)
{
    int seconds = number_parse(text);
    if (seconds < 0) {
        log_line("the time limit is a number of seconds, 0 for none: not \"%s\"", text);
        return -1;
    }
    settings->time_limit = (unsigned)seconds;
    return 0;
}

static int memory_set(struct options *options, const char *text)
{
    static const char units[] = "KMG";
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (!isdigit((unsigned char)text[0]) || (*end && (!unit || end[1])) || !value || value >> (63 - shift)) {
        log_line("memory is a size, as in 512M or 2G: not \"%s\"", text);
        return -1;
    }
    options->memory = (uint64_t)value << shift;
    return 0;
}

static void memory_limit(struct device_info *info, uint64_t most)
{
    if (most && info->global_memory > most)
        info->global_memory = most;
    if (info->max_buffer > info->global_memory)
        info->max_buffer = info->global_memory;
}

/* 0; -1 after a line in the log; 1 when all is said. */
static int options_parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"socket", required_argument, NULL, 's'},
        {"device", required_argument, NULL, 'd'},
        {"cache", required_argument, NULL, 'c'},
        {"ready-fd", required_argument, NULL, 'r'},
        {"time-limit", required_argument, NULL, 't'},
        {"memory", required_argument, NULL, 'm'},
        {"counts", no_argument, NULL, 'n'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 's':
            options->broker.socket = optarg;
            break;
        case 'd':
            if (!*optarg) { /* which is a part of every name */
                log_line("--device wants a name or an index of --list");
                return -1;
            }
            options->broker.selector = optarg;
            break;
        case 'c':
            options->broker.cache = optarg;
            break;
        case 'r':
            options->broker.ready_fd = number_parse(optarg);
            if (options->broker.ready_fd < 0) {
                log_line("--ready-fd wants the number of a file descriptor");
                return -1;
            }
            break;
        case 't':
            if (time_limit_set(&options->broker, optarg))
                return -1;
            break;
        case 'm':
            if (memory_set(options, optarg))
                return -1;
            break;
        case 'n':
            options->broker.counts = true;
            break;
        case 'l':
            options->list = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 1;
        default:
            return -1; /* getopt has said why */
        }
    }
    if (optind < argc) {
        log_line("unknown argument \"%s\": see gpud --help", argv[optind]);
        return -1;
    }
    if (!options->list && !options->broker.socket) {
        log_line("where do machines connect? give --socket PATH, or see gpud --help");
        return -1;
    }
    return 0;
}

static bool folder_is_empty(const char *folder)
{
    struct dirent *entry;
    bool empty = true;
    DIR *all = opendir(folder);
    while (all && (entry = readdir(all)) != NULL)
        empty &= !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
    if (all)
        closedir(all);
    return all && empty;
}

/* Machines' processes are not root's: nor may the folder be that they share. */
static int cache_prepare(const char *folder)
{
    struct stat found;
    if ((mkdir(folder, 0700) < 0 && errno != EEXIST) || stat(folder, &found) < 0) {
        log_line("cannot make --cache %s: %s", folder, strerror(errno));
        return -1;
    }
    if (found.st_uid || !user_of_sharers())
        return 0;
    if (!folder_is_empty(folder)) {
        log_line("--cache %s is root's, with what is in it: remove it, or give all of it to a user of its own", folder);
        return -1;
    }
    if (chown(folder, user_of_sharers(), user_of_sharers()) == 0)
        return 0;
    log_line("cannot give --cache %s to another user: %s", folder, strerror(errno));
    return -1;
}

/* What gpud was started with beside its own is its user's: no process of a machine's may have it. */
static void descriptors_close(int but)
{
    if (but > STDERR_FILENO) {
        close_range(STDERR_FILENO + 1, (unsigned)but - 1, 0);
        close_range((unsigned)but + 1, ~0u, 0);
    } else {
        close_range(STDERR_FILENO + 1, ~0u, 0);
    }
}

/* Lists the devices, or finds the one. PoCL wants a folder for that, and who runs gpud may have no home. 0, or -1
 * after a line in the log. */
static int device_ask(const struct options *options, struct device_info *info)
{
    const struct broker_settings *broker = &options->broker;
    struct cache_folder folder;
    char why[DEVICE_WHY_BYTES];
    int error;
    if (cache_folder_make(&folder, geteuid()) == 0)
        setenv("POCL_CACHE_DIR", folder.path, 1);
    if (options->list)
        error = devices_show(broker->ops);
    else if ((error = broker_probe(broker->ops, broker->selector, info, why)) != 0)
        log_line("%s", why);
    cache_folder_remove(&folder);
    return error;
}

int main(int argc, char **argv)
{
    struct options options = {.broker = {.selector = "auto", .ready_fd = -1, .time_limit = 60}};
    struct device_info info;
    const char *limit = getenv("GPUD_TIME_LIMIT");
    if (limit && time_limit_set(&options.broker, limit))
        return 2;
    const char *memory = getenv("GPUD_MEMORY");
    if (memory && memory_set(&options, memory))
        return 2;
    options.broker.counts = getenv("GPUD_COUNTS") != NULL;
    int parsed = options_parse(argc, argv, &options);
    if (parsed)
        return parsed < 0 ? 2 : 0;
    descriptors_close(options.broker.ready_fd);
    options.broker.ops = device_ops_select(&options.broker.selector);
    if (options.broker.cache && cache_prepare(options.broker.cache))
        return 1;
    if (device_ask(&options, &info))
        return 1;
    if (options.list)
        return 0;
    if (!user_of_sharers())
        log_line("machines' processes are root's: this root may not become another user, or is not to");
    memory_limit(&info, options.memory);
    return broker_run(&options.broker, &info);
}
