/*
 * t_jobs.c: job control: sessions, process groups, stopping and continuing, the controlling
 * terminal, its foreground, and what happens when it goes.
 *
 * Most cases run in a child that leads a session on a pty of its own; what it finds wrong is its
 * exit status, the line.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "tests/vm/guest/check.h"

static int master; /* of the session's terminal; the parent's and, closed there, the child's */
static volatile sig_atomic_t seen[NSIG];

static void note(int number)
{
    seen[number]++;
}

static void catch (int number)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};

    seen[number] = 0;
    sigaction(number, &action, NULL);
}

/* In a session's child: a failure ends it with the line as status, in two bytes by way of 1..255.
 */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "t_jobs.c:%d: %s (errno %d)\n", __LINE__, #condition, errno);          \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#define EXPECT_ERRNO(call, number)                                                                 \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT((long)(call) == -1 && errno == (number));                                           \
    } while (0)

static bool wait_signal(int number)
{
    for (int i = 0; i < 6000 && !seen[number]; i++)
        poll(NULL, 0, 10);
    return seen[number];
}

/* Runs fn as leader of a session whose terminal is its standard input. The leader's number; the
 * terminal's master is `master`. */
static pid_t session_start(void (*fn)(void))
{
    char name[64];
    pid_t child;

    master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || unlockpt(master) || ptsname_r(master, name, sizeof(name)))
        return -1;
    child = fork();
    if (child == 0) {
        int slave;

        EXPECT(setsid() == getpid());
        EXPECT_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
        slave = open(name, O_RDWR);
        EXPECT(slave >= 0 && dup2(slave, 0) == 0);
        close(slave);
        close(master);
        fn();
        _exit(0);
    }
    return child;
}

/* The session ends well. */
static bool session_ended(pid_t leader)
{
    int status;
    bool well = waitpid(leader, &status, 0) == leader && status == 0;

    close(master);
    return well;
}

static bool session_runs(void (*fn)(void))
{
    pid_t leader = session_start(fn);

    return leader > 0 && session_ended(leader);
}

/* A child in a group of its own that runs fn; the group is there when this returns. */
static pid_t job_start(void (*fn)(void))
{
    int in_place[2];
    pid_t child;
    char c;

    EXPECT(pipe(in_place) == 0);
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        close(in_place[0]);
        close(in_place[1]);
        fn();
        _exit(0);
    }
    close(in_place[1]);
    EXPECT(read(in_place[0], &c, 1) == 0);
    close(in_place[0]);
    return child;
}

static void sleep_long(void)
{
    poll(NULL, 0, 600000);
}

static bool stopped_by(pid_t child, int number)
{
    int status;

    return waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) &&
           WSTOPSIG(status) == number;
}

static bool killed_by(pid_t child, int number)
{
    int status;

    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == number;
}

static bool ended(pid_t child)
{
    int status;

    return waitpid(child, &status, 0) == child && status == 0;
}

/* ---- Groups and sessions
 * ----------------------------------------------------------------------------- */

static void groups(void)
{
    pid_t self = getpid(), child;
    int ready[2];
    char c;

    EXPECT(getsid(0) == self && getpgrp() == self && getpgid(0) == self);
    EXPECT_ERRNO(setsid(), EPERM);
    EXPECT_ERRNO(setpgid(0, 0), EPERM);
    EXPECT_ERRNO(setpgid(0, -1), EINVAL);
    EXPECT_ERRNO(setpgid(1, 0), ESRCH);
    EXPECT_ERRNO(getsid(0x3fffffff), ESRCH);
    child = job_start(sleep_long);
    EXPECT(getpgid(child) == child && getsid(child) == self);
    EXPECT_ERRNO(setpgid(child, 0x3fffffff), EPERM);
    EXPECT(setpgid(child, self) == 0 && getpgid(child) == self);
    EXPECT(setpgid(child, child) == 0);
    EXPECT(kill(-child, 0) == 0 && kill(-child, SIGTERM) == 0 && killed_by(child, SIGTERM));
    EXPECT_ERRNO(kill(-child, 0), ESRCH);
    EXPECT(pipe2(ready, O_CLOEXEC) == 0);
    child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "t_jobs", "sleep", NULL);
        _exit(3);
    }
    close(ready[1]);
    EXPECT(read(ready[0], &c, 1) == 0); /* closed by the exec */
    EXPECT_ERRNO(setpgid(child, child), EACCES);
    kill(child, SIGKILL);
    EXPECT(killed_by(child, SIGKILL));
    child = fork();
    if (child == 0) { /* a member of a group that is named like it can't leave for a session */
        setpgid(0, 0);
        EXPECT_ERRNO(setsid(), EPERM);
        _exit(0);
    }
    EXPECT(ended(child));
}

