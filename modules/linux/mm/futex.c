/*
 * futex.c: waiting for and waking on words of user memory.
 *
 * Waiters stand in hash buckets by key: (memory of the process, address) for private memory,
 * (memory object, offset) for shared memory. A waiter looks at the word without the bucket's lock,
 * because that may fault; each wake changes the bucket's count, and a waiter whose count has
 * changed since looks again: so no wake between look and sleep is lost.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/node.h"
#include "modules/linux/mm/futex.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

#define BUCKETS         256u
#define ROBUST_LIST_MAX 2048u /* a longer one is a loop */

static struct futex_bucket buckets[BUCKETS];

void futex_init(void)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        list_init(&buckets[i].waiters);
}

static struct futex_bucket *bucket_of(const struct futex_key *key)
{
    uint64_t h = ((uintptr_t)key->space >> 4) * 0x9e3779b97f4a7c15ull;

    h = (h ^ (key->offset >> 2)) * 0x9e3779b97f4a7c15ull;
    return &buckets[h >> 56];
}

static bool key_equal(const struct futex_key *a, const struct futex_key *b)
{
    return a->space == b->space && a->offset == b->offset;
}

static int key_make(struct mm *mm, vaddr_t at, bool shared, struct futex_key *out)
{
    struct aspace_mapping m;

    if (at & 3)
        return ERR_INVALID;
    if (at >= USER_ADDRESS_END)
        return ERR_FAULT;
    *out = (struct futex_key){mm, at};
    if (!shared)
        return OK;
    if (aspace_find(mm->as, at, &m) != OK || m.start > at)
        return ERR_FAULT;
    if (m.obj && !(m.flags & MAP_PRIVATE))
        *out = (struct futex_key){m.obj, m.offset + (at - m.start)};
    return OK;
}

/* The bucket's lock is held. */
static void wake_locked(struct futex_waiter *w)
{
    list_remove(&w->link);
    __atomic_store_n(&w->woken, true, __ATOMIC_RELEASE);
    wait_wake_all(w->queue);
}

static long wake_key(const struct futex_key *key, uint32_t count, uint32_t bits)
{
    struct futex_bucket *b = bucket_of(key);
    uint32_t woken = 0;

    spin_lock(&b->lock);
    b->wakes++;
    list_for_each_safe (it, &b->waiters) {
        struct futex_waiter *w = list_entry(it, struct futex_waiter, link);

        if (woken == count)
            break;
        if (key_equal(&w->key, key) && (w->bits & bits)) {
            wake_locked(w);
            woken++;
        }
    }
    spin_unlock(&b->lock);
    return (long)woken;
}

void futex_wake_address(struct mm *mm, vaddr_t at, unsigned count)
{
    struct futex_key key;

    if (key_make(mm, at, true, &key) == OK)
        wake_key(&key, count, LINUX_FUTEX_ANY);
}

int futex_waiter_init(struct futex_waiter *w, struct mm *mm, vaddr_t at, bool shared,
                      struct wait_queue *queue)
{
    int r = key_make(mm, at, shared, &w->key);

    if (r != OK)
        return r;
    w->bucket = bucket_of(&w->key);
    w->queue = queue;
    return OK;
}

int futex_waiter_enter(struct futex_waiter *w, vaddr_t at, uint32_t expected)
{
    struct futex_bucket *b = w->bucket;

    for (;;) {
        uint32_t wakes = __atomic_load_n(&b->wakes, __ATOMIC_ACQUIRE);
        uint32_t value;
        bool entered;

        if (user_load32(at, &value) != OK)
            return ERR_FAULT;
        if (value != expected)
            return ERR_AGAIN;
        spin_lock(&b->lock);
        entered = b->wakes == wakes;
        if (entered)
            list_push_back(&b->waiters, &w->link);
        spin_unlock(&b->lock);
        if (entered)
            return OK;
    }
}

bool futex_waiter_leave(struct futex_waiter *w)
{
    for (;;) {
        struct futex_bucket *b = __atomic_load_n(&w->bucket, __ATOMIC_ACQUIRE);

        spin_lock(&b->lock);
        if (b == w->bucket) {
            if (!w->woken)
                list_remove(&w->link);
            spin_unlock(&b->lock);
            return w->woken;
        }
        spin_unlock(&b->lock);
    }
}

static long futex_wait(struct mm *mm, vaddr_t at, bool shared, uint32_t expected, uint32_t bits,
                       uint64_t due)
{
    struct futex_waiter w = {.bits = bits};
    struct wait_queue queue;
    int r;

    if (bits == 0)
        return ERR_INVALID;
    r = futex_waiter_init(&w, mm, at, shared, &queue);
    if (r != OK)
        return r;
    wait_queue_init(&queue);
    r = futex_waiter_enter(&w, at, expected);
    if (r != OK)
        return r;
    r = WAIT_UNTIL(&queue, __atomic_load_n(&w.woken, __ATOMIC_ACQUIRE), due, WAIT_INTERRUPTIBLE);
    return futex_waiter_leave(&w) ? OK : r;
}

