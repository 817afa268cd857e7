/*
 * host.c: the machine's channel to its host, and the machine's end.
 */
#include <arch/arch.h>
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#define STAT_MAX 200

static const struct host_channel no_channel;
static const struct host_channel *channel = &no_channel;

void host_channel_set(const struct host_channel *c)
{
    __atomic_store_n(&channel, c ? c : &no_channel, __ATOMIC_RELEASE);
}

const struct host_channel *host_channel(void)
{
    return __atomic_load_n(&channel, __ATOMIC_ACQUIRE);
}

void host_mark(const char *name)
{
    const struct host_channel *c = host_channel();

    if (c->mark)
        c->mark(name);
}

void host_stat(const char *format, ...)
{
    const struct host_channel *c = host_channel();
    char text[STAT_MAX];
    va_list args;

    if (!c->stat)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    c->stat(text);
}

void machine_exit(unsigned status)
{
    const struct host_channel *c = host_channel();

    log_info("machine: ends with status %u", status);
    if (c->exit)
        c->exit(status);
    machine_power_off(status);
}
