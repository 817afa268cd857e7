/*
 * policy_module.h: for modules that bring a policy. Thread context.
 */
#pragma once

#include <microlake/boot.h>
#include <microlake/memory.h>
#include <microlake/policy.h>

/*
 * Registers p, and makes it the machine's where the command line's option of the class's name says so
 * ("sched=sched_fair"). unasked: also where there is no such option. As policy_register() and policy_set(); after an
 * error p is not registered.
 */
static inline int policy_offer(const char *class_name, struct policy *p, bool unasked)
{
    const char *choice = boot_option(class_name, 0);
    int r = policy_register(class_name, p);

    if (r != OK || !(choice ? !strcmp(choice, p->name) : unasked))
        return r;
    r = policy_set(class_name, p->name);
    if (r != OK)
        policy_unregister(class_name, p);
    return r;
}