static void test_groups(void)
{
    CHECK(session_runs(groups));
}

static void states(void)
{
    pid_t child = job_start(sleep_long);
    siginfo_t info;
    int status;

    catch (SIGCHLD);
    EXPECT(kill(child, SIGSTOP) == 0 && wait_signal(SIGCHLD));
    memset(&info, 0, sizeof(info));
    EXPECT(waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOWAIT) == 0);
    EXPECT(info.si_pid == child && info.si_code == CLD_STOPPED && info.si_status == SIGSTOP);
    EXPECT(stopped_by(child, SIGSTOP));
    EXPECT(waitpid(child, &status, WUNTRACED | WNOHANG) == 0); /* told once */
    EXPECT(kill(child, SIGUSR1) == 0 && waitpid(child, &status, WUNTRACED | WNOHANG) == 0);
    seen[SIGCHLD] = 0;
    EXPECT(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED | WNOHANG) == 0);
    EXPECT(kill(child, SIGKILL) == 0 && killed_by(child, SIGKILL));
    child = job_start(sleep_long);
    EXPECT(kill(child, SIGTSTP) == 0 && stopped_by(child, SIGTSTP));
    EXPECT(kill(child, SIGCONT) == 0 && waitpid(child, &status, WCONTINUED) == child);
    EXPECT(WIFCONTINUED(status));
    EXPECT(kill(child, SIGSTOP) == 0 && stopped_by(child, SIGSTOP));
    EXPECT(kill(child, SIGCONT) == 0);
    EXPECT(waitid(P_PGID, (id_t)child, &info, WCONTINUED) == 0);
    EXPECT(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT);
    EXPECT(waitpid(child, &status, WNOHANG | WCONTINUED | WUNTRACED) == 0);
    EXPECT(kill(-child, SIGTERM) == 0 && killed_by(child, SIGTERM));
}

static void test_states(void)
{
    CHECK(session_runs(states));
}

/* ---- The controlling terminal
 * ------------------------------------------------------------------------ */

static void terminal(void)
{
    int fd = open("/dev/tty", O_RDWR), other, group = -1, pty;
    pid_t child, self = getpid();

    EXPECT(fd >= 0 && isatty(fd));
    EXPECT(tcgetpgrp(0) == self && tcgetsid(0) == self && tcgetpgrp(fd) == self);
    EXPECT(ioctl(0, TIOCSCTTY, 0) == 0);
    pty = posix_openpt(O_RDWR | O_NOCTTY);
    EXPECT(pty >= 0 && unlockpt(pty) == 0);
    other = open(ptsname(pty), O_RDWR);
    EXPECT(other >= 0);
    EXPECT_ERRNO(ioctl(other, TIOCSCTTY, 0), EPERM);
    EXPECT_ERRNO(tcgetpgrp(other), ENOTTY);
    EXPECT_ERRNO(tcsetpgrp(other, self), ENOTTY);
    EXPECT_ERRNO(ioctl(other, TIOCNOTTY), ENOTTY);
    EXPECT(ioctl(pty, TIOCGPGRP, &group) == 0 && group == 0);
    EXPECT_ERRNO(ioctl(pty, TIOCGSID, &group), ENOTTY);
    EXPECT_ERRNO(tcsetpgrp(0, -2), EINVAL);
    EXPECT_ERRNO(tcsetpgrp(0, 0x3fffffff), ESRCH);
    EXPECT_ERRNO(tcsetpgrp(0, getppid()), getsid(getppid()) == getppid() ? EPERM : errno);
    child = fork();
    if (child == 0) { /* gives it up for itself alone */
        EXPECT(ioctl(0, TIOCNOTTY) == 0);
        EXPECT_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
        EXPECT_ERRNO(tcgetpgrp(0), ENOTTY);
        _exit(0);
    }
    EXPECT(ended(child) && tcgetpgrp(0) == self);
    child = fork();
    if (child == 0) {
        EXPECT(setsid() == getpid());
        EXPECT_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
        EXPECT_ERRNO(ioctl(0, TIOCSCTTY, 0), EPERM);
        EXPECT(ioctl(other, TIOCSCTTY, 0) == 0 && tcgetsid(other) == getpid());
        _exit(0);
    }
    EXPECT(ended(child));
    catch (SIGHUP);
    catch (SIGCONT);
    EXPECT(ioctl(0, TIOCNOTTY) == 0 && wait_signal(SIGHUP) && wait_signal(SIGCONT));
    EXPECT_ERRNO(tcgetsid(0), ENOTTY);
    EXPECT(ioctl(0, TIOCSCTTY, 0) == 0 && tcgetsid(0) == self);
}

