/*
 * sandbox.c: see sandbox.h. A guest's kernels run as machine code in the worker (PoCL) and a
 * guest's program text goes through a compiler that can include files: neither may reach what the
 * user who started gpud can reach. Landlock also keeps the worker from tracing processes outside.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "log.h"

#define READ_RIGHTS                                                                                \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ALL_RIGHTS                                                                                 \
    (READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                 \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

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

static void files_shut(const char *folder)
{
    static const char *const readable[] = {"/usr", "/lib",        "/lib64", "/bin", "/sbin",
                                           "/opt", "/etc/OpenCL", "/proc",  "/sys"};
    static const char *const files[] = {"/etc/ld.so.cache"};
    struct landlock_ruleset_attr attributes = {.handled_access_fs = ALL_RIGHTS};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
    if (rules < 0) {
        log_line("this kernel has no Landlock: the worker can read what its user can read");
        return;
    }
    for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++)
        folder_allow(rules, readable[i], READ_RIGHTS);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        folder_allow(rules, files[i], LANDLOCK_ACCESS_FS_READ_FILE);
    folder_allow(rules, "/dev", READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE);
    folder_allow(rules, folder, ALL_RIGHTS);
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
