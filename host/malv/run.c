/*
 * run.c: starts a machine and carries bytes between it and the terminal until it ends.
 *
 * One thread, one poll loop. Signals come as bytes of a signalfd, so nothing happens behind its
 * back. Whatever ends the run, machine_end() leaves no process and no file.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "console.h"
#include "frames.h"
#include "gpu.h"
#include "image.h"
#include "kvm.h"
#include "locate.h"
#include "message.h"
#include "outgoing.h"
#include "owner.h"
#include "qemu.h"
#include "report.h"
#include "run.h"
#include "terminal.h"

#define LAST_LINES      12
#define MARK_FIRST_USER "first-user" /* the next instruction is a program's first */
#define POWER_OFF_MS    2000         /* from the exit frame to the end of QEMU */
#define WRITE_MOST      4096         /* a pipe that can be written takes as much without waiting */

/* A run. `status` is the result once `over` is set. */
struct run {
    const struct run_options *options;
    struct gpu gpu;
    struct child qemu;
    int console_fd; /* our ends of the lines, non-blocking; -1 once closed */
    int control_fd;
    int port_fd; /* the faster line */
    int signal_fd;
    bool heard;      /* the machine has sent something: its channel is up */
    bool moved;      /* it has moved to the faster line */
    bool complained; /* something came for standard error */
    bool answered;   /* the exit frame came */
    bool closed[3];  /* nobody reads this stream of ours any more */
    bool over;
    int status;
    struct terminal terminal; /* with --tty */
    bool resized;             /* the machine is to hear of the terminal's size */
    uint64_t deadline_ns;  /* for all of it; 0: none */
    uint64_t power_off_ns; /* for QEMU's end; 0: none yet */
    struct outgoing outgoing;
    struct frame_reader port_reader;
    struct frame_reader reader;
    struct console console;
    struct report report;
    struct owner owner;
};

static void run_finish(struct run *run, int status)
{
    terminal_leave(&run->terminal);
    if (run->over)
        return;
    run->over = true;
    run->status = status;
}

static void signal_handle(struct run *run);
static void deadline_check(struct run *run);
static int poll_timeout(const struct run *run);

/* Waits until a stream of ours can be written; the owner is heard meanwhile. False: the run is over
 * before. */
static bool output_wait(struct run *run, int fd)
{
    struct pollfd fds[2 + OWNER_FDS] = {{.fd = fd, .events = POLLOUT},
                                        {.fd = run->signal_fd, .events = POLLIN}};
    while (!run->over) {
        owner_poll_prepare(&run->owner, fds + 2);
        int ready = poll(fds, 2 + OWNER_FDS, poll_timeout(run));
        if (ready > 0 && fds[1].revents)
            signal_handle(run);
        else if (ready > 0 && fds[0].revents)
            return true;
        if (ready > 0)
            owner_poll_handle(&run->owner, fds + 2);
        deadline_check(run);
    }
    return false;
}

/* The command hears of readers that went away when it writes again, as it would from a pipe. */
static void output_failed(struct run *run, int fd)
{
    if (errno == EPIPE) {
        run->closed[fd] = true;
        run->outgoing.closed_due |= (uint8_t)(1u << fd);
        return;
    }
    terminal_leave(&run->terminal);
    message("can't write the command's output: %s", strerror(errno));
    run_finish(run, MALV_FAILED);
}

/* Writes all of it, however long that takes. */
static void output_write(struct run *run, int fd, const uint8_t *bytes, size_t count)
{
    while (count && !run->closed[fd] && output_wait(run, fd)) {
        ssize_t done = write(fd, bytes, count < WRITE_MOST ? count : WRITE_MOST);
        if (done < 0 && errno != EINTR && errno != EAGAIN)
            output_failed(run, fd);
        if (done <= 0)
            continue;
        bytes += done;
        count -= (size_t)done;
    }
}

