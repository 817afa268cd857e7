/*
 * queue.c: signals that wait. See signal.h.
 */
#include <microlake/memory.h>

#include "modules/linux/signal/signal.h"

struct signal_item {
    struct list link;
    struct linux_siginfo info;
};

void signal_queue_init(struct signal_queue *q)
{
    q->set = 0;
    list_init(&q->items);
}

void signal_queue_clear(struct signal_queue *q)
{
    struct list *it;

    while ((it = list_pop_front(&q->items)))
        kfree(list_entry(it, struct signal_item, link));
    q->set = 0;
}

void signal_queue_discard(struct signal_queue *q, uint64_t which)
{
    list_for_each_safe (it, &q->items) {
        struct signal_item *item = list_entry(it, struct signal_item, link);

        if (signal_bit(item->info.signo) & which) {
            list_remove(it);
            kfree(item);
        }
    }
    q->set &= ~which;
}

void signal_queue_add(struct signal_queue *q, const struct linux_siginfo *info)
{
    struct signal_item *item;

    if (info->signo < LINUX_SIGRTMIN && (q->set & signal_bit(info->signo)))
        return;
    q->set |= signal_bit(info->signo);
    item = kmalloc(sizeof(*item));
    if (!item)
        return;
    item->info = *info;
    list_push_back(&q->items, &item->link);
}

bool signal_queue_take(struct signal_queue *q, uint64_t wanted, struct linux_siginfo *out)
{
    struct signal_item *found = NULL;
    bool more = false;
    int signal;

    if (!(q->set & wanted))
        return false;
    signal = __builtin_ctzll(q->set & wanted) + 1;
    list_for_each (it, &q->items) {
        struct signal_item *item = list_entry(it, struct signal_item, link);

        if (item->info.signo != signal)
            continue;
        more = found != NULL;
        if (more)
            break;
        found = item;
    }
    if (!more)
        q->set &= ~signal_bit(signal);
    if (found) {
        *out = found->info;
        list_remove(&found->link);
        kfree(found);
    } else {
        *out = (struct linux_siginfo){.signo = signal, .code = LINUX_SI_USER};
    }
    return true;
}
