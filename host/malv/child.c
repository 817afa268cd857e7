/*
 * child.c: starts, watches and ends the programs that malv needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "message.h"

/* Who gave malv a priority of its own has decided already. */
static void child_go_first(void)
{
    const struct sched_param least = {.sched_priority = sched_get_priority_min(SCHED_RR)};
    if (sched_getscheduler(0) == SCHED_OTHER)
        sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &least);
}

/* Between fork and exec; never returns. */
static void child_become(pid_t parent, char *const *words, const int *keep, unsigned keep_count,
                         bool first)
{
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(MALV_FAILED);
    setpgid(0, 0);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC); /* the user's are no business of a machine */
    for (unsigned i = 0; i < keep_count; i++)
        if (keep[i] >= 0)
            fcntl(keep[i], F_SETFD, 0);
    if (first)
        child_go_first();
    execv(words[0], words);
    message("can't start %s: %s", words[0], strerror(errno));
    _exit(MALV_FAILED);
}

bool child_start(struct child *child, char *const *words, const int *keep, unsigned keep_count,
                 bool first)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        message("can't start %s: %s", words[0], strerror(errno));
        return false;
    }
    if (!pid)
        child_become(parent, words, keep, keep_count, first);
    setpgid(pid, pid); /* whoever of the two comes first */
    *child = (struct child){.pid = pid, .group = pid};
    return true;
}

bool child_ended(struct child *child)
{
    if (child->pid && waitpid(child->pid, &child->status, WNOHANG) == child->pid)
        child->pid = 0;
    return !child->pid;
}

bool child_wait(struct child *child, unsigned milliseconds)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    while (!child_ended(child) && milliseconds--)
        nanosleep(&pause, NULL);
    return !child->pid;
}

void child_end(struct child *child, unsigned grace_ms)
{
    if (!child->group)
        return;
    if (child->pid && grace_ms) {
        kill(-child->group, SIGTERM);
        child_wait(child, grace_ms);
    }
    kill(-child->group, SIGKILL);
    while (child->pid && waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
        continue;
    child->pid = 0;
    child->group = 0;
}
