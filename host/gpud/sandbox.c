/*
 * sandbox.c: see sandbox.h. A guest's kernels run as machine code in the device process (PoCL) and a
 * guest's program text goes through a compiler that can include files: neither may reach what the
 * user who started gpud can reach. Landlock also keeps it from tracing processes outside.
 *
 * One program may be started: the linker, which PoCL has LLVM run for each kernel it builds. It
 * inherits all of this.
 */
#include "sandbox.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "log.h"
#include "sandbox_calls.h"
#include "user.h"

/* Rights newer than the distribution's header, each from the Landlock version named. */
#define RIGHT_TRUNCATE (1ull << 14) /* 3 */
#define RIGHT_IOCTL    (1ull << 15) /* 5 */
#define NET_RIGHTS     3ull         /* 4: to bind and to connect TCP sockets; none is given */

#define READ_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RUN_RIGHTS  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE)
#define FILE_RIGHTS                                                                                  \
    (RUN_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE | RIGHT_IOCTL) /* that a file can have */
#define BASE_RIGHTS (READ_RIGHTS | LANDLOCK_ACCESS_FS_EXECUTE | ((1ull << 13) - 1) | LANDLOCK_ACCESS_FS_REFER)

/* As the kernel has it since version 4; earlier ones take the first field alone. */
struct ruleset {
    uint64_t files;
    uint64_t net;
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define MORE_TASKS 1024u        /* beyond what the user runs already: the limit is the user's */
#define FILE_BYTES (1ull << 30) /* one file of the cache */
#define OPEN_FILES 1024u
#define DRIVER_FILES 16384u /* a GPU's driver opens the device many times */

/* Processes and threads of a user. */
static rlim_t tasks_count(uid_t user)
{
    rlim_t count = 0;
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        char path[300];
        struct stat tasks;
        snprintf(path, sizeof(path), "/proc/%s/task", entry->d_name);
        if (isdigit((unsigned char)entry->d_name[0]) && stat(path, &tasks) == 0 &&
            tasks.st_uid == user)
            count += tasks.st_nlink - 2; /* a folder each */
    }
    if (folder)
        closedir(folder);
    return count;
}

/* Sets a limit to `value`, or leaves a stricter one. */
static void limit_set(int what, rlim_t value)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)what, &limit) == 0 && limit.rlim_max < value)
        value = limit.rlim_max;
    limit = (struct rlimit){value, value};
    setrlimit((__rlimit_resource_t)what, &limit);
}

static void limits_set(rlim_t open_files)
{
    limit_set(RLIMIT_CORE, 0);
    limit_set(RLIMIT_NOFILE, open_files);
    limit_set(RLIMIT_FSIZE, FILE_BYTES);
}

/* What root may beyond its own files, a process of root's in here may not. */
static void capabilities_drop(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capset, &header, none) < 0)
        log_line("capabilities cannot be dropped: %s", strerror(errno));
}

/* A folder with all below it, or one file, which has no folder's rights. Returns a descriptor of it, or -1. */
static int path_hold(int rules, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};
    struct stat what;
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return -1; /* what is not there needs no right */
    if (fstat(rule.parent_fd, &what) == 0 && !S_ISDIR(what.st_mode))
        rule.allowed_access &= FILE_RIGHTS;
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    return rule.parent_fd;
}

static void path_allow(int rules, const char *path, uint64_t rights)
{
    int held = path_hold(rules, path, rights);
    if (held >= 0)
        close(held);
}

static void paths_allow(int rules, const char *const paths[], size_t count, uint64_t rights)
{
    for (size_t i = 0; i < count; i++)
        path_allow(rules, paths[i], rights);
}

/* The compiler moves files between folders of its cache, which version 1 cannot allow. */
static bool ruleset_make(struct ruleset *set, int *rules)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 2)
        return false;
    set->files =
        BASE_RIGHTS | (version >= 3 ? RIGHT_TRUNCATE : 0) | (version >= 5 ? RIGHT_IOCTL : 0);
    set->net = version >= 4 ? NET_RIGHTS : 0;
    size_t bytes = version >= 4 ? sizeof(*set) : sizeof(set->files);
    *rules = (int)syscall(SYS_landlock_create_ruleset, set, bytes, 0);
    return *rules >= 0;
}

static void rules_enter(int rules)
{
    if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        log_line("Landlock failed: %s", strerror(errno));
    close(rules);
}

/*
 * The host's other devices are no machine's business: where gpud is root's, a disk would be open to a
 * guest's kernel.
 */
static void devices_allow(int rules, uint64_t rights)
{
    static const char *const patterns[] = {"/dev/null", "/dev/zero",    "/dev/random", "/dev/urandom",
                                           "/dev/dri",  "/dev/kfd",     "/dev/accel",  "/dev/dxg",
                                           "/dev/mali*", "/dev/nvidia*"};
    path_allow(rules, "/dev", LANDLOCK_ACCESS_FS_READ_DIR);
    for (size_t i = 0; i < LENGTH(patterns); i++) {
        glob_t found;
        if (glob(patterns[i], 0, NULL, &found))
            continue;
        for (size_t j = 0; j < found.gl_pathc; j++)
            path_allow(rules, found.gl_pathv[j], rights);
        globfree(&found);
    }
}

