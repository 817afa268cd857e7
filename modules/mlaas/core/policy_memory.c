/*
 * policy_memory.c: what modules that bring policies take of the heap and of page frames: counted by module, and no
 * more than a limit. A decision can take nothing at all (the nucleus sees to that); this is for what such a module
 * does besides: its start, its threads, its files. Who wants more gets none, and its policies give way to
 * what they extend, with that as the reason.
 *
 * Such a module is linked with the functions below in place of the nucleus's. Memory that it passes on to
 * somebody who frees it counts as its own until the same place is given to it again.
 *
 * Option mlaas.policy_kib: the limit, 64 unless given.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/module.h>
#include <microlake/spinlock.h>
#include <microlake/thread.h>

#include "core.h"

#define ACCOUNTS  16u
#define PIECES    4096u /* of memory, of all policies together */
#define HEADS     512u
#define NONE      0xffffu
#define FRAME_KEY 1u /* frames are known by their address plus this; heap objects lie at multiples of 16 */

struct account {
    char name[KMOD_NAME_MAX];    /* empty: free */
    const struct module *module; /* compared only */
    size_t bytes, most;
    uint64_t refused;
    bool over; /* its policies have to give way */
};

struct piece {
    uintptr_t key;
    size_t bytes;
    uint16_t next, account;
};

struct ledger {
    struct account accounts[ACCOUNTS];
    struct piece pieces[PIECES];
    uint16_t heads[HEADS], free;
};

static struct spinlock ledger_lock = SPINLOCK_INIT; /* with interrupts off: memory is taken in any context */
static struct ledger *ledger;                       /* made for the first policy; guarded by ledger_lock */
static size_t limit;                                /* bytes */
static struct thread *worker;                       /* likewise made then; for good */
static struct wait_queue over_queue = WAIT_QUEUE_INIT(over_queue);
static bool somebody_over; /* atomic */

/* ---- The ledger. Its lock is held -------------------------------------------------------------- */

static uint16_t *head_of(uintptr_t key)
{
    return &ledger->heads[(key >> 4 ^ key >> 13) % HEADS];
}

static struct account *account_of(const struct module *m)
{
    for (unsigned i = 0; m && i < ACCOUNTS; i++)
        if (ledger->accounts[i].module == m)
            return &ledger->accounts[i];
    return NULL;
}

static void piece_forget(uintptr_t key)
{
    for (uint16_t *at = head_of(key); *at != NONE; at = &ledger->pieces[*at].next) {
        struct piece *p = &ledger->pieces[*at];

        if (p->key != key)
            continue;
        ledger->accounts[p->account].bytes -= p->bytes;
        uint16_t nth = *at;

        *at = p->next;
        p->next = ledger->free;
        ledger->free = nth;
        return;
    }
}

/* False: it would be too much. */
static bool piece_note(struct account *a, uintptr_t key, size_t bytes)
{
    struct piece *p;
    uint16_t nth;

    piece_forget(key); /* somebody else has freed it */
    nth = ledger->free;
    if (nth == NONE || a->bytes + bytes > limit) {
        a->refused++;
        a->over = true;
        return false;
    }
    p = &ledger->pieces[nth];
    ledger->free = p->next;
    *p = (struct piece){key, bytes, *head_of(key), (uint16_t)(a - ledger->accounts)};
    *head_of(key) = nth;
    a->bytes += bytes;
    a->most = MAX(a->most, a->bytes);
    return true;
}

/* ---- In place of the nucleus's functions ------------------------------------------------------- */

static bool note(uintptr_t key, size_t bytes, const void *caller)
{
    const struct module *m = module_of_address(caller);
    uint64_t flags = spin_lock_irqsave(&ledger_lock);
    struct account *a = account_of(m);
    bool good = !a || piece_note(a, key, bytes);

    spin_unlock_irqrestore(&ledger_lock, flags);
    if (!good) {
        __atomic_store_n(&somebody_over, true, __ATOMIC_RELEASE);
        wait_wake_all(&over_queue);
    }
    return good;
}

static void forget(uintptr_t key)
{
    uint64_t flags = spin_lock_irqsave(&ledger_lock);

    piece_forget(key);
    spin_unlock_irqrestore(&ledger_lock, flags);
}

/* The nucleus comes first: in a decision it ends the call. */
static void *noted(void *p, size_t size, const void *caller)
{
    if (p && !note((uintptr_t)p, ALIGN_UP(size, 16), caller)) {
        kfree(p);
        return NULL;
    }
    return p;
}

static void *counted_kmalloc(size_t size)
{
    return noted(kmalloc(size), size, __builtin_return_address(0));
}

static void *counted_kzalloc(size_t size)
{
    return noted(kzalloc(size), size, __builtin_return_address(0));
}

static char *counted_kstrdup(const char *s)
{
    return noted(kstrdup(s), strlen(s) + 1, __builtin_return_address(0));
}

static void counted_kfree(void *p)
{
    if (p)
        forget((uintptr_t)p);
    kfree(p);
}

static paddr_t counted_frame_alloc(unsigned order, unsigned flags)
{
    paddr_t pa = frame_alloc(order, flags);

    if (pa && !note(pa + FRAME_KEY, PAGE_SIZE << order, __builtin_return_address(0))) {
        frame_free(pa, order);
        return 0;
    }
    return pa;
}

static void counted_frame_free(paddr_t pa, unsigned order)
{
    forget(pa + FRAME_KEY);
    frame_free(pa, order);
}

static const struct {
    const char *symbol;
    const void *instead;
} links[] = {
    {"frame_alloc", counted_frame_alloc}, {"frame_free", counted_frame_free}, {"kfree", counted_kfree},
    {"kmalloc", counted_kmalloc},         {"kstrdup", counted_kstrdup},       {"kzalloc", counted_kzalloc},
};

