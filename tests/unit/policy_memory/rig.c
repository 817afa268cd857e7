/*
 * rig.c: see rig.h. One thread; who would sleep goes back to the test.
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "modules/mlaas/core/policy_memory.c"

#define POLICIES 4u
#define HEAP     0x100000ul /* frames lie at the same addresses: they are other places all the same */

_Static_assert(RIG_ACCOUNTS == ACCOUNTS && RIG_PIECES == PIECES, "the tests count on these");

struct managed_class managed[POLICY_CLASSES_MAX] = {{.name = "toys"}};
unsigned managed_count = 1;
unsigned rig_threads, rig_refs;

static char spots[RIG_SPOTS + 1];
static policy_link_fn *watch;
static size_t limit_kib;
static unsigned caller;             /* spot */
static uintptr_t given, taken_back; /* addresses; 0: none */
static enum rig_failure failure;
static unsigned locks_held;
static jmp_buf nothing_to_do;
static struct policy_info policies[POLICIES];
static unsigned policies_count;
static char shown[1024], fallen[1024];

static struct {
    void *(*kmalloc)(size_t size);
    void *(*kzalloc)(size_t size);
    char *(*kstrdup)(const char *s);
    void (*kfree)(void *p);
    paddr_t (*frame_alloc)(unsigned order, unsigned flags);
    void (*frame_free)(paddr_t pa, unsigned order);
} calls;

static const struct module *module_at(unsigned spot)
{
    return (const struct module *)&spots[spot];
}

static bool fails(enum rig_failure what)
{
    bool now = failure == what;

    failure = now ? RIG_FAILS_NOT : failure;
    return now;
}

/* ---- The nucleus ------------------------------------------------------------------------------- */

static void *give(void)
{
    return fails(RIG_FAILS_NUCLEUS) ? NULL : (void *)given;
}

void *kmalloc(size_t size)
{
    (void)size;
    return give();
}

/* Besides what the test gives: the ledger's own memory. */
void *kzalloc(size_t size)
{
    if (given)
        return give();
    return fails(RIG_FAILS_LEDGER) ? NULL : calloc(1, size);
}

char *kstrdup(const char *s)
{
    (void)s;
    return give();
}

static void take_back(uintptr_t address)
{
    assert_int_equal(taken_back, 0);
    assert_int_equal(locks_held, 0);
    taken_back = address;
}

void kfree(void *p)
{
    if (given || !p)
        take_back((uintptr_t)p);
    else
        free(p);
}

paddr_t frame_alloc(unsigned order, unsigned flags)
{
    (void)order;
    assert_int_equal(flags, FRAME_ZERO);
    return (paddr_t)give();
}

void frame_free(paddr_t pa, unsigned order)
{
    (void)order;
    take_back(pa);
}

uint64_t spin_lock_irqsave(struct spinlock *lock)
{
    assert_ptr_equal(lock, &ledger_lock);
    assert_int_equal(locks_held++, 0);
    return 17;
}

void spin_unlock_irqrestore(struct spinlock *lock, uint64_t flags)
{
    assert_ptr_equal(lock, &ledger_lock);
    assert_int_equal(flags, 17);
    assert_int_equal(locks_held--, 1);
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
    return (size_t)snprintf(dst, size, "%s", src);
}

uint64_t boot_option_number(const char *name, uint64_t fallback)
{
    assert_string_equal(name, "mlaas.policy_kib");
    assert_int_equal(fallback, 64);
    return limit_kib;
}

void log_line(enum log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
}

/* ---- Modules and threads ----------------------------------------------------------------------- */

struct module *module_of_address(const void *address)
{
    if (address == links)
        return (struct module *)&spots[RIG_SPOTS];
    return caller == RIG_NOBODY ? NULL : (struct module *)&spots[caller];
}

bool module_ref(struct module *m)
{
    assert_ptr_equal(m, &spots[RIG_SPOTS]);
    if (fails(RIG_FAILS_REF))
        return false;
    rig_refs++;
    return true;
}

