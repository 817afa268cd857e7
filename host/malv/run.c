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
#include "qemu.h"
#include "report.h"
#include "run.h"
#include "terminal.h"

#define LAST_LINES      12
#define MARK_FIRST_USER "first-user" /* the next instruction is a program's first */
#define POWER_OFF_MS    2000         /* from the exit frame to the end of QEMU */

/* A run. `status` is the result once `over` is set. */
struct run {
    const struct run_options *options;
    struct gpu gpu;
    struct child qemu;
    int console_fd; /* our ends of the serial lines, non-blocking; -1 once closed */
    int control_fd;
    int signal_fd;
    bool stdin_open; /* there may be more to forward */
    bool heard;      /* the machine has sent something: its channel is up */
    bool complained; /* something came for standard error */
    bool answered;   /* the exit frame came */
    bool over;
    int status;
    struct terminal terminal; /* with --tty */
    bool resized;             /* the machine is to hear of the terminal's size */
    uint64_t deadline_ns; /* 0: none */
    uint8_t outgoing[sizeof(struct hostctl_header) + HOSTCTL_MAX_PAYLOAD];
    size_t outgoing_at;
    size_t outgoing_end;
    struct frame_reader reader;
    struct console console;
    struct report report;
};

static void run_finish(struct run *run, int status)
{
    terminal_leave(&run->terminal);
    if (run->over)
        return;
    run->over = true;
    run->status = status;
}

/* Writes all of it; a reader that went away ends the run. */
static void output_write(struct run *run, int fd, const uint8_t *bytes, size_t count)
{
    while (count) {
        ssize_t done = write(fd, bytes, count);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            poll(&room, 1, -1);
            continue;
        }
        if (done < 0) {
            terminal_leave(&run->terminal);
            message("can't write the command's output: %s", strerror(errno));
            run_finish(run, MALV_FAILED);
            return;
        }
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
        run->deadline_ns = monotonic_ns() + POWER_OFF_MS * 1000000ull;
        break;
    default: /* a newer guest's; skipped by its length */
        break;
    }
}

/* Takes what a serial line has to give. */
static void line_read(struct run *run, int *fd)
{
    uint8_t bytes[4096];
    ssize_t count = read(*fd, bytes, sizeof(bytes));
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        close(*fd);
        *fd = -1;
        return;
    }
    gpu_hide(&run->gpu);
    if (fd == &run->control_fd)
        frame_reader_feed(&run->reader, bytes, (size_t)count, frame_handle, run);
    else
        console_take(&run->console, (const char *)bytes, (size_t)count);
}

/* One frame at a time: no more is read from standard input while the machine has not taken the
 * last. */
static void stdin_read(struct run *run)
{
    struct hostctl_header header = {.type = HOSTCTL_STDIN};
    ssize_t count = read(STDIN_FILENO, run->outgoing + sizeof(header), HOSTCTL_MAX_PAYLOAD);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        count = 0;
        run->stdin_open = false;
    }
    header.length = (uint8_t)count;
    memcpy(run->outgoing, &header, sizeof(header));
    run->outgoing_at = 0;
    run->outgoing_end = sizeof(header) + (size_t)count;
}

static void outgoing_write(struct run *run)
{
    ssize_t count = write(run->control_fd, run->outgoing + run->outgoing_at,
                          run->outgoing_end - run->outgoing_at);
    if (count > 0)
        run->outgoing_at += (size_t)count;
}

/* The window's size at the machine's start may be another one by now. */
static void size_send(struct run *run)
{
    struct hostctl_header header = {.type = HOSTCTL_SIZE, .length = sizeof(struct hostctl_size)};
    struct hostctl_size size;
    terminal_size(&size.rows, &size.columns);
    memcpy(run->outgoing, &header, sizeof(header));
    memcpy(run->outgoing + sizeof(header), &size, sizeof(size));
    run->outgoing_at = 0;
    run->outgoing_end = sizeof(header) + sizeof(size);
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
    if (run->gpu.gpud.pid && child_ended(&run->gpu.gpud) && !run->answered) {
        terminal_leave(&run->terminal);
        message("gpud ended while the machine was using it; the run is over");
        run_finish(run, MALV_FAILED);
    }
}

