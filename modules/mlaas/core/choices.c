/*
 * choices.c: policies of single programs: /sys/kernel/mlaas/choices.
 *
 * Linux processes know what was chosen for them (linux_policy.h), so nothing is kept here of those. What is
 * chosen for a name is kept: each exec of a program of that name gives its process the policy.
 */
#include <microlake/log.h>
#include <microlake/memory.h>

#include "core.h"
#include "modules/linux/include/linux_policy.h"
#include "modules/mlaas/core/choice_text.h"

#define CHOICES_PATH MLAAS_ROOT "/choices"
#define RULES_MAX    64u

/* From now on programs of this name have this policy. */
struct rule {
    char class_name[POLICY_NAME_MAX], policy[POLICY_NAME_MAX];
    char program[CHOICE_PROGRAM_MAX];
};

static struct mutex choices_lock = MUTEX_INIT(choices_lock);
static struct rule *rules[RULES_MAX]; /* guarded by choices_lock; NULL: free */

/* ---- Whose number is it ------------------------------------------------------------------------ */

struct numbered {
    uint64_t number;
    char class_name[POLICY_NAME_MAX], policy[POLICY_NAME_MAX];
};

struct numbers {
    unsigned count;
    struct numbered list[POLICY_CLASSES_MAX * POLICIES_MAX];
};

/* What is registered now, so that processes can be looked at without sleeping. NULL: no memory. */
static struct numbers *numbers_take(void)
{
    struct numbers *n = kmalloc(sizeof(*n));
    struct policy_info info;

    if (!n)
        return NULL;
    n->count = 0;
    for (unsigned i = 0; i < managed_now(); i++)
        for (unsigned k = 0; policy_info(managed[i].name, k, &info) == OK && n->count < ARRAY_SIZE(n->list);
             k++) {
            struct numbered *to = &n->list[n->count++];

            to->number = info.number;
            strlcpy(to->class_name, managed[i].name, sizeof(to->class_name));
            strlcpy(to->policy, info.name, sizeof(to->policy));
        }
    return n;
}

static const struct numbered *number_find(const struct numbers *n, uint64_t number)
{
    for (unsigned i = 0; number && i < n->count; i++)
        if (n->list[i].number == number)
            return &n->list[i];
    return NULL;
}

/* ---- Choices that nobody has any more ---------------------------------------------------------- */

struct search {
    uint64_t number;
    bool found;
};

static void number_seek(int pid, const uint64_t numbers[POLICY_CLASSES_MAX], void *context)
{
    struct search *s = context;

    (void)pid;
    for (unsigned i = 0; i < POLICY_CLASSES_MAX; i++)
        s->found |= numbers[i] == s->number;
}

static bool rule_names_locked(const char *class_name, const char *policy)
{
    for (unsigned i = 0; i < RULES_MAX; i++)
        if (rules[i] && !strcmp(rules[i]->class_name, class_name) && !strcmp(rules[i]->policy, policy))
            return true;
    return false;
}

/* A policy that stands beside the machine's goes when no program and no rule wants it. */
static void choices_gather_locked(const char *class_name)
{
    struct policy_info info;

    for (unsigned i = 0; policy_info(class_name, i, &info) == OK; i++) {
        struct search s = {.number = info.number};

        if (!info.active || info.machine || rule_names_locked(class_name, info.name))
            continue;
        linux_policy_for_each(number_seek, &s);
        if (!s.found)
            policy_choose_end(class_name, info.number);
    }
}

static const char *machines_name(const char *class_name, struct policy_info *info)
{
    for (unsigned i = 0; policy_info(class_name, i, info) == OK; i++)
        if (info->machine)
            return info->name;
    return "none";
}

/* The log says why a policy can't be had beside the others. */
static int choose_locked(const char *class_name, const char *policy, uint64_t *number)
{
    struct policy_info info;
    int r;

    choices_gather_locked(class_name);
    r = policy_choose(class_name, policy, number);
    if (r == ERR_UNSUPPORTED)
        log_warn("mlaas: %s: the machine has %s, and neither it nor %s extends the other", class_name,
                 machines_name(class_name, &info), policy);
    if (r == ERR_BUSY)
        log_warn("mlaas: %s: other programs have chosen one that extends %s, as %s does: there is one place",
                 class_name, machines_name(class_name, &info), policy);
    return r;
}

/* ---- By process -------------------------------------------------------------------------------- */

static int process_choose_locked(const struct choice *c, unsigned nth_class)
{
    uint64_t number = 0;
    int r = linux_policy_may_set(c->pid);

    if (r == OK && c->policy[0])
        r = choose_locked(c->class_name, c->policy, &number);
    if (r == OK)
        r = linux_policy_set(c->pid, nth_class, number);
    choices_gather_locked(c->class_name);
    return r;
}