/* ---- Who wants too much ------------------------------------------------------------------------ */

static bool over_take(char name[KMOD_NAME_MAX], const struct module **m)
{
    uint64_t flags = spin_lock_irqsave(&ledger_lock);
    bool found = false;

    for (unsigned i = 0; i < ACCOUNTS && !found; i++)
        if (ledger->accounts[i].over) {
            ledger->accounts[i].over = false;
            strlcpy(name, ledger->accounts[i].name, KMOD_NAME_MAX);
            *m = ledger->accounts[i].module;
            found = true;
        }
    spin_unlock_irqrestore(&ledger_lock, flags);
    return found;
}

static void module_gives_way(const char *module_name, const struct module *m)
{
    char reason[POLICY_REASON_MAX];
    struct policy_info info;

    snprintf(reason, sizeof(reason), "wants more memory than %zu KiB", limit >> 10);
    log_warn("mlaas: module %s %s", module_name, reason);
    for (unsigned i = 0; i < managed_now(); i++)
        for (unsigned k = 0; policy_info(managed[i].name, k, &info) == OK; k++)
            if (info.owner == m && info.machine)
                policy_fall_back(managed[i].name, info.name, reason);
}

static void worker_run(void *context)
{
    char name[KMOD_NAME_MAX];
    const struct module *m;

    (void)context;
    for (;;) {
        WAIT_UNTIL(&over_queue, __atomic_load_n(&somebody_over, __ATOMIC_ACQUIRE), TIME_NEVER, 0);
        __atomic_store_n(&somebody_over, false, __ATOMIC_RELEASE);
        while (over_take(name, &m))
            module_gives_way(name, m);
    }
}

/* ---- Links ------------------------------------------------------------------------------------- */

static struct ledger *ledger_make(void)
{
    struct ledger *made = kzalloc(sizeof(*made));

    for (unsigned i = 0; made && i < PIECES; i++)
        made->pieces[i].next = (uint16_t)(i + 1 < PIECES ? i + 1 : NONE);
    for (unsigned i = 0; made && i < HEADS; i++)
        made->heads[i] = NONE;
    return made;
}

/* From here on this module stays, for others have its addresses. Modules are linked one at a time. */
static bool counting_begins(void)
{
    struct module *own = module_of_address(links);

    if (ledger)
        return true;
    ledger = ledger_make();
    if (ledger && module_ref(own)) {
        if (thread_create("mlaas_memory", worker_run, NULL, &worker) == OK)
            return true;
        module_unref(own);
    }
    log_warn("mlaas: what policies take is not counted: no memory");
    kfree(ledger);
    ledger = NULL;
    return false;
}

/* The account of another module, that lay where this one is now: it has gone. */
static void account_close(const struct module *m, const char *name)
{
    uint64_t flags = spin_lock_irqsave(&ledger_lock);
    struct account *a = ledger ? account_of(m) : NULL;

    if (a && strcmp(a->name, name) != 0)
        a->module = NULL;
    spin_unlock_irqrestore(&ledger_lock, flags);
}

/* The one of that name, or a free one. */
static struct account *account_find(const char *name)
{
    struct account *free = NULL;

    for (unsigned i = 0; i < ACCOUNTS; i++) {
        struct account *a = &ledger->accounts[i];

        if (!strcmp(a->name, name))
            return a;
        if (!a->name[0] || (!a->module && !a->bytes))
            free = a;
    }
    return free;
}

/* A module that was here before and left something behind has that on its account: who leaks each time that he
 * is loaded comes to his limit, too. */
static bool account_open(const struct module *m, const char *name)
{
    uint64_t flags = spin_lock_irqsave(&ledger_lock);
    struct account *a = account_find(name);

    if (a && a->module != m) {
        strlcpy(a->name, name, sizeof(a->name));
        a->module = m;
        a->most = a->bytes;
        a->refused = 0;
        a->over = false;
    }
    spin_unlock_irqrestore(&ledger_lock, flags);
    return a;
}

static const void *policy_link(const struct module *m, const char *module_name, const char *symbol,
                               const void *address)
{
    account_close(m, module_name);
    for (unsigned i = 0; i < ARRAY_SIZE(links); i++)
        if (!strcmp(links[i].symbol, symbol))
            return counting_begins() && account_open(m, module_name) ? links[i].instead : address;
    return address;
}

/* ---- What is shown ----------------------------------------------------------------------------- */

void policy_memory_describe(const struct policy_info *p, struct text *t)
{
    struct account copy = {.most = 0}, *a;
    uint64_t flags = spin_lock_irqsave(&ledger_lock);

    a = ledger && p->owner ? account_of(p->owner) : NULL;
    if (a)
        copy = *a;
    spin_unlock_irqrestore(&ledger_lock, flags);
    if (copy.most || copy.refused)
        text_add(t, "memory.%s its module has %zu bytes, had %zu at most, may have %zu; refused %lu times\n",
                 p->name, copy.bytes, copy.most, limit, copy.refused);
}

void policy_memory_list(struct text *t)
{
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        struct account copy = {.bytes = 0};
        uint64_t flags = spin_lock_irqsave(&ledger_lock);

        if (ledger)
            copy = ledger->accounts[i];
        spin_unlock_irqrestore(&ledger_lock, flags);
        if (copy.name[0])
            text_add(t, "policy.%s %zu\n", copy.name, copy.bytes);
    }
}

void policy_memory_start(void)
{
    limit = boot_option_number("mlaas.policy_kib", 64) << 10;
    policy_link_watch(policy_link);
}

void policy_memory_stop(void)
{
    policy_link_watch(NULL);
}