static void deadline_check(struct run *run)
{
    if (!run->deadline_ns || monotonic_ns() < run->deadline_ns)
        return;
    if (run->answered) {
        run_finish(run, run->status);
        return;
    }
    terminal_leave(&run->terminal);
    console_tail(&run->console, LAST_LINES);
    message("the command did not end within %u s (--timeout)", run->options->timeout);
    run_finish(run, MALV_TIMED_OUT);
}

static int poll_timeout(const struct run *run)
{
    if (!run->deadline_ns)
        return -1;
    uint64_t now = monotonic_ns();
    return now >= run->deadline_ns ? 0 : (int)((run->deadline_ns - now) / 1000000) + 1;
}

/* The machine's UART loses what comes before its driver is up, so the first word is the machine's.
 */
static bool wants_stdin(const struct run *run)
{
    return run->stdin_open && run->heard && run->outgoing_at == run->outgoing_end;
}

static void run_step(struct run *run)
{
    enum { SIGNALS, CONTROL, CONSOLE, STDIN, COUNT };
    bool sending = run->outgoing_at < run->outgoing_end;
    if (!sending && run->resized && run->terminal.raw) {
        size_send(run);
        sending = true;
    }
    struct pollfd fds[COUNT] = {
        [SIGNALS] = {.fd = run->signal_fd, .events = POLLIN},
        [CONTROL] = {.fd = run->control_fd, .events = (short)(POLLIN | (sending ? POLLOUT : 0))},
        [CONSOLE] = {.fd = run->console_fd, .events = POLLIN},
        [STDIN] = {.fd = wants_stdin(run) ? STDIN_FILENO : -1, .events = POLLIN},
    };
    if (poll(fds, COUNT, poll_timeout(run)) < 0 && errno != EINTR)
        run_finish(run, MALV_FAILED);
    if (fds[CONTROL].revents & (POLLIN | POLLHUP | POLLERR))
        line_read(run, &run->control_fd);
    if (fds[CONSOLE].revents & (POLLIN | POLLHUP | POLLERR))
        line_read(run, &run->console_fd);
    if (run->control_fd >= 0 && (fds[CONTROL].revents & POLLOUT))
        outgoing_write(run);
    if (fds[STDIN].revents)
        stdin_read(run);
    if (fds[SIGNALS].revents)
        signal_handle(run);
    terminal_check(run);
    /* Both lines are closed once QEMU is gone and everything it left was read. */
    if (run->control_fd < 0 && run->console_fd < 0 && !run->over) {
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

/* Makes a serial line: our end in *ours, non-blocking, QEMU's end in *theirs. */
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

static bool machine_start(struct run *run, const char *kernel, const char *initrd)
{
    static struct qemu_program qemu;
    bool with_gpu = strcmp(run->options->gpu, "off") != 0;
    struct machine machine = {.options = run->options, .kernel = kernel, .initrd = initrd};
    if (!accel_check(run->options) || !locate_qemu(&qemu))
        return false;
    if (with_gpu && !gpu_start(&run->gpu, run->options->gpu, run->signal_fd))
        return false;
    machine.gpu_socket = with_gpu ? run->gpu.socket : NULL;
    if (!line_make(&run->console_fd, &machine.console_fd) ||
        !line_make(&run->control_fd, &machine.control_fd))
        return false;
    run->report.start_ns = monotonic_ns();
    if (run->options->timeout)
        run->deadline_ns = run->report.start_ns + run->options->timeout * 1000000000ull;
    bool started = qemu_start(&run->qemu, &qemu, &machine);
    close(machine.console_fd);
    close(machine.control_fd);
    return started;
}

int machine_run(const struct run_options *options)
{
    static struct run run = {.console_fd = -1, .control_fd = -1, .stdin_open = true};
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
    gpu_stop(&run.gpu);
    if (options->stats)
        report_print(&run.report, options, run.status);
    if (options->stats_path && !report_write(&run.report, options, run.status))
        return MALV_FAILED;
    return run.status;
}
