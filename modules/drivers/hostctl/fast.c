/*
 * fast.c: the faster line. A byte through the serial port costs the host an exit of the virtual
 * machine, but the port needs no start; so the modules of the faster line are loaded only once a
 * machine shows that it has more to carry than a few lines.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/module.h>

#include "port.h"

#define OPTION    "hostctl.fast" /* the modules, with commas between them */
#define ENOUGH    4096u          /* bytes of streams through the serial port, both ways */
#define NAMES_MAX 128u

static uint32_t carried; /* up to ENOUGH; any CPU */
static bool tried;       /* any CPU */

static void modules_load(char *names)
{
    while (names) {
        char *end = strchr(names, ',');

        if (end)
            *end++ = '\0';
        if (module_load(names) != OK)
            return;
        names = end;
    }
}

/* The list of modules; "" when there is none. */
static void names_read(char names[NAMES_MAX])
{
    const char *option;

    names[0] = '\0';
    for (unsigned nth = 0; (option = boot_option(OPTION, nth)); nth++)
        if (strlcpy(names, option, NAMES_MAX) >= NAMES_MAX)
            names[0] = '\0';
}

void fast_note(size_t bytes)
{
    char names[NAMES_MAX];

    if (__atomic_load_n(&tried, __ATOMIC_RELAXED) ||
        __atomic_add_fetch(&carried, (uint32_t)MIN(bytes, ENOUGH), __ATOMIC_RELAXED) < ENOUGH)
        return;
    if (__atomic_exchange_n(&tried, true, __ATOMIC_RELAXED))
        return;
    names_read(names);
    if (names[0])
        modules_load(names);
}

int hostctl_carry(const struct hostctl_carrier *carrier)
{
    int r = host_channel()->write ? transmit_carry(carrier) : ERR_NOT_FOUND;

    if (r == OK)
        log_debug("hostctl: the channel moves to the faster line");
    return r;
}
