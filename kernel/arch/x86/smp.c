/*
 * smp.c: starts the other processors. The boot processor does not wait for them: it goes on, and each
 * joins the scheduler when it arrives. One that does not arrive is asked again by cpu_wait_all().
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include "kernel/mm/mm.h"
#include "kernel/thread/sched.h"
#include "kernel/time/time_internal.h"

#define TRAMPOLINE_PAGE 0x8000ul
#define RETRY_NS        (20 * NS_PER_MS)

extern const char ap_trampoline[], ap_trampoline_end[];

uint64_t ap_stacks[MAX_CPUS];
static struct cpu *ap_slots[MAX_CPUS];
static uint32_t apic_ids[MAX_CPUS];
static unsigned present = 1, online = 1, waiting;

void ap_main(unsigned slot) __noreturn;

unsigned cpu_count(void)
{
    return __atomic_load_n(&online, __ATOMIC_ACQUIRE);
}

unsigned cpu_present(void)
{
    return present;
}

void ap_main(unsigned slot)
{
    struct cpu *c = ap_slots[slot];

    c->preempt_count = 1;
    cpu_init_this(c);
    apic_init_this();
    c->apic_id = apic_id_read();
    /* Numbers are given in order of arrival, so that CPUs 0..count-1 are always the ones up. */
    for (;;) {
        unsigned id = __atomic_load_n(&online, __ATOMIC_ACQUIRE);

        c->id = id;
        c->queue.cpu = id;
        cpus[id] = c;
        if (__atomic_compare_exchange_n(&online, &id, id + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            break;
    }
    cpu_number_publish(c);
    sched_start(c);
}

static bool ap_prepare(unsigned slot)
{
    struct cpu *c = kzalloc(sizeof(*c));
    uint8_t *ist = kmalloc(2 * 2048);

    if (!c || !ist || sched_prepare_cpu(c, &ap_stacks[slot]) != OK) {
        kfree(c);
        kfree(ist);
        return false;
    }
    c->tss.ist[0] = (uint64_t)ist + 2048;
    c->tss.ist[1] = (uint64_t)ist + 4096;
    ap_slots[slot] = c;
    return true;
}

void smp_start(void)
{
    uint32_t found[MAX_CPUS];
    paddr_t io_apic;
    unsigned count = mp_find_cpus(found, &io_apic), others = 0;

    io_apic_init(io_apic);
    for (unsigned i = 0; i < count; i++)
        if (found[i] != cpus[0]->apic_id && ap_prepare(others))
            apic_ids[others++] = found[i];
    present = 1 + others;
    waiting = others;
    if (!others)
        return;
    memcpy(phys_to_virt(TRAMPOLINE_PAGE), ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    for (unsigned i = 0; i < others; i++)
        apic_start_cpu(apic_ids[i], TRAMPOLINE_PAGE, true);
}

static bool apic_id_online(uint32_t apic_id)
{
    for (unsigned i = 0; i < cpu_count(); i++)
        if (cpus[i]->apic_id == apic_id)
            return true;
    return false;
}

void cpu_wait_all(void)
{
    uint64_t retry = time_now() + RETRY_NS;

    while (cpu_count() < present) {
        thread_sleep(time_now() + NS_PER_MS, 0);
        if (time_now() < retry)
            continue;
        retry = time_now() + RETRY_NS;
        for (unsigned i = 0; i < waiting; i++)
            if (!apic_id_online(apic_ids[i]))
                apic_start_cpu(apic_ids[i], TRAMPOLINE_PAGE, false);
    }
}
