/*
 * irq.c: gives interrupts to their handlers.
 */
#include <arch/arch.h>
#include <microlake/irq.h>
#include <microlake/memory.h>
#include <microlake/trace.h>
#include "kernel/thread/sched.h"
#include "kernel/time/time_internal.h"

COUNTER(interrupts_timer);
COUNTER(interrupts_reschedule);
COUNTER(interrupts_tlb);
COUNTER(interrupts_device);
COUNTER(interrupts_spurious);

struct handler {
    struct handler *next;
    irq_handler call;
    void *ctx;
};

/* Changed under the lock; walked by the interrupt on CPU 0, which takes the lock too. */
static struct handler *handlers[VECTOR_IRQ_COUNT];
static struct spinlock handlers_lock;

static struct handler *handler_make(irq_handler call, void *ctx)
{
    struct handler *h = kmalloc(sizeof(*h));

    if (h)
        *h = (struct handler){.call = call, .ctx = ctx};
    return h;
}

int irq_register(unsigned line, enum irq_mode mode, irq_handler call, void *ctx)
{
    struct handler *h;
    uint64_t flags;
    bool first;

    if (line >= io_apic_lines() || line >= VECTOR_IRQ_COUNT)
        return ERR_RANGE;
    h = handler_make(call, ctx);
    if (!h)
        return ERR_NO_MEMORY;
    flags = spin_lock_irqsave(&handlers_lock);
    first = !handlers[line];
    h->next = handlers[line];
    handlers[line] = h;
    spin_unlock_irqrestore(&handlers_lock, flags);
    if (first)
        io_apic_route(line, VECTOR_IRQ_BASE + line, mode == IRQ_LEVEL, false);
    return OK;
}

/* Lines that the I/O controller does not have carry messages. */
int irq_register_message(irq_handler call, void *ctx, unsigned *line, struct irq_message *out)
{
    struct handler *h = handler_make(call, ctx);
    unsigned free = io_apic_lines();
    uint64_t flags;

    if (!h)
        return ERR_NO_MEMORY;
    flags = spin_lock_irqsave(&handlers_lock);
    while (free < VECTOR_IRQ_COUNT && handlers[free])
        free++;
    if (free < VECTOR_IRQ_COUNT)
        handlers[free] = h;
    spin_unlock_irqrestore(&handlers_lock, flags);
    if (free >= VECTOR_IRQ_COUNT) {
        kfree(h);
        return ERR_LIMIT;
    }
    *line = free;
    *out = apic_message(VECTOR_IRQ_BASE + free);
    return OK;
}

void irq_unregister(unsigned line, irq_handler call, void *ctx)
{
    struct handler *gone = NULL;
    uint64_t flags;
    bool last;

    if (line >= VECTOR_IRQ_COUNT)
        return;
    flags = spin_lock_irqsave(&handlers_lock);
    for (struct handler **h = &handlers[line]; *h; h = &(*h)->next) {
        if ((*h)->call == call && (*h)->ctx == ctx) {
            gone = *h;
            *h = gone->next;
            break;
        }
    }
    last = gone && !handlers[line];
    spin_unlock_irqrestore(&handlers_lock, flags);
    if (last && line < io_apic_lines())
        io_apic_route(line, VECTOR_IRQ_BASE + line, false, true);
    kfree(gone);
}

static void irq_line(unsigned line)
{
    spin_lock(&handlers_lock);
    for (struct handler *h = handlers[line]; h; h = h->next)
        h->call(h->ctx);
    spin_unlock(&handlers_lock);
}

void irq_dispatch(unsigned vector)
{
    switch (vector) {
    case VECTOR_TIMER:
        COUNT(interrupts_timer, 1);
        apic_eoi();
        timer_interrupt();
        break;
    case VECTOR_RESCHEDULE:
        COUNT(interrupts_reschedule, 1);
        apic_eoi();
        this_cpu()->need_resched = true;
        break;
    case VECTOR_TLB:
        COUNT(interrupts_tlb, 1);
        apic_eoi();
        tlb_service();
        break;
    case VECTOR_PANIC:
        for (;;)
            __asm__ volatile("cli; hlt");
    case VECTOR_SPURIOUS:
        COUNT(interrupts_spurious, 1);
        break;
    default:
        COUNT(interrupts_device, 1);
        if (vector - VECTOR_IRQ_BASE < VECTOR_IRQ_COUNT)
            irq_line(vector - VECTOR_IRQ_BASE);
        apic_eoi();
        break;
    }
}
