/*
 * t_credentials.c: who processes act for: user and group numbers, further groups, capabilities,
 * signals between users, and files between users (files.c). It must start as root.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"
#include "tests/vm/guest/t_credentials/children.h"

#define USER  1000u
#define OTHER 1001u

static char scratch_path[64];

const char *scratch(void)
{
    return scratch_path;
}

void require_failed(const char *what, int line)
{
    printf("in the child, line %d: %s (errno %d: %s)\n", line, what, errno, strerror(errno));
    fflush(stdout);
    _exit(1);
}

int in_child(void (*run)(void))
{
    int status = -1;
    pid_t child;

    strcpy(scratch_path, "/tmp/credentials-XXXXXX");
    if (!mkdtemp(scratch_path) || chmod(scratch_path, 0755) != 0)
        return -1;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        umask(022);
        run();
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool users_are(uid_t real, uid_t effective, uid_t saved)
{
    uid_t r, e, s;

    return getresuid(&r, &e, &s) == 0 && r == real && e == effective && s == saved;
}

static bool groups_are(gid_t real, gid_t effective, gid_t saved)
{
    gid_t r, e, s;

    return getresgid(&r, &e, &s) == 0 && r == real && e == effective && s == saved;
}

static void child_set_all(void)
{
    REQUIRE(users_are(0, 0, 0) && groups_are(0, 0, 0));
    REQUIRE(setgid(USER) == 0 && groups_are(USER, USER, USER));
    REQUIRE(setuid(USER) == 0 && users_are(USER, USER, USER));
    REQUIRE(getuid() == USER && geteuid() == USER && getgid() == USER && getegid() == USER);
    REQUIRE_ERRNO(setuid(0), EPERM);
    REQUIRE_ERRNO(setgid(0), EPERM);
    REQUIRE_ERRNO(seteuid(OTHER), EPERM);
    REQUIRE(setuid(USER) == 0);
    REQUIRE_ERRNO(syscall(SYS_setuid, -1), EINVAL);
}

static void child_effective(void)
{
    REQUIRE(seteuid(USER) == 0 && users_are(0, USER, 0));
    REQUIRE_ERRNO(setresuid(OTHER, -1, -1), EPERM);
    REQUIRE(seteuid(0) == 0 && users_are(0, 0, 0));
    REQUIRE(setresuid(USER, OTHER, 0) == 0 && users_are(USER, OTHER, 0));
    REQUIRE(setresuid(-1, USER, -1) == 0 && users_are(USER, USER, 0));
    REQUIRE(setresuid(0, 0, USER) == 0 && users_are(0, 0, USER));
}

static void child_two(void)
{
    REQUIRE(setreuid(USER, OTHER) == 0 && users_are(USER, OTHER, OTHER));
    REQUIRE(setreuid(OTHER, USER) == 0 && users_are(OTHER, USER, USER));
    REQUIRE_ERRNO(setreuid(0, -1), EPERM);
    REQUIRE_ERRNO(setregid(5, 6), EPERM);
}

static void child_groups(void)
{
    gid_t three[3] = {5, 6, 7}, found[4] = {0};

    REQUIRE(setgroups(3, three) == 0);
    REQUIRE(getgroups(0, NULL) == 3 && getgroups(4, found) == 3);
    REQUIRE(found[0] + found[1] + found[2] == 18);
    REQUIRE_ERRNO(getgroups(2, found), EINVAL);
    REQUIRE_ERRNO(syscall(SYS_getgroups, -1, found), EINVAL);
    REQUIRE_ERRNO(syscall(SYS_setgroups, 70000, found), EINVAL);
    REQUIRE_ERRNO(syscall(SYS_setgroups, 2, 8), EFAULT);
    REQUIRE(setuid(USER) == 0 && getgroups(4, found) == 3);
    REQUIRE_ERRNO(setgroups(0, NULL), EPERM);
}

static void child_file_user(void)
{
    REQUIRE(setfsuid(USER) == 0 && setfsuid(-1) == (int)USER);
    REQUIRE(users_are(0, 0, 0));
    char path[128];
    snprintf(path, sizeof(path), "%s/file", scratch());
    REQUIRE_ERRNO(open(path, O_CREAT | O_WRONLY, 0600), EACCES);
    REQUIRE(setfsuid(0) == (int)USER && setfsuid(-1) == 0);
    REQUIRE(setfsgid(USER) == 0 && setfsgid(-1) == (int)USER);
    REQUIRE(setuid(USER) == 0 && setfsuid(OTHER) == (int)USER && setfsuid(-1) == (int)USER);
}

/* ---- Capabilities ---- */

static bool capability_sets(uint32_t permitted[2], uint32_t effective[2])
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];

    if (syscall(SYS_capget, &h, d) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        permitted[i] = d[i].permitted;
        effective[i] = d[i].effective;
    }
    return true;
}

