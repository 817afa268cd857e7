/*
 * sys_machine.c: calls about the machine: its names, sysinfo, random numbers; and calls that are absent
 * on purpose.
 */
#include <microlake/memory.h>
#include <microlake/random.h>
#include <microlake/time.h>
#include <microlake/user.h>
#include <microlake/wait.h>

#include "modules/linux/machine.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

static struct mutex names_lock = MUTEX_INIT(names_lock);
static struct linux_utsname names = {
    /* guarded by names_lock */
    .sysname = "Linux",
    .nodename = LINUX_NODE_NAME,
    .release = LINUX_RELEASE,
    .version = LINUX_VERSION,
    .machine = "x86_64",
    .domainname = LINUX_DOMAIN_NAME,
};

static char *name_of(enum machine_name which)
{
    return which == MACHINE_NODE_NAME ? names.nodename : names.domainname;
}

void machine_name_get(enum machine_name which, char out[LINUX_UTS_FIELD])
{
    mutex_lock(&names_lock);
    memcpy(out, name_of(which), LINUX_UTS_FIELD);
    mutex_unlock(&names_lock);
}

void machine_name_set(enum machine_name which, const char *name, size_t size)
{
    char text[LINUX_UTS_FIELD] = "";

    memcpy(text, name, MIN(size, sizeof(text) - 1));
    mutex_lock(&names_lock);
    memcpy(name_of(which), text, sizeof(text));
    mutex_unlock(&names_lock);
}

long sys_uname(struct call *c)
{
    struct linux_utsname copy;

    mutex_lock(&names_lock);
    copy = names;
    mutex_unlock(&names_lock);
    return user_write(c->arg[0], &copy, sizeof(copy));
}

static long set_name(struct call *c, enum machine_name which)
{
    int32_t size = (int32_t)c->arg[1];
    char name[LINUX_UTS_FIELD];

    if (!capable(CAP_SYS_ADMIN))
        return LINUX_ERRNO(EPERM);
    if (size < 0 || size >= LINUX_UTS_FIELD)
        return ERR_INVALID;
    if (user_read(name, c->arg[0], (size_t)size) != OK)
        return ERR_FAULT;
    machine_name_set(which, name, (size_t)size);
    return 0;
}

long sys_sethostname(struct call *c)
{
    return set_name(c, MACHINE_NODE_NAME);
}

long sys_setdomainname(struct call *c)
{
    return set_name(c, MACHINE_DOMAIN_NAME);
}

long sys_sysinfo(struct call *c)
{
    struct memory_stats memory;
    struct linux_sysinfo s;

    memory_stats(&memory);
    s = (struct linux_sysinfo){
        .uptime = (int64_t)(time_now() / NS_PER_SEC),
        .total_ram = memory.total,
        .free_ram = memory.free,
        .processes = (uint16_t)MIN(process_counts.tasks, UINT16_MAX),
        .unit = 1,
    };
    return user_write(c->arg[0], &s, sizeof(s));
}

long sys_getrandom(struct call *c)
{
    uint64_t flags = c->arg[2], size = MIN(c->arg[1], (uint64_t)INT32_MAX), done = 0;
    uint8_t bytes[256];

    if ((flags & ~(uint64_t)(LINUX_GRND_NONBLOCK | LINUX_GRND_RANDOM | LINUX_GRND_INSECURE)) ||
        (flags & (LINUX_GRND_RANDOM | LINUX_GRND_INSECURE)) ==
            (LINUX_GRND_RANDOM | LINUX_GRND_INSECURE))
        return ERR_INVALID;
    while (done < size) {
        size_t n = MIN(size - done, sizeof(bytes));

        if (done > 0 && done % PAGE_SIZE == 0 && signal_waits(c->task))
            break;
        random_bytes(bytes, n);
        if (user_write(c->arg[0] + done, bytes, n) != OK)
            return done > 0 ? (long)done : ERR_FAULT;
        done += n;
    }
    return (long)done;
}