static void lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    spin_lock(a < b ? &a->lock : &b->lock);
    if (a != b)
        spin_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    if (a != b)
        spin_unlock(a < b ? &b->lock : &a->lock);
    spin_unlock(a < b ? &a->lock : &b->lock);
}

/* Wakes `wake` waiters of one key and moves `move` more to another. */
static long requeue_keys(const struct futex_key *from, const struct futex_key *to, uint32_t wake,
                         uint32_t move)
{
    struct futex_bucket *a = bucket_of(from), *b = bucket_of(to);
    uint32_t woken = 0, moved = 0;

    lock_two(a, b);
    a->wakes++;
    list_for_each_safe (it, &a->waiters) {
        struct futex_waiter *w = list_entry(it, struct futex_waiter, link);

        if (!key_equal(&w->key, from))
            continue;
        if (woken < wake) {
            wake_locked(w);
            woken++;
        } else if (moved < move) {
            list_remove(&w->link);
            w->key = *to;
            __atomic_store_n(&w->bucket, b, __ATOMIC_RELEASE);
            list_push_back(&b->waiters, &w->link);
            moved++;
        } else {
            break;
        }
    }
    unlock_two(a, b);
    return (long)(woken + moved);
}

static long futex_requeue(struct call *c, struct mm *mm, bool shared, bool compare)
{
    vaddr_t at = c->arg[0];
    uint32_t value;
    struct futex_key from, to;
    int r;

    if ((int32_t)c->arg[2] < 0 || (int32_t)c->arg[3] < 0)
        return ERR_INVALID;
    r = key_make(mm, at, shared, &from);
    if (r == OK)
        r = key_make(mm, c->arg[4], shared, &to);
    if (r == OK && compare)
        r = user_load32(at, &value);
    if (r != OK)
        return r;
    if (compare && value != (uint32_t)c->arg[5])
        return ERR_AGAIN;
    if (key_equal(&from, &to))
        return wake_key(&from, (uint32_t)c->arg[2], LINUX_FUTEX_ANY);
    return requeue_keys(&from, &to, (uint32_t)c->arg[2], (uint32_t)c->arg[3]);
}

static bool compare_values(unsigned comparison, int32_t old, int32_t with, bool *out)
{
    switch (comparison) {
    case 0:
        *out = old == with;
        return true;
    case 1:
        *out = old != with;
        return true;
    case 2:
        *out = old < with;
        return true;
    case 3:
        *out = old <= with;
        return true;
    case 4:
        *out = old > with;
        return true;
    case 5:
        *out = old >= with;
        return true;
    default:
        return false;
    }
}

/* FUTEX_WAKE_OP's last argument: operation, comparison, and a signed 12-bit number for each. */
static long futex_wake_op(struct call *c, struct mm *mm, bool shared)
{
    uint32_t code = (uint32_t)c->arg[5];
    unsigned operation = (code >> 28) & 7;
    int32_t operand = (int32_t)(code << 8) >> 20, with = (int32_t)(code << 20) >> 20;
    static const unsigned operations[] = {USER_OP_SET, USER_OP_ADD, USER_OP_OR, USER_OP_ANDN,
                                          USER_OP_XOR};
    struct futex_key first, second;
    uint32_t old;
    bool also;
    long woken;
    int r = key_make(mm, c->arg[0], shared, &first);

    if (r == OK)
        r = key_make(mm, c->arg[4], shared, &second);
    if (r != OK)
        return r;
    if (operation >= ARRAY_SIZE(operations) || !compare_values((code >> 24) & 15, 0, 0, &also))
        return LINUX_ERRNO(ENOSYS);
    if (code & (8u << 28))
        operand = (int32_t)(1u << (operand & 31));
    r = user_fetch_op32(c->arg[4], operations[operation], (uint32_t)operand, &old);
    if (r != OK)
        return r;
    woken = wake_key(&first, (uint32_t)c->arg[2], LINUX_FUTEX_ANY);
    compare_values((code >> 24) & 15, (int32_t)old, with, &also);
    if (also)
        woken += wake_key(&second, (uint32_t)c->arg[3], LINUX_FUTEX_ANY);
    return woken;
}

/* A wait's limit: relative for FUTEX_WAIT, absolute for FUTEX_WAIT_BITSET. */
static int decode_due(vaddr_t at, unsigned command, bool realtime, uint64_t *due)
{
    uint64_t time;
    int r;

    *due = TIME_NEVER;
    if (at == 0)
        return OK;
    r = clock_read_timespec(at, &time);
    if (r != OK)
        return r;
    if (command == LINUX_FUTEX_WAIT)
        *due = clock_due_in(time);
    else
        *due = realtime ? clock_due_at_wall(time) : time;
    return OK;
}

