/*
 * broker.c: see broker.h. One thread, one loop: connections, ended keepers, signals. The broker
 * holds no guest's data and parses nothing that a machine sends.
 */
#include "broker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cache.h"
#include "keeper.h"
#include "log.h"
#include "seal.h"

#define MAX_MACHINES 64u

struct machine_entry {
    pid_t keeper; /* 0: free */
    unsigned number;
};

struct broker {
    const struct broker_settings *settings;
    struct device_info info;
    int listener;
    int signals;
    unsigned count; /* machines so far */
    bool ending;
    struct machine_entry machines[MAX_MACHINES];
};

struct probe_answer {
    int failed;
    struct device_info info;
    char why[DEVICE_WHY_BYTES];
};

static _Noreturn void probe_child(int out, const struct device_ops *ops, const char *selector)
{
    static struct probe_answer answer;
    struct device *device;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    answer.failed = ops->open(selector, &device, &answer.info, answer.why) != 0;
    ssize_t put = write(out, &answer, sizeof(answer)); /* a pipe takes this much at once */
    _exit(put == (ssize_t)sizeof(answer) ? 0 : 1);
}

int broker_probe(const struct device_ops *ops, const char *selector, struct device_info *info,
                 char *why)
{
    struct probe_answer answer;
    int ends[2];
    snprintf(why, DEVICE_WHY_BYTES, "the device's driver died while it was asked: try --list");
    if (pipe(ends) < 0)
        return -1;
    pid_t child = fork();
    if (child == 0)
        probe_child(ends[1], ops, selector);
    close(ends[1]);
    ssize_t got = child > 0 ? read(ends[0], &answer, sizeof(answer)) : -1;
    close(ends[0]);
    if (child > 0)
        waitpid(child, NULL, 0);
    if (got != (ssize_t)sizeof(answer))
        return -1;
    if (answer.failed) {
        memcpy(why, answer.why, sizeof(answer.why));
        return -1;
    }
    *info = answer.info;
    return 0;
}

/* A socket file that nobody listens on is left over from a gpud that was killed. */
static void stale_socket_remove(const struct sockaddr_un *address)
{
    struct stat file;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (stat(address->sun_path, &file) == 0 && S_ISSOCK(file.st_mode) &&
        connect(probe, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
        errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(probe);
}

static int listener_open(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        log_line("the socket's path is too long: give one of at most %zu bytes",
                 sizeof(address.sun_path) - 1);
        return -1;
    }
    strcpy(address.sun_path, path);
    stale_socket_remove(&address);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);
    int bound = bind(listener, (const struct sockaddr *)&address, sizeof(address));
    int error = errno;
    umask(mask);
    if (listener < 0 || bound < 0 || listen(listener, 16) < 0) {
        log_line("cannot listen on %s: %s: give another --socket", path,
                 strerror(bound < 0 ? error : errno));
        if (listener >= 0)
            close(listener);
        return -1;
    }
    return listener;
}

static struct machine_entry *entry_find(struct broker *broker, pid_t keeper)
{
    for (unsigned i = 0; i < MAX_MACHINES; i++)
        if (broker->machines[i].keeper == keeper)
            return &broker->machines[i];
    return NULL;
}

static _Noreturn void keeper_child(struct broker *broker, struct machine_entry *entry, int socket)
{
    const struct broker_settings *settings = broker->settings;
    struct keeper_settings keeper = {
        .ops = settings->ops,
        .selector = settings->selector,
        .info = broker->info,
        .cache = settings->cache,
        .time_limit = settings->time_limit,
        .number = entry->number,
        .counts = settings->counts,
    };
    setpgid(0, 0); /* and the terminal's Ctrl-C is the broker's to act on */
    close(broker->listener);
    close(broker->signals);
    keeper_main(socket, &keeper);
}

static void machine_accept(struct broker *broker)
{
    int socket = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC);
    if (socket < 0)
        return;
    struct machine_entry *entry = entry_find(broker, 0);
    if (!entry) {
        log_line("a machine was refused: %u are served already", MAX_MACHINES);
        close(socket);
        return;
    }
    entry->number = ++broker->count;
    pid_t keeper = fork();
    if (keeper == 0)
        keeper_child(broker, entry, socket);
    close(socket);
    entry->keeper = keeper > 0 ? keeper : 0;
    if (keeper < 0)
        log_line("a machine was refused: no process: %s", strerror(errno));
}

static void keepers_reap(struct broker *broker, int flags)
{
    int status;
    pid_t keeper;
    while ((keeper = waitpid(-1, &status, flags)) > 0) {
        struct machine_entry *entry = entry_find(broker, keeper);
        if (!entry)
            continue;
        if (WIFSIGNALED(status))
            log_line("machine %u: its keeper was ended by signal %d: the machine loses its device",
                     entry->number, WTERMSIG(status));
        entry->keeper = 0;
    }
}

/* Returns whether the broker was asked to end. */
static bool signal_handle(struct broker *broker)
{
    struct signalfd_siginfo signal;
    if (read(broker->signals, &signal, sizeof(signal)) != (ssize_t)sizeof(signal))
        return false;
    if (signal.ssi_signo != SIGCHLD)
        return true;
    keepers_reap(broker, WNOHANG);
    return false;
}

static void keepers_end(struct broker *broker)
{
    for (unsigned i = 0; i < MAX_MACHINES; i++)
        if (broker->machines[i].keeper)
            kill(broker->machines[i].keeper, SIGTERM);
    keepers_reap(broker, 0);
}

static void ready_tell(int fd)
{
    static const char line[] = "ready\n";
    if (fd < 0)
        return;
    ssize_t put = write(fd, line, strlen(line));
    (void)put; /* whoever started gpud may have stopped listening */
    close(fd);
}

int broker_run(const struct broker_settings *settings, const struct device_info *info)
{
    static struct broker broker;
    sigset_t watched;
    broker.settings = settings;
    broker.info = *info;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGCHLD);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    signal(SIGPIPE, SIG_IGN);
    broker.signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    broker.listener = listener_open(settings->socket);
    if (broker.listener < 0)
        return 1;
    if (seal_key_make()) {
        log_line("no random numbers: %s", strerror(errno));
        return 1;
    }
    cache_stale_remove();
    ready_tell(settings->ready_fd);
    while (!broker.ending) {
        struct pollfd events[2] = {{.fd = broker.signals, .events = POLLIN},
                                   {.fd = broker.listener, .events = POLLIN}};
        poll(events, 2, -1);
        if (events[0].revents)
            broker.ending = signal_handle(&broker);
        else if (events[1].revents)
            machine_accept(&broker);
    }
    unlink(settings->socket);
    close(broker.listener);
    keepers_end(&broker);
    return 0;
}
