/*
 * sandbox.c: see sandbox.h. A guest's kernels run as machine code in the worker (PoCL) and a
 * guest's program text goes through a compiler that can include files: neither may reach what the
 * user who started gpud can reach. Landlock also keeps the worker from tracing processes outside.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "log.h"

/* Rights newer than the distribution's header, each from the Landlock version named. */
#define RIGHT_TRUNCATE (1ull << 14) /* 3 */
#define RIGHT_IOCTL    (1ull << 15) /* 5 */
#define NET_RIGHTS     3ull         /* 4: to bind and to connect TCP sockets; none is given */

#define READ_RIGHTS                                                                                \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define BASE_RIGHTS (READ_RIGHTS | ((1ull << 13) - 1) | LANDLOCK_ACCESS_FS_REFER)

/* As the kernel has it since version 4; earlier ones take the first field alone. */
struct ruleset {
    uint64_t files;
    uint64_t net;
};

static void limits_set(void)
{
    const struct rlimit no_core = {0, 0}, files = {1024, 1024};
    setrlimit(RLIMIT_CORE, &no_core);
    setrlimit(RLIMIT_NOFILE, &files);
}

static void folder_allow(int rules, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return; /* what is not there needs no right */
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
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

static void files_shut(const char *folder)
{
    static const char *const readable[] = {"/usr", "/lib",        "/lib64", "/bin", "/sbin",
                                           "/opt", "/etc/OpenCL", "/proc",  "/sys"};
    struct ruleset set;
    int rules;
    if (!ruleset_make(&set, &rules)) {
        log_line("no Landlock 2 in this kernel: the worker can reach what its user can");
        return;
    }
    for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++)
        folder_allow(rules, readable[i], READ_RIGHTS);
    folder_allow(rules, "/etc/ld.so.cache", LANDLOCK_ACCESS_FS_READ_FILE);
    folder_allow(rules, "/dev",
                 (READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_IOCTL) & set.files);
    folder_allow(rules, folder, set.files);
    if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        log_line("Landlock failed: %s", strerror(errno));
    close(rules);
}

void sandbox_enter(const char *folder)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    limits_set();
    files_shut(folder);
}
