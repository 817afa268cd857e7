/* keeper.c: see keeper.h. One thread, one loop: signals, and the front's wishes. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cache.h"
#include "engine.h"
#include "front.h"
#include "link.h"
#include "log.h"
#include "seal.h"

#define COUNT_MS 3000 /* what a front has to count what is there at its machine's end */

struct keeper {
    const struct keeper_settings *settings;
    const char *folder;
    struct cache_folder own_cache; /* none when it uses a shared one */
    int signals;
    int socket;              /* to the front */
    int grace_ms;            /* until it ends, when it has been asked to; -1: it has not */
    struct remote_ends ends; /* what the front has of it */
    pid_t front;
    pid_t devices[KEEPER_DEVICES]; /* 0: there is none */
};

static void signals_restore(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

/* Neither side can take the memory away under the other. It takes none before it is used. */
static int shared_make(void)
{
    int fd = memfd_create("gpud-link", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, sizeof(struct link_shared)) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -1;
    return fd;
}

static int ends_make(struct keeper *keeper)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    keeper->socket = pair[0];
    keeper->ends.keeper = pair[1];
    keeper->ends.ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (unsigned i = 0; i < KEEPER_DEVICES; i++) {
        keeper->ends.shared[i] = shared_make();
        if (keeper->ends.shared[i] < 0)
            return -1;
    }
    return keeper->ends.ended < 0 ? -1 : 0;
}

static void front_start(struct keeper *keeper, int connection)
{
    keeper->front = fork();
    if (keeper->front == 0) {
        signals_restore();
        cache_folder_forget(&keeper->own_cache);
        close(keeper->signals);
        close(keeper->socket);
        if (keeper->settings->ready_fd >= 0)
            close(keeper->settings->ready_fd);
        front_main(connection, &keeper->ends, keeper->settings);
    }
    close(connection);
    close(keeper->ends.keeper);
}

static void front_tell(struct keeper *keeper, char what, unsigned device, int fd)
{
    struct keeper_message message = {what, (uint8_t)device};
    struct iovec part = {&message, sizeof(message)};
    link_send(keeper->socket, &part, 1, &fd, fd >= 0);
}

static _Noreturn void device_child(struct keeper *keeper, unsigned device, int socket)
{
    struct engine_settings settings = {.ops = keeper->settings->ops,
                                       .selector = keeper->settings->selector,
                                       .folder = keeper->folder,
                                       .socket = socket,
                                       .shared = keeper->ends.shared[device],
                                       .ended = keeper->ends.ended};
    setpgid(0, 0); /* it is ended with all that it starts */
    signals_restore();
    cache_folder_forget(&keeper->own_cache);
    close(keeper->signals);
    close(keeper->socket);
    for (unsigned i = 0; i < KEEPER_DEVICES; i++)
        if (i != device)
            close(keeper->ends.shared[i]);
    if (keeper->settings->ready_fd >= 0)
        close(keeper->settings->ready_fd);
    engine_main(&settings);
}

static void device_start(struct keeper *keeper, unsigned device)
{
    int pair[2];
    if (keeper->devices[device] || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        front_tell(keeper, KEEPER_GONE, device, -1);
        return;
    }
    pid_t child = keeper->devices[device] = fork();
    if (child == 0) {
        close(pair[0]);
        device_child(keeper, device, pair[1]);
    }
    close(pair[1]);
    if (child > 0) {
        setpgid(child, child); /* whoever of the two comes first */
        front_tell(keeper, KEEPER_STARTED, device, pair[0]);
    } else {
        log_line("no process for the device: %s", strerror(errno));
        keeper->devices[device] = 0;
        front_tell(keeper, KEEPER_GONE, device, -1);
    }
    close(pair[0]);
}

/* Nothing of the device process's group is left when this returns. Its leader is a zombie or lives:
 * the group's number is still its own. */
static void device_end(struct keeper *keeper, unsigned device, int *status)
{
    pid_t group = keeper->devices[device];
    keeper->devices[device] = 0;
    kill(-group, SIGKILL);
    kill(group, SIGKILL); /* it may not have a group yet */
    waitpid(group, status, 0);
    while (waitpid(-group, NULL, 0) > 0) /* orphans, which are this process's children now */
        ;
}