static void frame_handle(void *context, uint8_t type, const uint8_t *payload, size_t length)
{
    struct run *run = context;
    run->heard = true;
    switch (type) {
    case HOSTCTL_STDOUT:
        output_write(run, STDOUT_FILENO, payload, length);
        break;
    case HOSTCTL_STDERR:
        run->complained = true;
        output_write(run, STDERR_FILENO, payload, length);
        break;
    case HOSTCTL_MARK:
        report_mark(&run->report, (const char *)payload, length);
        break;
    case HOSTCTL_STAT:
        report_stat(&run->report, (const char *)payload, length);
        break;
    case HOSTCTL_EXIT:
        if (length < 1 || run->answered)
            break;
        report_mark(&run->report, "exit", 4);
        run->answered = true;
        run->status = payload[0];
        run->power_off_ns = monotonic_ns() + POWER_OFF_MS * 1000000ull;
        break;
    case HOSTCTL_MOVE:
        run->outgoing.move_due = !run->moved;
        run->moved = true;
        break;
    default: /* a newer guest's; skipped by its length */
        break;
    }
}

/* Takes what a line has to give. */
static void line_read(struct run *run, int *fd)
{
    static uint8_t bytes[64 * 1024];
    ssize_t count = read(*fd, bytes, sizeof(bytes));
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        close(*fd);
        *fd = -1;
        return;
    }
    if (fd == &run->control_fd)
        frame_reader_feed(&run->reader, bytes, (size_t)count, frame_handle, run);
    else if (fd == &run->port_fd)
        frame_reader_feed(&run->port_reader, bytes, (size_t)count, frame_handle, run);
    else
        console_take(&run->console, (const char *)bytes, (size_t)count);
}

/* The window's size at the machine's start may be another one by now. */
static void size_check(struct run *run)
{
    if (!run->resized || !run->terminal.raw)
        return;
    terminal_size(&run->outgoing.size.rows, &run->outgoing.size.columns);
    run->outgoing.size_due = true;
    run->resized = false;
}

/* The terminal is the machine's from its first word on: until then Ctrl-C ends malv. */
static void terminal_check(struct run *run)
{
    if (!run->options->tty || !run->heard || run->terminal.raw || run->answered || run->over)
        return;
    if (!terminal_enter(&run->terminal))
        run_finish(run, MALV_FAILED);
    run->console.raw = run->terminal.raw;
    run->resized = true;
}

/* Where the command never started and nobody said why, the kernel's log may. */
static void command_check(const struct run *run)
{
    if (!run->status || run->complained || run->options->kernel_test ||
        report_has_mark(&run->report, MARK_FIRST_USER))
        return;
    console_tail(&run->console, LAST_LINES);
    message("the machine could not start %s", run->options->command[0]);
}

static void qemu_gone(struct run *run)
{
    terminal_leave(&run->terminal);
    if (run->answered) {
        command_check(run);
        run_finish(run, run->status);
        return;
    }
    bool panicked = console_tail(&run->console, LAST_LINES);
    if (WIFSIGNALED(run->qemu.status))
        message("QEMU was killed by signal %d before the command ended",
                WTERMSIG(run->qemu.status));
    else if (!run->console.total && !run->heard)
        message("QEMU ended with status %d before the machine said anything",
                WEXITSTATUS(run->qemu.status));
    else if (panicked)
        message("the machine's kernel panicked before the command ended");
    else
        message("the machine died before the command ended%s",
                run->console.show ? "" : ", see its last lines above");
    run_finish(run, MALV_FAILED);
}

