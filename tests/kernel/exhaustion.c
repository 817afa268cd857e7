/*
 * exhaustion.c: memory that runs out at every possible point: the 1st, 2nd, 3rd… allocation of an
 * operation fails. Each time the operation must say so (or do without), and give back what it took.
 */
#include "ktest.h"
#include <microlake/aspace.h>
#include <microlake/irq.h>
#include <microlake/module.h>
#include <microlake/port.h>

#define TRIES_MAX 2000
#define RW        (PROT_READ | PROT_WRITE)

/* Runs op with the nth allocation failing, for n = 1, 2, ... until it runs without any failing. */
static void exhaust(int (*op)(void))
{
    unsigned n = 1, failed = 0;

    for (; n < TRIES_MAX; n++) {
        uint64_t left;
        int r;

        thread_current()->fail_allocation = n;
        r = op();
        left = thread_current()->fail_allocation;
        thread_current()->fail_allocation = 0;
        EXPECT(r == OK || r == ERR_NO_MEMORY || r == ERR_FAULT);
        failed += r != OK;
        if (left) {
            EXPECT(r == OK);
            break;
        }
    }
    EXPECT(n < TRIES_MAX && n > 1);
    EXPECT(failed > 0);
}

static void nothing(void *arg)
{
    (void)arg;
}

static int op_thread(void)
{
    struct thread *t;
    int r = thread_create("exhaust", nothing, NULL, &t);

    if (r == OK) {
        thread_join(t, TIME_NEVER);
        thread_unref(t);
    }
    return r;
}

static int map_and_fork(struct aspace *as)
{
    struct aspace *child = NULL;
    uint64_t value = 7;
    vaddr_t at;
    int r = aspace_map(as, 0, 4 * PAGE_SIZE, RW, MAP_PRIVATE, NULL, 0, &at);

    if (r == OK)
        r = user_write(at + PAGE_SIZE, &value, 8);
    if (r == OK)
        r = aspace_fork(as, &child);
    if (r == OK)
        aspace_unref(child);
    if (r == OK)
        r = aspace_protect(as, at + PAGE_SIZE, PAGE_SIZE, PROT_READ);
    if (r == OK)
        r = aspace_unmap(as, at + 2 * PAGE_SIZE, PAGE_SIZE);
    return r;
}

static int op_aspace(void)
{
    struct aspace *as;
    int r = aspace_create(&as);

    if (r != OK)
        return r;
    thread_set_aspace(as);
    r = map_and_fork(as);
    thread_set_aspace(NULL);
    aspace_unref(as);
    return r;
}

static int op_memobj(void)
{
    struct memobj *obj;
    uint64_t value = 3;
    int r = memobj_create_anon(1ul << 30, &obj);

    if (r != OK)
        return r;
    for (unsigned i = 0; r == OK && i < 3; i++)
        r = memobj_write(obj, i * (300ul << 20), &value, 8);
    memobj_unref(obj);
    return r;
}

static int op_kmap(void)
{
    paddr_t pa = frame_alloc(0, 0);
    void *p;

    if (!pa)
        return ERR_NO_MEMORY;
    p = kmap_range(pa, PAGE_SIZE, KMAP_WRITE);
    if (p)
        kunmap(p, PAGE_SIZE);
    frame_free(pa, 0);
    return p ? OK : ERR_NO_MEMORY;
}

static int op_module(void)
{
    int r = module_load("template");

    if (r == OK)
        r = module_unload("template");
    return r;
}

static void nobody(void *ctx)
{
    (void)ctx;
}

static int op_irq(void)
{
    int r = irq_register(9, IRQ_LEVEL, nobody, NULL);

    if (r == OK)
        irq_unregister(9, nobody, NULL);
    return r;
}

static int op_message(void)
{
    struct irq_message message;
    unsigned line;
    int r = irq_register_message(nobody, NULL, &line, &message);

    if (r == OK)
        irq_unregister(line, nobody, NULL);
    return r;
}

/* A table that grows, and a call with a handle that nobody receives. */
static int port_try(struct port *p, struct handle_table *t)
{
    struct message m = {.table = t, .gift_count = 1};
    int r = OK;

    for (unsigned i = 0; r == OK && i < 20; i++)
        r = handle_install(t, port_object(p), RIGHT_CALL | RIGHT_TRANSFER, &m.gifts[0].handle);
    m.gifts[0].rights = RIGHT_CALL;
    if (r == OK)
        r = port_call(p, &m, &m, time_now() + NS_PER_MS / 2, 0);
    return r == ERR_TIMED_OUT ? OK : r;
}