static void child_capabilities(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {0};
    uint32_t permitted[2], effective[2];

    REQUIRE(capability_sets(permitted, effective));
    REQUIRE(effective[0] & 1u << CAP_SETUID);
    REQUIRE(seteuid(USER) == 0 && capability_sets(permitted, effective));
    REQUIRE(effective[0] == 0 && effective[1] == 0 && (permitted[0] & 1u << CAP_SETUID));
    REQUIRE(seteuid(0) == 0 && capability_sets(permitted, effective));
    REQUIRE(effective[0] == permitted[0]);
    d[0].permitted = d[0].effective = 1u << CAP_SETUID;
    REQUIRE(syscall(SYS_capset, &h, d) == 0);
    REQUIRE_ERRNO(setgid(USER), EPERM); /* root in name only */
    d[0].permitted = d[0].effective = 1u << CAP_SETUID | 1u << CAP_SETGID;
    REQUIRE_ERRNO(syscall(SYS_capset, &h, d), EPERM);
    REQUIRE(setuid(USER) == 0 && capability_sets(permitted, effective));
    REQUIRE(permitted[0] == 0 && effective[0] == 0);
    h.version = 7;
    REQUIRE_ERRNO(syscall(SYS_capget, &h, d), EINVAL);
    REQUIRE(h.version == _LINUX_CAPABILITY_VERSION_3);
    REQUIRE_ERRNO(syscall(SYS_capget, 8, NULL), EFAULT);
}

static void child_kept(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {0};
    uint32_t permitted[2], effective[2];

    REQUIRE(prctl(PR_GET_KEEPCAPS) == 0 && prctl(PR_SET_KEEPCAPS, 1) == 0);
    REQUIRE(prctl(PR_GET_KEEPCAPS) == 1);
    REQUIRE_ERRNO(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
    REQUIRE(setuid(USER) == 0 && capability_sets(permitted, effective));
    REQUIRE(permitted[0] != 0 && effective[0] == 0);
    d[0].permitted = d[0].effective = 1u << CAP_CHOWN;
    REQUIRE(syscall(SYS_capset, &h, d) == 0);
    REQUIRE(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1);
    REQUIRE_ERRNO(prctl(PR_CAPBSET_READ, 99), EINVAL);
    REQUIRE_ERRNO(prctl(PR_CAPBSET_DROP, CAP_CHOWN), EPERM);
    REQUIRE(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 0);
    REQUIRE_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), EPERM);
    d[0].inheritable = 1u << CAP_CHOWN;
    REQUIRE(syscall(SYS_capset, &h, d) == 0);
    REQUIRE(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) == 0);
    REQUIRE(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 1);
    REQUIRE(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
}

/* ---- Signals ---- */

