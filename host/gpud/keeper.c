/* keeper.c: see keeper.h. One thread, one loop: signals, the front's wishes, messages. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cache.h"
#include "clock.h"
#include "engine.h"
#include "front.h"
#include "link.h"
#include "log.h"
#include "relay.h"
#include "said.h"
#include "seal.h"
#include "user.h"

#define COUNT_MS 3000 /* what a front has to count what is there at its machine's end */

/* So many fronts may die at a time; one more for each second that passes. */
#define FRONT_DEATHS 16u

struct keeper {
    const struct keeper_settings *settings;
    const char *folder;
    uid_t user; /* whose it is, and device processes are */
    struct cache_folder own_cache; /* none when it uses a shared one */
    int signals;
    int socket;              /* to the front */
    uint64_t end_ns;         /* when it ends, having been asked to; 0: it has not */
    struct said front_said, device_said;
    struct remote_ends ends; /* what the front has of it */
    struct relay relay;
    pid_t front;
    uint64_t deaths_ns; /* when the deaths of fronts so far will be forgotten, a second each */
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
    keeper->ends.ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (unsigned i = 0; i < KEEPER_DEVICES; i++) {
        keeper->ends.shared[i] = shared_make();
        if (keeper->ends.shared[i] < 0)
            return -1;
    }
    return keeper->ends.ended < 0 ? -1 : 0;
}

static _Noreturn void front_child(struct keeper *keeper, int messages, int wishes, bool last)
{
    signals_restore();
    cache_folder_forget(&keeper->own_cache);
    relay_forget(&keeper->relay);
    close(keeper->signals);
    close(keeper->device_said.read);
    close(keeper->device_said.write);
    said_begin(&keeper->front_said);
    keeper->ends.keeper = wishes;
    front_main(messages, &keeper->ends, keeper->settings, last);
}

/* 0, or -1 with errno. `last`: its death is the end. */
static int front_start(struct keeper *keeper, bool last)
{
    int messages[2], wishes[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, messages) < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, wishes) < 0) {
        close(messages[0]);
        close(messages[1]);
        return -1;
    }
    keeper->front = fork();
    if (keeper->front == 0) {
        close(messages[0]);
        close(wishes[0]);
        front_child(keeper, messages[1], wishes[1], last);
    }
    close(messages[1]);
    close(wishes[1]);
    keeper->socket = wishes[0];
    relay_front_begin(&keeper->relay, messages[0]);
    return keeper->front < 0 ? -1 : 0;
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
                                       .user = keeper->user,
                                       .socket = socket,
                                       .shared = keeper->ends.shared[device],
                                       .ended = keeper->ends.ended};
    const struct device_info *info = &keeper->settings->info;
    settings.sandbox = info->type == VGPGPU_DEVICE_CPU ? SANDBOX_KERNELS : SANDBOX_DRIVER;
    if (info->type == VGPGPU_DEVICE_CPU) /* others have memory of their own */
        settings.memory = info->global_memory;
    setpgid(0, 0); /* it is ended with all that it starts */
    signals_restore();
    cache_folder_forget(&keeper->own_cache);
    relay_forget(&keeper->relay);
    close(keeper->signals);
    close(keeper->socket);
    for (unsigned i = 0; i < KEEPER_DEVICES; i++)
        if (i != device)
            close(keeper->ends.shared[i]);
    close(keeper->front_said.read);
    close(keeper->front_said.write);
    said_begin(&keeper->device_said);
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
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL && said_may(&keeper->device_said))
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

static void devices_end(struct keeper *keeper)
{
    for (unsigned i = 0; i < KEEPER_DEVICES; i++)
        if (keeper->devices[i])
            device_end(keeper, i, &(int){0});
}

static _Noreturn void keeper_end(struct keeper *keeper, int status)
{
    devices_end(keeper);
    if (keeper->front > 0) {
        kill(keeper->front, SIGKILL);
        waitpid(keeper->front, NULL, 0);
    }
    said_end(&keeper->device_said);
    said_end(&keeper->front_said);
    cache_folder_remove(&keeper->own_cache);
    _exit(status);
}

/* How many more fronts may die, once another has. */
static unsigned deaths_left(struct keeper *keeper)
{
    const uint64_t second = 1000000000u;
    uint64_t now = now_ns();
    keeper->deaths_ns = (keeper->deaths_ns > now ? keeper->deaths_ns : now) + second;
    uint64_t deaths = (keeper->deaths_ns - now + second - 1) / second;
    return deaths < FRONT_DEATHS ? FRONT_DEATHS - (unsigned)deaths : 0;
}