void module_unref(struct module *m)
{
    assert_ptr_equal(m, &spots[RIG_SPOTS]);
    assert_true(rig_refs-- > 0);
}

void policy_link_watch(policy_link_fn *fn)
{
    watch = fn;
}

int thread_create(const char *name, void (*entry)(void *), void *arg, struct thread **out)
{
    (void)name;
    (void)arg;
    assert_ptr_equal(entry, worker_run);
    if (fails(RIG_FAILS_THREAD))
        return ERR_NO_MEMORY;
    rig_threads++;
    *out = NULL;
    return OK;
}

unsigned wait_wake(struct wait_queue *q, unsigned n)
{
    assert_ptr_equal(q, &over_queue);
    assert_int_equal(locks_held, 0);
    return n;
}

void wait_prepare(struct wait_queue *q, struct waiter *w)
{
    (void)w;
    assert_ptr_equal(q, &over_queue);
}

int wait_sleep(struct wait_queue *q, struct waiter *w, uint64_t due, unsigned flags)
{
    (void)q;
    (void)w;
    (void)due;
    (void)flags;
    longjmp(nothing_to_do, 1);
}

bool wait_finish(struct wait_queue *q, struct waiter *w)
{
    (void)q;
    (void)w;
    return true;
}

/* ---- Policies and text ------------------------------------------------------------------------- */

int policy_info(const char *class_name, unsigned nth, struct policy_info *out)
{
    assert_string_equal(class_name, "toys");
    if (nth >= policies_count)
        return ERR_NOT_FOUND;
    *out = policies[nth];
    return OK;
}

int policy_fall_back(const char *class_name, const char *policy_name, const char *reason)
{
    size_t used = strlen(fallen);

    assert_string_equal(class_name, "toys");
    assert_int_equal(locks_held, 0);
    snprintf(fallen + used, sizeof(fallen) - used, "%s: %s\n", policy_name, reason);
    return OK;
}

void text_add(struct text *t, const char *format, ...)
{
    va_list args;

    assert_int_equal(locks_held, 0);
    va_start(args, format);
    t->used += (size_t)vsnprintf(t->out + t->used, t->room - t->used, format, args);
    va_end(args);
    assert_true(t->used < t->room);
}

/* ---- For the tests ----------------------------------------------------------------------------- */

void rig_begin(size_t kib)
{
    free(ledger); /* a failed test left it */
    ledger = NULL;
    locks_held = 0;
    limit_kib = kib;
    caller = RIG_NOBODY;
    given = taken_back = 0;
    failure = RIG_FAILS_NOT;
    rig_threads = rig_refs = policies_count = 0;
    somebody_over = false;
    policy_memory_start();
    assert_non_null(watch);
}

void rig_end(void)
{
    policy_memory_stop();
    assert_null(watch);
    assert_int_equal(locks_held, 0);
    assert_int_equal(failure, RIG_FAILS_NOT);
    if (ledger)
        rig_slots_used();
    free(ledger);
    ledger = NULL;
}

const void *rig_link_symbol(unsigned spot, const char *name, const char *symbol, const void *address)
{
    return watch(module_at(spot), name, symbol, address);
}

static bool linked(unsigned spot, const char *name, const char *symbol, const void *plain, void *call)
{
    const void *instead = rig_link_symbol(spot, name, symbol, plain);

    memcpy(call, &instead, sizeof(instead));
    return instead != plain;
}

bool rig_link(unsigned spot, const char *name)
{
    unsigned counting = linked(spot, name, "kmalloc", kmalloc, &calls.kmalloc);

    counting += linked(spot, name, "kzalloc", kzalloc, &calls.kzalloc);
    counting += linked(spot, name, "kstrdup", kstrdup, &calls.kstrdup);
    counting += linked(spot, name, "kfree", kfree, &calls.kfree);
    counting += linked(spot, name, "frame_alloc", frame_alloc, &calls.frame_alloc);
    counting += linked(spot, name, "frame_free", frame_free, &calls.frame_free);
    assert_true(counting == 0 || counting == 6);
    return counting;
}