static void device_ended(struct keeper *keeper, unsigned device)
{
    int status = 0;
    device_end(keeper, device, &status);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        log_line("the device process was ended by signal %d", WTERMSIG(status));
    front_tell(keeper, KEEPER_GONE, device, -1);
}

/* KEEPER_DEVICES: none of them. */
static unsigned device_find(const struct keeper *keeper, pid_t child)
{
    unsigned i = 0;
    while (i < KEEPER_DEVICES && keeper->devices[i] != child)
        i++;
    return i;
}

static _Noreturn void keeper_end(struct keeper *keeper, int status)
{
    for (unsigned i = 0; i < KEEPER_DEVICES; i++)
        if (keeper->devices[i])
            device_end(keeper, i, &(int){0});
    if (keeper->front > 0) {
        kill(keeper->front, SIGKILL);
        waitpid(keeper->front, NULL, 0);
    }
    cache_folder_remove(&keeper->own_cache);
    _exit(status);
}

static _Noreturn void front_ended(struct keeper *keeper)
{
    int status = 0;
    waitpid(keeper->front, &status, 0);
    keeper->front = 0;
    if (WIFSIGNALED(status))
        log_line("its front was ended by signal %d: the machine loses its device",
                 WTERMSIG(status));
    if (status && keeper->settings->ready_fd >= 0) {
        ssize_t put = write(keeper->settings->ready_fd, "lost\n", 5);
        (void)put; /* whoever started gpud may have stopped listening */
    }
    keeper_end(keeper, status != 0);
}

static void children_reap(struct keeper *keeper)
{
    siginfo_t ended = {0};
    while (waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT | WNOHANG) == 0 && ended.si_pid) {
        if (ended.si_pid == keeper->front)
            front_ended(keeper);
        unsigned device = device_find(keeper, ended.si_pid);
        if (device < KEEPER_DEVICES)
            device_ended(keeper, device);
        else
            waitpid(ended.si_pid, NULL, 0);
        ended.si_pid = 0;
    }
}

static void signal_handle(struct keeper *keeper)
{
    struct signalfd_siginfo signal;
    if (read(keeper->signals, &signal, sizeof(signal)) != (ssize_t)sizeof(signal))
        return;
    if (signal.ssi_signo == SIGCHLD)
        children_reap(keeper);
    else if (keeper->settings->counts)
        keeper->grace_ms = COUNT_MS; /* its machine may have gone, and its front be counting */
    else
        keeper_end(keeper, 0);
}

static void wish_handle(struct keeper *keeper)
{
    struct keeper_message wish;
    ssize_t got = recv(keeper->socket, &wish, sizeof(wish), MSG_DONTWAIT);
    if (got != (ssize_t)sizeof(wish) || wish.device >= KEEPER_DEVICES)
        return; /* the front has ended: its signal says so */
    if (wish.what == KEEPER_START)
        device_start(keeper, wish.device);
    else if (wish.what == KEEPER_KILL && keeper->devices[wish.device])
        kill(-keeper->devices[wish.device], SIGKILL);
}

static void signals_prepare(struct keeper *keeper)
{
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGCHLD);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    keeper->signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

_Noreturn void keeper_main(int socket, const struct keeper_settings *settings)
{
    static struct keeper keeper;
    log_machine(settings->number);
    prctl(PR_SET_NAME, "gpud-keeper");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    keeper.settings = settings;
    keeper.grace_ms = -1;
    keeper.folder = settings->cache;
    signals_prepare(&keeper);
    if (!settings->cache && cache_folder_make(&keeper.own_cache)) {
        log_line("refused: no folder for temporary files: %s", strerror(errno));
        _exit(1);
    }
    if (!settings->cache)
        keeper.folder = keeper.own_cache.path;
    if (ends_make(&keeper)) {
        log_line("refused: no memory or descriptors: %s", strerror(errno));
        keeper_end(&keeper, 1);
    }
    front_start(&keeper, socket);
    if (keeper.front < 0) {
        log_line("refused: no process: %s", strerror(errno));
        keeper_end(&keeper, 1);
    }
    for (;;) {
        struct pollfd events[2] = {{.fd = keeper.signals, .events = POLLIN},
                                   {.fd = keeper.socket, .events = POLLIN}};
        if (poll(events, 2, keeper.grace_ms) == 0)
            keeper_end(&keeper, 0);
        if (events[0].revents)
            signal_handle(&keeper);
        else if (events[1].revents)
            wish_handle(&keeper);
    }
}
