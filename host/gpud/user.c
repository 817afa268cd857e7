/* user.c: see user.h. */
#include "user.h"

#include <errno.h>
#include <glob.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "log.h"

/* systemd's list of such ranges leaves all from here on to nobody. A process's number is below 4,194,304. */
#define DEVICES_FIRST 2000000000u
#define FRONTS_FIRST  2010000000u
#define LAST_NUMBER   4194304u
#define NOBODY        65534u /* in a container that has no such numbers */

#define GROUPS_MOST 16u

/* Whether this process may become another user, and then end and clean up what that has. */
static bool has_capabilities(void)
{
    static const unsigned needed[] = {CAP_SETUID, CAP_SETGID, CAP_CHOWN, CAP_KILL, CAP_DAC_OVERRIDE};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    bool all = syscall(SYS_capget, &header, data) == 0;
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        all &= data[0].effective >> needed[i] & 1;
    return all;
}

/* Whether users of both numbers are known where this process is, in a container maybe. */
static bool are_mapped(uid_t from, uid_t to)
{
    unsigned first, outside, count;
    bool found = false;
    FILE *map = fopen("/proc/self/uid_map", "r");
    while (map && !found && fscanf(map, "%u %u %u", &first, &outside, &count) == 3)
        found = from >= first && to - first < count;
    if (map)
        fclose(map);
    return found;
}

/* See sandbox.h. */
static bool is_left_away(const char *wish)
{
    return wish && (strcmp(wish, "users") == 0 || strcmp(wish, "none") == 0);
}

static uid_t user_of(uid_t first, pid_t number)
{
    if (geteuid() || !has_capabilities() || is_left_away(getenv("GPUD_SANDBOX")))
        return geteuid();
    if (are_mapped(DEVICES_FIRST, FRONTS_FIRST + LAST_NUMBER))
        return first + (uid_t)number;
    return are_mapped(NOBODY, NOBODY) ? NOBODY : geteuid();
}

uid_t user_of_devices(pid_t keeper)
{
    return user_of(DEVICES_FIRST, keeper);
}

uid_t user_of_front(pid_t keeper)
{
    return user_of(FRONTS_FIRST, keeper);
}

uid_t user_of_sharers(void)
{
    return user_of(DEVICES_FIRST, 0);
}

bool user_is_ours(uid_t owner)
{
    bool device = (owner >= DEVICES_FIRST && owner <= DEVICES_FIRST + LAST_NUMBER) || owner == NOBODY;
    return owner == geteuid() || (!geteuid() && device);
}

static void group_add(gid_t *groups, size_t *count, gid_t group)
{
    for (size_t i = 0; i < *count; i++)
        if (groups[i] == group)
            return;
    if (group && *count < GROUPS_MOST)
        groups[(*count)++] = group;
}

/* Such as "render" and "video". */
static size_t gpu_groups(gid_t *groups)
{
    static const char *const patterns[] = {"/dev/dri/*", "/dev/kfd", "/dev/accel/*", "/dev/mali*", "/dev/nvidia*"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        glob_t found;
        struct stat device;
        if (glob(patterns[i], 0, NULL, &found))
            continue;
        for (size_t j = 0; j < found.gl_pathc; j++)
            if (stat(found.gl_pathv[j], &device) == 0 && S_ISCHR(device.st_mode) && (device.st_mode & S_IWGRP))
                group_add(groups, &count, device.st_gid);
        globfree(&found);
    }
    return count;
}

int user_become(uid_t user, bool gpus)
{
    gid_t groups[GROUPS_MOST];
    if (user == geteuid())
        return 0;
    size_t count = gpus ? gpu_groups(groups) : 0;
    if (setgroups(count, groups) == 0 && setresgid(user, user, user) == 0 && setresuid(user, user, user) == 0)
        return 0;
    log_line("a process cannot become user %u: %s", user, strerror(errno));
    return -1;
}