/* ---- By name ----------------------------------------------------------------------------------- */

/* In the thread of a program that has just begun. */
static void program_begins(const char *program)
{
    mutex_lock(&choices_lock);
    for (unsigned i = 0; i < RULES_MAX; i++) {
        const struct managed_class *class;
        uint64_t number;
        int r;

        if (!rules[i] || strcmp(rules[i]->program, program) != 0)
            continue;
        class = managed_find(rules[i]->class_name);
        r = choose_locked(rules[i]->class_name, rules[i]->policy, &number);
        if (r == OK)
            r = linux_policy_set(0, (unsigned)(class - managed), number);
        if (r != OK)
            log_info("mlaas: %s goes on without %s: %s", program, rules[i]->policy, status_name(r));
    }
    mutex_unlock(&choices_lock);
}

static struct rule **rule_slot_locked(const char *class_name, const char *program)
{
    struct rule **free = NULL;

    for (unsigned i = 0; i < RULES_MAX; i++) {
        if (rules[i] && !strcmp(rules[i]->class_name, class_name) && !strcmp(rules[i]->program, program))
            return &rules[i];
        if (!rules[i])
            free = &rules[i];
    }
    return free;
}

static int rule_forget_locked(const struct choice *c)
{
    struct rule **slot = rule_slot_locked(c->class_name, c->program);

    if (!slot || !*slot)
        return ERR_NOT_FOUND;
    kfree(*slot);
    *slot = NULL;
    choices_gather_locked(c->class_name);
    return OK;
}

static int rule_set_locked(const struct choice *c)
{
    struct rule **slot = rule_slot_locked(c->class_name, c->program);
    uint64_t number;
    int r = slot ? choose_locked(c->class_name, c->policy, &number) : ERR_LIMIT;

    if (r != OK)
        return r;
    if (!*slot)
        *slot = kmalloc(sizeof(**slot));
    if (!*slot)
        return ERR_NO_MEMORY;
    memcpy((*slot)->class_name, c->class_name, sizeof(c->class_name));
    memcpy((*slot)->policy, c->policy, sizeof(c->policy));
    memcpy((*slot)->program, c->program, sizeof(c->program));
    return OK;
}

static int program_choose_locked(const struct choice *c)
{
    if (!linux_caller_is_root())
        return LINUX_ERRNO(EPERM);
    return c->policy[0] ? rule_set_locked(c) : rule_forget_locked(c);
}

/* ---- The file ---------------------------------------------------------------------------------- */

static int choices_store(void *context, const char *text, size_t size)
{
    const struct managed_class *class;
    struct choice c;
    int r = strlen(text) == size ? choice_parse(text, &c) : ERR_INVALID;

    (void)context;
    if (r != OK)
        return r;
    class = managed_find(c.class_name);
    if (!class)
        return ERR_NOT_FOUND;
    mutex_lock(&choices_lock);
    r = c.program[0] ? program_choose_locked(&c) : process_choose_locked(&c, (unsigned)(class - managed));
    mutex_unlock(&choices_lock);
    if (r == OK && c.program[0])
        linux_exec_watch(program_begins); /* for good; outside the lock, which it takes */
    return r;
}

struct listing {
    struct text *text;
    const struct numbers *numbers;
};

static void process_add(int pid, const uint64_t numbers[POLICY_CLASSES_MAX], void *context)
{
    const struct listing *l = context;

    for (unsigned i = 0; i < POLICY_CLASSES_MAX; i++) {
        const struct numbered *n = number_find(l->numbers, numbers[i]);

        if (n)
            text_add(l->text, "%s %s pid %d\n", n->class_name, n->policy, pid);
    }
}

static long choices_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct numbers *numbers = numbers_take();
    struct listing l = {&t, numbers};

    (void)context;
    if (!numbers)
        return ERR_NO_MEMORY;
    mutex_lock(&choices_lock);
    for (unsigned i = 0; i < RULES_MAX; i++)
        if (rules[i])
            text_add(&t, "%s %s name %s\n", rules[i]->class_name, rules[i]->policy, rules[i]->program);
    mutex_unlock(&choices_lock);
    linux_policy_for_each(process_add, &l);
    kfree(numbers);
    return text_length(&t);
}

static const struct linux_pseudo_ops choices_ops = {
    .show = choices_show, .store = choices_store, .mode = 0666};

int choices_start(void)
{
    return linux_pseudo_register(CHOICES_PATH, &choices_ops, NULL);
}

void choices_stop(void)
{
    linux_pseudo_unregister(CHOICES_PATH);
    linux_exec_watch(NULL);
    for (unsigned i = 0; i < RULES_MAX; i++) {
        kfree(rules[i]);
        rules[i] = NULL;
    }
}
