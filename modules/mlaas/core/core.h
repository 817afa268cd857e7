/*
 * core.h: what the files of module mlaas share. The module shows the machine's policies and figures
 * below /sys/kernel/mlaas, where mlctl reads and sets them; docs/mlaas.md has the files.
 *
 * A class's state is made when its files are, and stays until the module goes. manager_lock guards what
 * the manager itself decides: pilots and guards. It is taken before the registry's own lock.
 */
#pragma once

#include <microlake/policy.h>
#include <microlake/wait.h>

#include "modules/linux/include/linux_dev.h"
#include "modules/linux/include/linux_text.h"
#include "modules/mlaas/core/guard_rule.h"
#include "modules/mlaas/core/include/mlaas.h"

#define MLAAS_ROOT "/sys/kernel/mlaas"

struct managed_class {
    char name[POLICY_NAME_MAX];

    /* guarded by manager_lock */
    const struct mlaas_pilot *pilot; /* NULL: none */
    struct guard_rule rule;
    struct guard_watch watch;
    uint64_t window_end;             /* of the guard's; time_now() */
};

extern struct mutex manager_lock;
extern struct managed_class managed[POLICY_CLASSES_MAX];
extern unsigned managed_count; /* atomic: a class is whole before it counts */

static inline unsigned managed_now(void)
{
    return __atomic_load_n(&managed_count, __ATOMIC_ACQUIRE);
}

/* The class of that name; NULL: none. */
struct managed_class *managed_find(const char *name);

/* Pseudo files of every policy class, and of the machine. start: OK or a status, with nothing left
 * behind; stop undoes it. */
int classes_start(void);
void classes_stop(void);
int figures_start(void);
void figures_stop(void);
int choices_start(void);
void choices_stop(void);
int profile_start(void);
void profile_stop(void);

/* What modules with policies take is counted from start to stop; what it is: of a policy's module, and of all. */
void policy_memory_start(void);
void policy_memory_stop(void);
void policy_memory_describe(const struct policy_info *p, struct text *t);
void policy_memory_list(struct text *t);

/* What was written, as a word: without the blanks and the line end behind it. ERR_INVALID: nothing or more
 * than a word; ERR_NOT_FOUND: longer than any policy's name. */
int word_take(const char *text, size_t size, char out[POLICY_NAME_MAX]);

/* The files of a class; context: its struct managed_class. */
long policy_show(void *context, char *out, size_t size);
int policy_store(void *context, const char *text, size_t size);
long shadow_show(void *context, char *out, size_t size);
int shadow_store(void *context, const char *text, size_t size);
long stats_show(void *context, char *out, size_t size);
long pilot_show(void *context, char *out, size_t size);
int pilot_store(void *context, const char *text, size_t size);
long knowledge_show(void *context, char *out, size_t size);
int knowledge_store(void *context, const char *text, size_t size);
long guard_show(void *context, char *out, size_t size);
int guard_store(void *context, const char *text, size_t size);

/* Caller holds manager_lock. */
void pilot_end_locked(struct managed_class *c);
void pilot_describe_locked(const struct managed_class *c, struct text *t);
void guard_describe_locked(const struct managed_class *c, struct text *t);

/* Takes all guards back; on return their thread has ended. */
void guards_stop(void);