static int op_port(void)
{
    struct handle_table *t;
    struct port *p;
    int r = port_create(&p);

    if (r != OK)
        return r;
    t = handle_table_create();
    r = t ? port_try(p, t) : ERR_NO_MEMORY;
    if (t)
        handle_table_destroy(t);
    port_close(p);
    return r;
}

/* Never started: it has nothing to run. */
static int op_user_thread(void)
{
    static const struct user_ops ops;
    const struct user_regs regs = {0};
    struct aspace *as;
    struct thread *t;
    int r = aspace_create(&as);

    if (r != OK)
        return r;
    r = thread_create_user("exhaust", as, &ops, NULL, &regs, &t);
    if (r == OK)
        thread_unref(t);
    aspace_unref(as);
    return r;
}

static void threads(void)
{
    exhaust(op_thread);
}

static void user_threads(void)
{
    exhaust(op_user_thread);
}

static void aspaces(void)
{
    exhaust(op_aspace);
}

static void objects(void)
{
    exhaust(op_memobj);
}

static void mappings(void)
{
    exhaust(op_kmap);
}

static void modules(void)
{
    exhaust(op_module);
}

/* Lines for messages run out, each is given once, and all come back. */
static void message_lines(void)
{
    struct irq_message messages[256];
    unsigned lines[ARRAY_SIZE(messages)], count = 0;
    int r;

    while ((r = irq_register_message(nobody, NULL, &lines[count], &messages[count])) == OK) {
        for (unsigned i = 0; i < count; i++)
            EXPECT(lines[i] != lines[count] && messages[i].data != messages[count].data);
        if (++count == ARRAY_SIZE(messages))
            break;
    }
    EXPECT(r == ERR_LIMIT && count > 0);
    for (unsigned i = 0; i < count; i++)
        irq_unregister(lines[i], nobody, NULL);
    EXPECT(op_message() == OK);
}

static void interrupts(void)
{
    exhaust(op_irq);
    exhaust(op_message);
    message_lines();
}

static void ports(void)
{
    exhaust(op_port);
}

/* All frames there are, in a list through themselves. */
struct hoard {
    struct hoard *next;
    unsigned order;
};

static struct hoard *hoard_take(void)
{
    struct hoard *all = NULL;

    for (unsigned order = 10; order-- > 0;) {
        paddr_t pa;

        while ((pa = frame_alloc(order, FRAME_NOWAIT))) {
            struct hoard *h = phys_to_virt(pa);

            *h = (struct hoard){all, order};
            all = h;
        }
    }
    return all;
}

static void hoard_give(struct hoard *all)
{
    while (all) {
        struct hoard *h = all;

        all = h->next;
        frame_free(virt_to_phys(h), h->order);
    }
}

/* No injection: there is no memory any more but in caches. Nothing may panic or hang. */
static void nothing_left(void)
{
    static int (*const ops[])(void) = {op_thread, op_user_thread, op_aspace, op_memobj,
                                       op_kmap,   op_module,      op_irq,    op_port};
    struct hoard *all;

    /* On one CPU: the others keep some frames in their caches. */
    EXPECT(thread_set_affinity(thread_current(), 1) == OK);
    thread_sleep(time_now() + NS_PER_MS, 0);
    all = hoard_take();
    EXPECT(frame_alloc(0, 0) == 0);
    for (unsigned i = 0; i < 20 * ARRAY_SIZE(ops); i++) {
        int r = ops[i % ARRAY_SIZE(ops)]();

        EXPECT(r == OK || r == ERR_NO_MEMORY || r == ERR_FAULT);
    }
    hoard_give(all);
    EXPECT(thread_set_affinity(thread_current(), ~(cpu_mask_t)0) == OK);
}

static const struct ktest_case cases[] = {
    {"threads", threads},       {"user_threads", user_threads}, {"aspaces", aspaces},
    {"objects", objects},       {"mappings", mappings},         {"modules", modules},
    {"interrupts", interrupts}, {"ports", ports},               {"nothing_left", nothing_left},
    {NULL, NULL},
};

const struct ktest_suite suite_exhaustion = {.name = "exhaustion", .cases = cases};