static void test_terminal(void)
{
    CHECK(session_runs(terminal));
}

static void key_waiter(void)
{
    poll(NULL, 0, 600000);
    _exit(1);
}

/* The foreground is a child; keys reach it and not the leader. */
static void keys(void)
{
    pid_t child;
    int status;

    signal(SIGTTOU, SIG_IGN);
    child = job_start(key_waiter);
    EXPECT(tcsetpgrp(0, child) == 0 && tcgetpgrp(0) == child);
    dprintf(0, "1");
    EXPECT(killed_by(child, SIGINT));
    child = job_start(key_waiter);
    EXPECT(tcsetpgrp(0, child) == 0);
    dprintf(0, "2");
    EXPECT(stopped_by(child, SIGTSTP));
    EXPECT(kill(-child, SIGCONT) == 0);
    EXPECT(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
    dprintf(0, "3");
    EXPECT(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGQUIT);
    catch (SIGINT);
    EXPECT(tcsetpgrp(0, getpid()) == 0);
    dprintf(0, "4");
    EXPECT(wait_signal(SIGINT));
}

/* Reads the master until `text` is there. */
static bool comes(const char *text)
{
    char got[256] = {0};
    size_t n = 0;

    while (n < sizeof(got) - 1 && !strstr(got, text)) {
        if (read(master, got + n, 1) != 1)
            return false;
        n++;
    }
    return true;
}

static void test_keys(void)
{
    pid_t leader = session_start(keys);

    CHECK(leader > 0);
    CHECK(comes("1") && write(master, "\003", 1) == 1);
    CHECK(comes("2") && write(master, "\032", 1) == 1);
    CHECK(comes("3") && write(master, "\034", 1) == 1);
    CHECK(comes("4") && write(master, "\003", 1) == 1);
    CHECK(session_ended(leader));
}

static void resized(void)
{
    catch (SIGWINCH);
    dprintf(0, "1");
    EXPECT(wait_signal(SIGWINCH));
}

static void test_resize(void)
{
    struct winsize size = {.ws_row = 10, .ws_col = 20};
    pid_t leader = session_start(resized);

    CHECK(leader > 0 && comes("1") && ioctl(master, TIOCSWINSZ, &size) == 0);
    CHECK(session_ended(leader));
}

static void read_one(void)
{
    char c;

    _exit(read(0, &c, 1) == 1 && c == 'k' ? 0 : 1);
}

static void read_ignoring(void)
{
    char c;

    signal(SIGTTIN, SIG_IGN);
    _exit(read(0, &c, 1) == -1 && errno == EIO ? 0 : 1);
}

static void write_one(void)
{
    _exit(write(0, "w", 1) == 1 ? 0 : 1);
}

static void set_one(void)
{
    struct termios t;

    _exit(tcgetattr(0, &t) == 0 && tcsetattr(0, TCSANOW, &t) == 0 ? 0 : 1);
}

static void local_set(tcflag_t on)
{
    struct termios t;

    tcgetattr(0, &t);
    t.c_lflag |= on;
    tcsetattr(0, TCSANOW, &t);
}

static void background(void)
{
    pid_t child;

    signal(SIGTTOU, SIG_IGN);
    child = job_start(read_ignoring);
    EXPECT(ended(child));
    child = job_start(write_one); /* without TOSTOP writing is free */
    EXPECT(ended(child));
    signal(SIGTTOU, SIG_DFL);
    local_set(TOSTOP);
    child = job_start(write_one);
    EXPECT(stopped_by(child, SIGTTOU));
    kill(-child, SIGKILL);
    EXPECT(killed_by(child, SIGKILL));
    child = job_start(set_one);
    EXPECT(stopped_by(child, SIGTTOU));
    EXPECT(tcsetpgrp(0, child) == 0 && kill(-child, SIGCONT) == 0 && ended(child));
    signal(SIGTTOU, SIG_IGN);
    EXPECT(tcsetpgrp(0, getpid()) == 0);
    child = job_start(read_one);
    EXPECT(stopped_by(child, SIGTTIN));
    EXPECT(tcsetpgrp(0, child) == 0 && kill(-child, SIGCONT) == 0);
    dprintf(0, "1");
    EXPECT(ended(child));
    EXPECT(tcsetpgrp(0, getpid()) == 0);
}

static void test_background(void)
{
    pid_t leader = session_start(background);

    CHECK(leader > 0);
    CHECK(comes("w") && comes("1") && write(master, "k\n", 2) == 2);
    CHECK(session_ended(leader));
}

/* A group that nobody can continue is not stopped: its calls fail. Its parent, of another group of
 * the session, has gone; who inherits it is of another session. */
static void orphan(void)
{
    int report[2], status = -1;
    pid_t middle;

    EXPECT(pipe(report) == 0);
    middle = job_start(sleep_long);
    kill(middle, SIGKILL);
    EXPECT(killed_by(middle, SIGKILL));
    middle = fork();
    if (middle == 0) {
        setpgid(0, 0);
        if (fork() == 0) {
            char c;
            struct termios t;
            int bad = 0;

            while (getppid() == getpgrp())
                poll(NULL, 0, 5);
            bad |= read(0, &c, 1) != -1 || errno != EIO ? 1 : 0;
            bad |= tcgetattr(0, &t) != 0 || tcsetattr(0, TCSANOW, &t) != -1 || errno != EIO ? 2 : 0;
            raise(SIGTSTP); /* does not stop it */
            bad |= write(report[1], &bad, sizeof(bad)) == sizeof(bad) ? 0 : 4;
            _exit(bad);
        }
        _exit(0);
    }
    EXPECT(ended(middle));
    close(report[1]);
    EXPECT(read(report[0], &status, sizeof(status)) == sizeof(status) && status == 0);
}

static void test_orphan(void)
{
    CHECK(session_runs(orphan));
}

static int stranded_pipe[2];

/* A child stands still when the tie to it is cut: it is hung up and goes on. */
static void strand(void)
{
    pid_t child = fork();

    if (child == 0) {
        setpgid(0, 0);
        catch (SIGHUP);
        catch (SIGCONT);
        raise(SIGSTOP);
        wait_signal(SIGHUP);
        wait_signal(SIGCONT);
        dprintf(stranded_pipe[1], "%d%d", seen[SIGHUP], seen[SIGCONT]);
        _exit(0);
    }
    setpgid(child, child);
    EXPECT(stopped_by(child, SIGSTOP));
}

static void test_stranded(void)
{
    char got[4] = {0};

    CHECK(pipe(stranded_pipe) == 0);
    CHECK(session_runs(strand));
    close(stranded_pipe[1]);
    CHECK(read(stranded_pipe[0], got, 2) == 2 && strcmp(got, "11") == 0);
    close(stranded_pipe[0]);
}

/* ---- Its end
 * ------------------------------------------------------------------------------------------ */

static int end_pipe[2];

static void hung_up(void)
{
    char c;

    catch (SIGHUP);
    catch (SIGCONT);
    dprintf(0, "1");
    EXPECT(wait_signal(SIGHUP) && wait_signal(SIGCONT));
    EXPECT_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
    EXPECT(read(0, &c, 1) == 0);
    EXPECT_ERRNO(write(0, "x", 1), EIO);
}

static void test_hang_up(void)
{
    pid_t leader = session_start(hung_up);
    int status;

    CHECK(leader > 0 && comes("1"));
    close(master);
    CHECK(waitpid(leader, &status, 0) == leader && status == 0);
}

static void hangs_with_leader(void)
{
    pid_t child = fork();

    if (child == 0) {
        setpgid(0, 0);
        catch (SIGHUP);
        dprintf(end_pipe[1], "r");
        dprintf(end_pipe[1], wait_signal(SIGHUP) ? "h" : "-");
        _exit(0);
    }
    setpgid(child, child);
    signal(SIGTTOU, SIG_IGN);
    EXPECT(tcsetpgrp(0, child) == 0);
    poll(&(struct pollfd){.fd = end_pipe[0], .events = POLLIN}, 1, 60000);
}

/* The foreground is hung up when the leader ends. */
static void test_leader_end(void)
{
    char got[4] = {0};
    size_t n = 0;

    CHECK(pipe(end_pipe) == 0);
    CHECK(session_runs(hangs_with_leader));
    close(end_pipe[1]);
    while (n < 2 && read(end_pipe[0], got + n, 1) == 1)
        n++;
    close(end_pipe[0]);
    CHECK(strcmp(got, "rh") == 0);
}

static const struct test tests[] = {
    {"groups", test_groups},     {"states", test_states},
    {"terminal", test_terminal}, {"keys", test_keys},
    {"resize", test_resize},     {"background", test_background},
    {"orphan", test_orphan},     {"stranded", test_stranded},
    {"hang_up", test_hang_up},   {"leader_end", test_leader_end},
};

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "sleep") == 0) {
        sleep_long();
        return 0;
    }
    return RUN_TESTS(tests, argc, argv);
}
