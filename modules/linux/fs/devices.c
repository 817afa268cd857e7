/*
 * devices.c: the devices every Linux program expects: null, zero, full, random, urandom, and the names
 * of terminals, which are tty/'s.
 */
#include <microlake/aspace.h>
#include <microlake/random.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/window.h"
#include "modules/linux/process/process.h"
#include "modules/linux/tty/tty.h"

#define MEMORY_MAJOR 1u /* daemon() of the C library looks whether null is 1:3 */

static long null_read(void *file, vaddr_t at, size_t size, bool nonblock)
{
    (void)file;
    (void)at;
    (void)size;
    (void)nonblock;
    return 0;
}

static long sink_write(void *file, vaddr_t at, size_t size, bool nonblock)
{
    (void)file;
    (void)at;
    (void)nonblock;
    return (long)size;
}

#define ZERO_AT_ONCE (256u << 10)

/* Between two parts of a read that may be long: has somebody a signal for the reader? */
static bool read_ends_here(size_t done)
{
    return done % PAGE_SIZE == 0 && signal_waits(task_current());
}

static long zero_read(void *file, vaddr_t at, size_t size, bool nonblock)
{
    size_t done = 0;

    (void)file;
    (void)nonblock;
    while (done < size && !(done > 0 && read_ends_here(done))) {
        size_t n = MIN(size - done, ZERO_AT_ONCE);

        if (bytes_zero(at + done, n) != OK)
            return done > 0 ? (long)done : ERR_FAULT;
        done += n;
    }
    return (long)done;
}

static int zero_map(void *file, uint64_t offset, uint64_t length, unsigned prot, bool shared,
                    struct memobj **object, uint64_t *object_offset)
{
    (void)file;
    (void)offset;
    (void)prot;
    (void)shared;
    *object_offset = 0;
    return memobj_create_anon(length, object);
}

static long full_write(void *file, vaddr_t at, size_t size, bool nonblock)
{
    (void)file;
    (void)at;
    (void)size;
    (void)nonblock;
    return LINUX_ERRNO(ENOSPC);
}

static long random_read(void *file, vaddr_t at, size_t size, bool nonblock)
{
    uint8_t bytes[256];
    size_t done = 0;

    (void)file;
    (void)nonblock;
    while (done < size && !(done > 0 && read_ends_here(done))) {
        size_t n = MIN(size - done, sizeof(bytes));

        random_bytes(bytes, n);
        if (bytes_out(at + done, bytes, n) != OK)
            return done > 0 ? (long)done : ERR_FAULT;
        done += n;
    }
    return (long)done;
}

static const struct linux_device_ops null_ops = {.read = null_read, .write = sink_write};
static const struct linux_device_ops zero_ops = {
    .read = zero_read, .write = sink_write, .mmap = zero_map};
static const struct linux_device_ops full_ops = {.read = zero_read, .write = full_write};
static const struct linux_device_ops random_ops = {.read = random_read, .write = sink_write};

int devices_register(void)
{
    static const struct {
        const char *name;
        unsigned minor;
        const struct linux_device_ops *ops;
    } devices[] = {
        {"null", 3, &null_ops},
        {"zero", 5, &zero_ops},
        {"full", 7, &full_ops},
        {"random", 8, &random_ops},
        {"urandom", 9, &random_ops},
    };
    static const struct {
        const char *name;
        unsigned mode, device;
        const struct node_ops *ops;
    } terminals[] = {
        {"console", 0600, LINUX_DEVICE_CONSOLE, &console_node_ops},
        {"tty", 0666, LINUX_DEVICE_TTY, &control_node_ops},
        {"ptmx", 0666, LINUX_DEVICE_PTMX, &ptmx_node_ops},
    };

    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        int r = devfs_register(devices[i].name, 0666, MEMORY_MAJOR << 8 | devices[i].minor,
                               devices[i].ops, NULL);

        if (r != OK)
            return r;
    }
    for (size_t i = 0; i < ARRAY_SIZE(terminals); i++) {
        int r = devfs_add(terminals[i].name, terminals[i].mode, terminals[i].device,
                          terminals[i].ops);

        if (r != OK)
            return r;
    }
    return OK;
}