static long futex_wait_call(struct call *c, struct mm *mm, unsigned command, bool shared,
                            bool realtime)
{
    uint32_t bits = command == LINUX_FUTEX_WAIT ? LINUX_FUTEX_ANY : (uint32_t)c->arg[5];
    uint64_t due;
    long r = decode_due(c->arg[3], command, realtime, &due);

    if (r != OK)
        return r;
    /* A relative limit must not start anew when a signal interrupts the call. */
    if (command == LINUX_FUTEX_WAIT && due != TIME_NEVER) {
        if (c->task->sleep_due != 0)
            due = c->task->sleep_due;
        c->task->sleep_due = 0;
    }
    r = futex_wait(mm, c->arg[0], shared, (uint32_t)c->arg[2], bits, due);
    if (r == ERR_INTERRUPTED && command == LINUX_FUTEX_WAIT && due != TIME_NEVER) {
        c->task->sleep_due = due;
        return LINUX_RESTART_NO_HANDLER;
    }
    return r;
}

long sys_futex(struct call *c)
{
    struct mm *mm = c->task->process->mm;
    unsigned operation = (unsigned)c->arg[1], command = operation & LINUX_FUTEX_COMMAND_MASK;
    bool shared = !(operation & LINUX_FUTEX_PRIVATE);
    bool realtime = operation & LINUX_FUTEX_CLOCK_REALTIME;
    struct futex_key key;
    int r;

    switch (command) {
    case LINUX_FUTEX_WAIT:
    case LINUX_FUTEX_WAIT_BITSET:
        return futex_wait_call(c, mm, command, shared, realtime);
    case LINUX_FUTEX_WAKE:
    case LINUX_FUTEX_WAKE_BITSET:
        if (command == LINUX_FUTEX_WAKE_BITSET && (uint32_t)c->arg[5] == 0)
            return ERR_INVALID;
        r = key_make(mm, c->arg[0], shared, &key);
        if (r != OK)
            return r;
        return wake_key(&key, (int32_t)c->arg[2] > 0 ? (uint32_t)c->arg[2] : 1,
                        command == LINUX_FUTEX_WAKE ? LINUX_FUTEX_ANY : (uint32_t)c->arg[5]);
    case LINUX_FUTEX_REQUEUE:
    case LINUX_FUTEX_CMP_REQUEUE:
        return futex_requeue(c, mm, shared, command == LINUX_FUTEX_CMP_REQUEUE);
    case LINUX_FUTEX_WAKE_OP:
        return futex_wake_op(c, mm, shared);
    default:
        return LINUX_ERRNO(ENOSYS);
    }
}

/* One robust futex that the task may hold: marks it ownerless and wakes a waiter. */
static void robust_release(struct task *t, vaddr_t at, bool pending)
{
    uint32_t value, old;

    if ((at & 3) || user_load32(at, &value) != OK)
        return;
    for (;;) {
        if (pending && value == 0) {
            futex_wake_address(t->process->mm, at, 1);
            return;
        }
        if ((value & LINUX_FUTEX_TID_MASK) != (uint32_t)t->tid)
            return;
        if (user_cmpxchg32(at, value, (value & LINUX_FUTEX_WAITERS) | LINUX_FUTEX_OWNER_DIED,
                           &old) != OK)
            return;
        if (old == value)
            break;
        value = old;
    }
    if (value & LINUX_FUTEX_WAITERS)
        futex_wake_address(t->process->mm, at, 1);
}

void futex_exit_robust_list(struct task *t)
{
    struct linux_robust_list_head head;
    vaddr_t entry;

    if (t->robust_list == 0 || user_read(&head, t->robust_list, sizeof(head)) != OK)
        return;
    /* The lowest bit of a pointer marks priority inheritance, which is not there. */
    entry = head.next & ~1ull;
    for (unsigned i = 0; i < ROBUST_LIST_MAX && entry != t->robust_list; i++) {
        uint64_t next;

        if (user_read(&next, entry, sizeof(next)) != OK)
            break;
        if (entry != (head.pending & ~1ull))
            robust_release(t, entry + (uint64_t)head.futex_offset, false);
        entry = next & ~1ull;
    }
    if (head.pending & ~1ull)
        robust_release(t, (head.pending & ~1ull) + (uint64_t)head.futex_offset, true);
}

long sys_set_robust_list(struct call *c)
{
    if (c->arg[1] != sizeof(struct linux_robust_list_head))
        return ERR_INVALID;
    c->task->robust_list = c->arg[0];
    return 0;
}