static uintptr_t address_of(enum rig_how how, unsigned place)
{
    return HEAP + place * (how == RIG_FRAMES ? PAGE_SIZE : 80);
}

static uintptr_t ask(enum rig_how how, size_t size)
{
    static char text[65536];

    switch (how) {
    case RIG_KMALLOC:
        return (uintptr_t)calls.kmalloc(size);
    case RIG_KZALLOC:
        return (uintptr_t)calls.kzalloc(size);
    case RIG_KSTRDUP:
        assert_true(size > 0 && size <= sizeof(text));
        memset(text, 'x', size - 1);
        text[size - 1] = '\0';
        return (uintptr_t)calls.kstrdup(text);
    default:
        return calls.frame_alloc((unsigned)size, FRAME_ZERO);
    }
}

bool rig_take(unsigned spot, enum rig_how how, unsigned place, size_t size)
{
    bool nucleus_fails = failure == RIG_FAILS_NUCLEUS;
    uintptr_t got;

    caller = spot;
    given = address_of(how, place);
    taken_back = 0;
    got = ask(how, size);
    assert_true(got == given || got == 0);
    assert_int_equal(taken_back, got || nucleus_fails ? 0 : given);
    given = 0;
    return got;
}

void rig_give(unsigned spot, enum rig_how how, unsigned place, size_t size)
{
    caller = spot;
    given = address_of(how, place);
    taken_back = 0;
    if (how == RIG_FRAMES)
        calls.frame_free(given, (unsigned)size);
    else
        calls.kfree((void *)given);
    assert_int_equal(taken_back, given);
    given = 0;
}

size_t rig_counted(enum rig_how how, size_t size)
{
    return how == RIG_FRAMES ? PAGE_SIZE << size : (size + 15) / 16 * 16;
}

struct rig_sums rig_sums(unsigned spot)
{
    const struct account *a = ledger ? account_of(module_at(spot)) : NULL;

    return a ? (struct rig_sums){true, a->bytes, a->most, a->refused} : (struct rig_sums){.open = false};
}

/* Marks the slots of one list. */
static unsigned chain_mark(bool seen[PIECES], uint16_t at)
{
    unsigned count = 0;

    for (; at != NONE; at = ledger->pieces[at].next, count++) {
        assert_true(at < PIECES);
        assert_false(seen[at]);
        seen[at] = true;
    }
    return count;
}

unsigned rig_slots_used(void)
{
    static bool seen[PIECES];
    unsigned used = 0;

    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < HEADS; i++)
        used += chain_mark(seen, ledger->heads[i]);
    assert_int_equal(used + chain_mark(seen, ledger->free), PIECES);
    return used;
}

const char *rig_described(unsigned spot)
{
    const struct policy_info info = {.name = "toy", .owner = module_at(spot)};
    struct text t = {shown, sizeof(shown), 0};

    shown[0] = '\0';
    policy_memory_describe(&info, &t);
    return shown;
}

const char *rig_listed(void)
{
    struct text t = {shown, sizeof(shown), 0};

    shown[0] = '\0';
    policy_memory_list(&t);
    return shown;
}

void rig_policy_add(const char *name, unsigned spot, bool machine)
{
    struct policy_info *p = &policies[policies_count++];

    assert_true(policies_count <= POLICIES);
    *p = (struct policy_info){.machine = machine, .owner = module_at(spot)};
    snprintf(p->name, sizeof(p->name), "%s", name);
}

const char *rig_worker_run(void)
{
    fallen[0] = '\0';
    if (!setjmp(nothing_to_do))
        worker_run(NULL);
    return fallen;
}

void rig_fail(enum rig_failure what)
{
    failure = what;
}