/* The folders that the libraries were to be looked for in, by whoever started gpud. */
static void library_folders_allow(int rules)
{
    const char *list = getenv("LD_LIBRARY_PATH");
    char *copy = list ? strdup(list) : NULL, *rest = NULL;
    for (char *folder = copy ? strtok_r(copy, ":;", &rest) : NULL; folder; folder = strtok_r(NULL, ":;", &rest))
        if (folder[0] == '/' && folder[1])
            path_allow(rules, folder, READ_RIGHTS);
    free(copy);
}

/*
 * NVIDIA's driver names its threads by writing /proc/self/task/N/comm, and does not start where it may not. The
 * folder's descriptor stays open: the rule is the inode's, and the next look-up would make another.
 */
static void driver_allow(int rules, const struct ruleset *set)
{
    static const char *const facts[] = {"/etc/nvidia", "/run/opengl-driver", "/proc/filesystems", "/proc/self/exe"};
    paths_allow(rules, facts, LENGTH(facts), READ_RIGHTS);
    library_folders_allow(rules);
    path_hold(rules, "/proc/self/task",
              (READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE) & set->files);
}

static void files_shut(enum sandbox_kind kind, const char *folder)
{
    static const char *const linkers[] = {"/usr/bin/ld", "/usr/bin/ld.bfd", "/usr/bin/ld.gold",
                                          "/usr/bin/ld.lld", "/lib64/ld-linux-x86-64.so.2"};
    static const char *const software[] = {"/usr",  "/lib", "/lib64",      "/bin",
                                           "/sbin", "/opt", "/etc/OpenCL", "/etc/ld.so.cache"};
    /* Of this process and of the hardware: nothing of other processes. */
    static const char *const facts[] = {
        "/proc/self",   "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/devices",
        "/proc/modules", "/proc/driver",  "/proc/sys",     "/sys/class", "/sys/bus",      "/sys/dev",
        "/sys/devices", "/sys/module",   "/sys/kernel/mm", "/sys/fs/cgroup"};
    struct ruleset set;
    int rules;
    if (!ruleset_make(&set, &rules)) {
        log_line("no Landlock 2 in this kernel: a guest's kernels reach what gpud's user can");
        return;
    }
    paths_allow(rules, software, LENGTH(software), READ_RIGHTS);
    paths_allow(rules, facts, LENGTH(facts), READ_RIGHTS);
    paths_allow(rules, linkers, LENGTH(linkers), RUN_RIGHTS);
    devices_allow(rules, (READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_IOCTL) & set.files);
    path_allow(rules, folder, set.files & ~LANDLOCK_ACCESS_FS_EXECUTE);
    if (kind == SANDBOX_DRIVER)
        driver_allow(rules, &set);
    rules_enter(rules);
}

/* Who becomes another user lives on without his parent, unless he says so again. */
static void parent_keep(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
}

static void rights_drop(rlim_t open_files)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    limits_set(open_files);
}

/* Whether GPUD_SANDBOX has it left away. */
static bool is_left_away(const char *wish, const char *what)
{
    if (!wish || (strcmp(wish, what) != 0 && strcmp(wish, "none") != 0))
        return false;
    log_line("GPUD_SANDBOX=%s: the device process may use all the %s that gpud's user may", wish, what);
    return true;
}

/* Who becomes another user may not look at himself in /proc, unless he says that this is fine: libraries do. */
int sandbox_enter(enum sandbox_kind kind, const char *folder, uid_t user)
{
    const char *wish = getenv("GPUD_SANDBOX");
    pid_t parent = getppid();
    rights_drop(kind == SANDBOX_DRIVER ? DRIVER_FILES : OPEN_FILES);
    limit_set(RLIMIT_NPROC, tasks_count(user) + MORE_TASKS);
    if (!is_left_away(wish, "files"))
        files_shut(kind, folder);
    if (user_become(user, true))
        return -1;
    prctl(PR_SET_DUMPABLE, 1);
    capabilities_drop();
    parent_keep(parent);
    return is_left_away(wish, "calls") ? 0 : sandbox_calls_shut(kind, wish && strcmp(wish, "strict") == 0);
}

int sandbox_enter_front(uid_t user)
{
    pid_t parent = getppid();
    struct ruleset set;
    int rules;
    rights_drop(OPEN_FILES);
    if (ruleset_make(&set, &rules))
        rules_enter(rules); /* which allow nothing */
    if (user_become(user, false))
        return -1;
    capabilities_drop();
    parent_keep(parent);
    return sandbox_calls_shut_front();
}

void sandbox_settle_front(void)
{
    limit_set(RLIMIT_NPROC, 0);
}
