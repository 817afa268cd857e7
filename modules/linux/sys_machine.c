/*
 * sys_machine.c: calls about the machine: uname, sysinfo, random numbers; and calls that are absent
 * on purpose.
 */
#include <microlake/memory.h>
#include <microlake/random.h>
#include <microlake/time.h>
#include <microlake/user.h>

#include "modules/linux/machine.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

long sys_uname(struct call *c)
{
    static const struct linux_utsname name = {
        .sysname = "Linux",
        .nodename = LINUX_NODE_NAME,
        .release = LINUX_RELEASE,
        .version = LINUX_VERSION,
        .machine = "x86_64",
        .domainname = LINUX_DOMAIN_NAME,
    };

    return user_write(c->arg[0], &name, sizeof(name));
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
