/*
 * mlaas.h: what module mlaas, the policy manager, offers to other modules: pilots.
 *
 * A pilot sets the policy of a class by itself, for as long as the machine's owner lets it: he writes
 * its name to /sys/kernel/mlaas/classes/CLASS/pilot, and takes the class back by writing "none" there, or
 * a policy's name to classes/CLASS/policy.
 *
 * A module that uses this names "mlaas" in its manifest's needs and modules/mlaas/core in its NEEDS.
 * All functions and callbacks: thread context, may sleep.
 */
#pragma once

#include <microlake/policy.h>

#include "modules/linux/include/linux_text.h"

/*
 * The callbacks come one at a time and with the manager's lock held: they may call what policy.h has, but
 * none of the functions below, and must not wait for a thread that may be in one of them.
 */
struct mlaas_pilot {
    const char *name; /* as a policy's; "none" is nobody's */

    /* The class is the pilot's from now on. An error: it won't have it, and the writer is told. */
    int (*take)(void *context, const char *class_name);

    /* It is no longer: mlaas_pilot_set() refuses from now on. */
    void (*leave)(void *context, const char *class_name);

    /* Adds lines "pilot.NAME value" to the class's stats. NULL: nothing to say. */
    void (*describe)(void *context, const char *class_name, struct text *out);

    /*
     * What it has learned of the class, as lines, and such a line of another machine's (with its NUL): file
     * classes/CLASS/knowledge. ERR_INVALID: it is no such line; ERR_NOT_FOUND: of a policy that is not there.
     * NULL: it learns nothing that could be kept.
     */
    void (*recall)(void *context, const char *class_name, struct text *out);
    int (*teach)(void *context, const char *class_name, const char *line);

    void *context;
};

/* p must outlive its registration. ERR_EXISTS, ERR_INVALID, ERR_LIMIT. */
int mlaas_pilot_register(const struct mlaas_pilot *p);

/* It leaves its classes, whose policies stay as they are; on return nobody is inside it. */
void mlaas_pilot_unregister(const struct mlaas_pilot *p);

/* Makes a policy the machine's, for the pilot of the class. ERR_ACCESS: the class is not p's (any more), or
 * the policy is retired. Others as policy_set(). */
int mlaas_pilot_set(const struct mlaas_pilot *p, const char *class_name, const char *policy_name);