static void signal_handle(struct run *run)
{
    struct signalfd_siginfo info;
    if (read(run->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    switch (info.ssi_signo) {
    case SIGCHLD:
        break;
    case SIGWINCH:
        run->resized = true;
        return;
    case SIGTSTP:
        terminal_leave(&run->terminal);
        kill(getpid(), SIGSTOP);
        return; /* going on: terminal_check() */
    case SIGCONT:
        terminal_again(&run->terminal);
        run->resized = true;
        return;
    default:
        run_finish(run, MALV_SIGNALLED + (int)info.ssi_signo);
        return;
    }
    /* Its keeper goes on serving the machine, and says so itself when it can't any more. */
    if (run->gpu.gpud.pid && child_ended(&run->gpu.gpud) && run->options->verbose)
        message("gpud has ended; the machine keeps its GPU");
}

/* Once QEMU is gone its lines end, and everything they still held was read. */
static void deadline_check(struct run *run)
{
    if (run->power_off_ns && monotonic_ns() >= run->power_off_ns) {
        run->power_off_ns = 0;
        child_end(&run->qemu, 0);
    }
    if (!run->deadline_ns || monotonic_ns() < run->deadline_ns)
        return;
    terminal_leave(&run->terminal);
    console_tail(&run->console, LAST_LINES);
    message("the command did not end within %u s (--timeout)", run->options->timeout);
    run_finish(run, MALV_TIMED_OUT);
}

static int poll_timeout(const struct run *run)
{
    uint64_t now = monotonic_ns(), due = run->deadline_ns;
    if (run->power_off_ns && (!due || run->power_off_ns < due))
        due = run->power_off_ns;
    if (!due)
        return -1;
    return now >= due ? 0 : (int)((due - now) / 1000000) + 1;
}

/* The machine's UART loses what comes before its driver is up, so the first word is the machine's.
 */
static bool wants_stdin(const struct run *run)
{
    return run->outgoing.stdin_open && run->heard && !outgoing_pending(&run->outgoing);
}

/* The serial line comes first: a frame on the other one may depend on what it said. */
static void lines_read(struct run *run, const struct pollfd *control, const struct pollfd *port,
                       const struct pollfd *console)
{
    const short ready = POLLIN | POLLHUP | POLLERR;
    if (control->revents & ready)
        line_read(run, &run->control_fd);
    if (port->revents & ready)
        line_read(run, &run->port_fd);
    if (console->revents & ready)
        line_read(run, &run->console_fd);
}

/* All lines are closed once QEMU is gone and everything it left was read. */
static bool lines_ended(const struct run *run)
{
    return run->control_fd < 0 && run->console_fd < 0 && (run->port_fd < 0 || !run->moved);
}

static void run_step(struct run *run)
{
    enum { SIGNALS, CONTROL, PORT, CONSOLE, STDIN, GPU, OWNER, COUNT = OWNER + OWNER_FDS };
    struct pollfd fds[COUNT] = {
        [SIGNALS] = {.fd = run->signal_fd, .events = POLLIN},
        [CONTROL] = {.fd = run->control_fd, .events = POLLIN},
        [PORT] = {.fd = run->moved ? run->port_fd : -1, .events = POLLIN},
        [CONSOLE] = {.fd = run->console_fd, .events = POLLIN},
        [STDIN] = {.fd = -1, .events = POLLIN},
        [GPU] = {.fd = run->gpu.line_fd}, /* what comes is QEMU's; that it hangs up is for both */
    };
    owner_poll_prepare(&run->owner, fds + OWNER);
    size_check(run);
    if (run->heard)
        outgoing_next(&run->outgoing);
    struct pollfd *out = &fds[run->outgoing.moved ? PORT : CONTROL];
    if (outgoing_pending(&run->outgoing))
        out->events |= POLLOUT;
    if (wants_stdin(run))
        fds[STDIN].fd = STDIN_FILENO;
    if (poll(fds, COUNT, poll_timeout(run)) < 0 && errno != EINTR)
        run_finish(run, MALV_FAILED);
    if (out->revents & POLLOUT)
        outgoing_write(&run->outgoing, out->fd);
    lines_read(run, &fds[CONTROL], &fds[PORT], &fds[CONSOLE]);
    if (fds[STDIN].revents)
        outgoing_read_stdin(&run->outgoing);
    owner_poll_handle(&run->owner, fds + OWNER);
    if (fds[GPU].revents) {
        gpu_line_close(&run->gpu);
        run->outgoing.gpu_lost_due = true;
    }
    if (fds[SIGNALS].revents)
        signal_handle(run);
    terminal_check(run);
    if (lines_ended(run) && !run->over) {
        child_wait(&run->qemu, POWER_OFF_MS);
        report_mark(&run->report, "end", 3);
        child_end(&run->qemu, 0);
        qemu_gone(run);
    }
    deadline_check(run);
}

static bool signals_take(struct run *run)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    if (run->options->tty) {
        const int more[] = {SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};
        for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
            sigaddset(&set, more[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signal_fd >= 0;
}

/* Makes a line: our end in *ours, non-blocking, QEMU's end in *theirs. */
static bool line_make(int *ours, int *theirs)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return false;
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    *ours = pair[0];
    *theirs = pair[1];
    return true;
}

static bool accel_check(const struct run_options *options)
{
    const char *missing = strcmp(options->accel, "kvm") ? NULL : kvm_missing();
    if (missing)
        message("--accel kvm does not work here: %s; --accel auto takes what there is", missing);
    return !missing;
}

/* Where instructions are counted, and in tests of the kernel, there is nothing but what is measured. */
static bool has_owner(const struct run_options *options)
{
    return !options->icount && !options->kernel_test;
}

static bool machine_start(struct run *run, const char *kernel, const char *initrd)
{
    static struct qemu_program qemu;
    bool with_gpu = strcmp(run->options->gpu, "off") != 0;
    struct machine machine = {
        .options = run->options, .kernel = kernel, .initrd = initrd, .owner_fd = -1};
    if (!accel_check(run->options) || !locate_qemu(&qemu))
        return false;
    if (with_gpu && !gpu_start(&run->gpu, run->options->gpu, run->signal_fd))
        return false;
    machine.gpu_fd = run->gpu.line_fd;
    if (!line_make(&run->console_fd, &machine.console_fd) ||
        !line_make(&run->control_fd, &machine.control_fd) ||
        !line_make(&run->port_fd, &machine.port_fd) ||
        (has_owner(run->options) && !line_make(&run->owner.line_fd, &machine.owner_fd)))
        return false;
    run->report.start_ns = monotonic_ns();
    if (run->options->timeout)
        run->deadline_ns = run->report.start_ns + run->options->timeout * 1000000000ull;
    bool started = qemu_start(&run->qemu, &qemu, &machine);
    close(machine.console_fd);
    close(machine.control_fd);
    close(machine.port_fd);
    if (machine.owner_fd < 0)
        return started;
    close(machine.owner_fd);
    return started && owner_start(&run->owner, run->options);
}

int machine_run(const struct run_options *options)
{
    static struct run run = {
        .console_fd = -1,
        .control_fd = -1,
        .port_fd = -1,
        .gpu.line_fd = -1,
        .owner.listen_fd = -1,
        .owner.line_fd = -1,
        .outgoing.stdin_open = true,
    };
    char beside[2][PATH_MAX];
    const char *kernel = options->kernel ? options->kernel : beside[0];
    const char *initrd = options->initrd ? options->initrd : beside[1];
    const char *archive = options->kernel_test ? "../boot-test.cpio" : "../boot.cpio";
    if (!locate_beside("../microlake.elf", beside[0]) || !locate_beside(archive, beside[1]))
        return MALV_FAILED;
    if (options->kernel_test && access(initrd, R_OK)) {
        message("the boot archive with the kernel's tests, %s, is missing; `make tests` builds it",
                initrd);
        return MALV_FAILED;
    }
    if (options->root_is_image && !image_check_root(options->root))
        return MALV_FAILED;
    if (options->tty && !terminal_there()) {
        message("--tty needs a terminal as standard input: leave it out, or run malv in one");
        return MALV_FAILED;
    }
    run.options = options;
    if (!image_check_kernel(kernel) || !image_check_initrd(initrd) || !signals_take(&run))
        return MALV_FAILED;
    run.console.show = options->verbose;
    if (!machine_start(&run, kernel, initrd)) {
        signal_handle(&run);
        run_finish(&run, MALV_FAILED);
    }
    while (!run.over)
        run_step(&run);
    child_end(&run.qemu, 0);
    owner_stop(&run.owner);
    gpu_stop(&run.gpu);
    if (options->stats)
        report_print(&run.report, options, run.status);
    if (options->stats_path && !report_write(&run.report, options, run.status))
        return MALV_FAILED;
    return run.status;
}