static void child_signals(void)
{
    pid_t theirs = fork(), mine;

    if (theirs == 0) {
        if (setuid(OTHER) == 0)
            pause();
        _exit(1);
    }
    while (kill(theirs, 0) == 0) { /* until it is the other user's */
        char path[64], line[128] = "";
        FILE *status;
        unsigned uid = 0;

        snprintf(path, sizeof(path), "/proc/%d/status", theirs);
        status = fopen(path, "r");
        REQUIRE(status != NULL);
        while (fgets(line, sizeof(line), status))
            sscanf(line, "Uid: %u", &uid);
        fclose(status);
        if (uid == OTHER)
            break;
    }
    mine = fork();
    if (mine == 0) {
        REQUIRE(setuid(USER) == 0);
        REQUIRE_ERRNO(kill(theirs, SIGTERM), EPERM);
        REQUIRE_ERRNO(kill(theirs, 0), EPERM);
        REQUIRE_ERRNO(syscall(SYS_tgkill, theirs, theirs, SIGTERM), EPERM);
        REQUIRE(kill(theirs, SIGCONT) == 0); /* it is of the same session */
        REQUIRE_ERRNO(kill(1, SIGTERM), EPERM);
        REQUIRE(kill(getpid(), 0) == 0);
        _exit(0);
    }
    int status;
    REQUIRE(waitpid(mine, &status, 0) == mine && status == 0);
    REQUIRE(kill(theirs, SIGKILL) == 0 && waitpid(theirs, &status, 0) == theirs);
    REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ---- Programs ---- */

static void child_exec_plain(void)
{
    char *argv[] = {"self", "--say", "1000 1000 1000 0", NULL};

    REQUIRE(setuid(USER) == 0);
    execv("/proc/self/exe", argv);
    REQUIRE(false);
}

/* A copy of this program that runs as another user, whoever starts it. */
static void child_exec_set_user(void)
{
    char path[128], buffer[65536], *argv[] = {path, "--say", "1000 1001 1001 1", NULL};
    int from = open("/proc/self/exe", O_RDONLY), to;
    ssize_t n;

    snprintf(path, sizeof(path), "%s/program", scratch());
    to = open(path, O_CREAT | O_WRONLY, 0755);
    while ((n = read(from, buffer, sizeof(buffer))) > 0)
        REQUIRE(write(to, buffer, (size_t)n) == n);
    REQUIRE(n == 0 && close(to) == 0);
    REQUIRE(chown(path, OTHER, 0) == 0 && chmod(path, 04755) == 0 && setuid(USER) == 0);
    pid_t child = fork();
    if (child == 0) { /* it may gain nothing: the bit has no effect */
        argv[2] = "1000 1000 1000 0";
        REQUIRE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
        REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        REQUIRE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
        REQUIRE_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
        execv(path, argv);
        REQUIRE(false);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    execv(path, argv);
    REQUIRE(false);
}

static void child_exec_refused(void)
{
    char path[128], *argv[] = {path, NULL};

    snprintf(path, sizeof(path), "%s/program", scratch());
    REQUIRE(close(open(path, O_CREAT | O_WRONLY, 0700)) == 0 && chmod(path, 0700) == 0);
    REQUIRE(setuid(USER) == 0);
    REQUIRE_ERRNO(execv(path, argv), EACCES);
}

/* What the new program finds: its users, and whether it must not trust its caller. */
static int say(const char *expected)
{
    uid_t r, e, s;
    char found[64];

    getresuid(&r, &e, &s);
    snprintf(found, sizeof(found), "%u %u %u %lu", r, e, s, getauxval(AT_SECURE));
    if (strcmp(found, expected) != 0)
        printf("the program is %s, not %s\n", found, expected);
    return strcmp(found, expected) == 0 && getauxval(AT_UID) == r && getauxval(AT_EUID) == e ? 0
                                                                                             : 1;
}

/* ---- Other attributes of processes ---- */

static void child_death_signal(void)
{
    int ready[2], parent_status;
    char byte;
    int number = 0;

    REQUIRE(pipe(ready) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    pid_t parent = fork();
    if (parent == 0) {
        pid_t child = fork();

        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            prctl(PR_GET_PDEATHSIG, &number);
            if (write(ready[1], number == SIGTERM ? "y" : "n", 1) != 1)
                _exit(2);
            pause();
            _exit(3);
        }
        _exit(read(ready[0], &byte, 1) == 1 && byte == 'y' ? 0 : 1);
    }
    REQUIRE(waitpid(parent, &parent_status, 0) == parent && parent_status == 0);
    /* The orphan is ours now, and its parent's end has ended it. */
    REQUIRE(wait(&parent_status) > 0);
    REQUIRE(WIFSIGNALED(parent_status) && WTERMSIG(parent_status) == SIGTERM);
}

static void *say_user(void *arg)
{
    *(uid_t *)arg = geteuid();
    return NULL;
}

static void child_threads(void)
{
    pthread_t thread;
    uid_t found = 0;

    REQUIRE(setuid(USER) == 0);
    REQUIRE(pthread_create(&thread, NULL, say_user, &found) == 0);
    REQUIRE(pthread_join(thread, NULL) == 0 && found == USER);
}

#define CHILD_TEST(name)                                                                           \
    static void test_##name(void)                                                                  \
    {                                                                                              \
        CHECK(in_child(child_##name) == 0);                                                        \
    }
CHILD_TEST(set_all)
CHILD_TEST(effective)
CHILD_TEST(two)
CHILD_TEST(groups)
CHILD_TEST(file_user)
CHILD_TEST(capabilities)
CHILD_TEST(kept)
CHILD_TEST(signals)
CHILD_TEST(exec_plain)
CHILD_TEST(exec_set_user)
CHILD_TEST(exec_refused)
CHILD_TEST(death_signal)
CHILD_TEST(threads)
CHILD_TEST(permissions)
CHILD_TEST(folders)
CHILD_TEST(sticky)
CHILD_TEST(owners)
CHILD_TEST(access)
CHILD_TEST(set_group)
CHILD_TEST(search)
CHILD_TEST(sockets)
CHILD_TEST(proc)

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"set_all", test_set_all},
        {"effective", test_effective},
        {"two", test_two},
        {"groups", test_groups},
        {"file_user", test_file_user},
        {"capabilities", test_capabilities},
        {"kept", test_kept},
        {"signals", test_signals},
        {"exec_plain", test_exec_plain},
        {"exec_set_user", test_exec_set_user},
        {"exec_refused", test_exec_refused},
        {"death_signal", test_death_signal},
        {"threads", test_threads},
        {"permissions", test_permissions},
        {"folders", test_folders},
        {"sticky", test_sticky},
        {"owners", test_owners},
        {"access", test_access},
        {"set_group", test_set_group},
        {"search", test_search},
        {"sockets", test_sockets},
        {"proc", test_proc},
    };

    if (argc == 3 && strcmp(argv[1], "--say") == 0)
        return say(argv[2]);
    return RUN_TESTS(tests, argc, argv);
}