/* Nothing works for the former front any more when the next one tells its machine what was lost. */
static void front_replace(struct keeper *keeper, const char *why, int number)
{
    unsigned left = deaths_left(keeper);
    if (!left) {
        log_line("its front was ended by %s %d, after %u others: the machine loses its device", why,
                 number, FRONT_DEATHS - 1);
        keeper_end(keeper, 1);
    }
    log_line("its front was ended by %s %d: another takes its place", why, number);
    devices_end(keeper);
    close(keeper->socket);
    relay_front_end(&keeper->relay);
    if (front_start(keeper, left == 1)) {
        log_line("no process for a front: %s: the machine loses its device", strerror(errno));
        keeper_end(keeper, 1);
    }
}

/* A front ends by itself with its front end, or when its machine must lose the device. */
static void front_ended(struct keeper *keeper)
{
    int status = 0;
    waitpid(keeper->front, &status, 0);
    keeper->front = 0;
    bool over = keeper->relay.phase == RELAY_OVER;
    if (over && !status)
        keeper_end(keeper, 0);
    if (over)
        keeper_end(keeper, 1);
    if (WIFSIGNALED(status))
        front_replace(keeper, "signal", WTERMSIG(status));
    else if (!status)
        front_replace(keeper, "itself with status", 0);
    else
        keeper_end(keeper, 1);
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
        keeper->end_ns = now_ns() + COUNT_MS * 1000000ull; /* its machine may have gone, and its front be counting */
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

/* 0: it is time. */
static int pause_ms(const struct keeper *keeper)
{
    uint64_t now = keeper->end_ns ? now_ns() : 0;
    if (!keeper->end_ns)
        return -1;
    return now < keeper->end_ns ? (int)((keeper->end_ns - now) / 1000000u) + 1 : 0;
}

static void events_handle(struct keeper *keeper)
{
    struct pollfd events[6] = {{.fd = keeper->signals, .events = POLLIN},
                               {.fd = keeper->socket, .events = POLLIN},
                               {.fd = keeper->front_said.read, .events = POLLIN},
                               {.fd = keeper->device_said.read, .events = POLLIN}};
    relay_poll(&keeper->relay, events + 4);
    int pause = pause_ms(keeper);
    if (!pause)
        keeper_end(keeper, 0);
    poll(events, 6, pause);
    if (events[2].revents)
        said_take(&keeper->front_said);
    if (events[3].revents)
        said_take(&keeper->device_said);
    if (events[0].revents) /* what else there is may be a former front's */
        signal_handle(keeper);
    else if (events[1].revents)
        wish_handle(keeper);
    else if (!relay_serve(&keeper->relay, events + 4))
        kill(keeper->front, SIGKILL);
}

/* 0, or -1 with errno. */
static int folder_choose(struct keeper *keeper)
{
    struct stat shared;
    keeper->folder = keeper->settings->cache;
    if (keeper->folder) {
        int error = stat(keeper->folder, &shared);
        keeper->user = shared.st_uid;
        return error;
    }
    keeper->user = user_of_devices(getpid());
    keeper->folder = keeper->own_cache.path;
    return cache_folder_make(&keeper->own_cache, keeper->user);
}

_Noreturn void keeper_main(int socket, const struct keeper_settings *settings)
{
    static struct keeper keeper;
    log_machine(settings->number);
    prctl(PR_SET_NAME, "gpud-keeper");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    keeper.settings = settings;
    signals_prepare(&keeper);
    if (folder_choose(&keeper)) {
        log_line("refused: no folder for temporary files: %s", strerror(errno));
        _exit(1);
    }
    int deaf = said_make(&keeper.front_said, "front") | said_make(&keeper.device_said, "device process");
    if (deaf || relay_init(&keeper.relay, socket) || ends_make(&keeper)) {
        log_line("refused: no memory or descriptors: %s", strerror(errno));
        keeper_end(&keeper, 1);
    }
    if (front_start(&keeper, false)) {
        log_line("refused: no process: %s", strerror(errno));
        keeper_end(&keeper, 1);
    }
    for (;;)
        events_handle(&keeper);
}
