/*
 * apic.c: the local interrupt controller (xAPIC registers, or x2APIC where it is on already), its
 * one-shot timer, interrupts between processors, and the I/O controller.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/irq.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include "kernel/mm/mm.h"

enum apic_register {
    APIC_ID = 0x20,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

#define APIC_MASKED     (1u << 16)
#define APIC_DIVIDE_BY1 0xbu
#define MSR_X2APIC      0x800
#define X2APIC_ENABLED  (1ul << 10)

static volatile uint32_t *apic_registers; /* NULL: x2APIC */
static volatile uint32_t *io_registers;
static unsigned io_lines;
static struct spinlock io_lock;

static uint32_t apic_read(unsigned reg)
{
    if (!apic_registers)
        return (uint32_t)msr_read(MSR_X2APIC + reg / 16);
    return apic_registers[reg / 4];
}

static void apic_write(unsigned reg, uint32_t value)
{
    if (!apic_registers)
        msr_write(MSR_X2APIC + reg / 16, value);
    else
        apic_registers[reg / 4] = value;
}

void apic_init_boot(void)
{
    uint64_t base = msr_read(MSR_APIC_BASE);

    if (!(base & X2APIC_ENABLED)) {
        apic_registers = kmap_range(base & PTE_ADDRESS, PAGE_SIZE, KMAP_WRITE | KMAP_DEVICE);
        if (!apic_registers)
            panic("no memory to map the interrupt controller");
    }
    apic_init_this();
}

void apic_init_this(void)
{
    apic_write(APIC_TPR, 0);
    apic_write(APIC_LVT_LINT0, APIC_MASKED);
    apic_write(APIC_LVT_LINT1, APIC_MASKED);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY1);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
}

uint32_t apic_id_read(void)
{
    return apic_registers ? apic_read(APIC_ID) >> 24 : apic_read(APIC_ID);
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

static void apic_command(uint32_t target, uint32_t command)
{
    uint64_t flags;

    if (!apic_registers) {
        msr_write(MSR_X2APIC + APIC_ICR / 16, (uint64_t)target << 32 | command);
        return;
    }
    flags = interrupts_disable();
    while (apic_read(APIC_ICR) & (1u << 12))
        cpu_relax();
    apic_write(APIC_ICR_HIGH, target << 24);
    apic_write(APIC_ICR, command);
    interrupts_restore(flags);
}

void apic_send(unsigned cpu, unsigned vector)
{
    apic_command(cpus[cpu]->apic_id, 0x4000 | vector);
}

void apic_send_others(unsigned vector)
{
    apic_command(0, 0xc4000 | vector); /* all but self */
}

void apic_start_cpu(uint32_t apic_id, paddr_t entry, bool with_init)
{
    if (with_init) {
        apic_command(apic_id, 0xc500);  /* INIT, assert */
        apic_command(apic_id, 0x8500);  /* INIT, de-assert */
    }
    apic_command(apic_id, 0x4600 | (uint32_t)(entry >> 12)); /* start-up */
}

/* A write there is an interrupt: fixed delivery to one processor, as an edge. */
struct irq_message apic_message(unsigned vector)
{
    return (struct irq_message){.address = 0xfee00000 | cpus[0]->apic_id << 12, .data = vector};
}

void apic_timer_arm(uint64_t ns)
{
    apic_write(APIC_TIMER_INITIAL, (uint32_t)MIN(MAX(ns, 1ull), 0xfffffffful));
}

void apic_timer_free_run(void)
{
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER | APIC_MASKED);
    apic_write(APIC_TIMER_INITIAL, 0xffffffff);
}

uint32_t apic_timer_count(void)
{
    return apic_read(APIC_TIMER_CURRENT);
}

static uint32_t io_read(unsigned reg)
{
    io_registers[0] = reg;
    return io_registers[4];
}

static void io_write(unsigned reg, uint32_t value)
{
    io_registers[0] = reg;
    io_registers[4] = value;
}

/* Lines start masked: firmware leaves them so, and a line is routed when its driver registers. */
void io_apic_init(paddr_t base)
{
    io_registers = kmap_range(base, PAGE_SIZE, KMAP_WRITE | KMAP_DEVICE);
    if (!io_registers)
        panic("no memory to map the I/O interrupt controller");
    io_lines = (io_read(1) >> 16 & 0xff) + 1;
    /* The old controllers stay quiet. */
    port_out8(0x21, 0xff);
    port_out8(0xa1, 0xff);
}

unsigned io_apic_lines(void)
{
    return io_lines;
}

void io_apic_route(unsigned line, unsigned vector, bool level, bool masked)
{
    uint64_t flags = spin_lock_irqsave(&io_lock);
    uint32_t low = vector | (level ? 1u << 15 : 0) | (masked ? 1u << 16 : 0);

    io_write(0x10 + line * 2 + 1, cpus[0]->apic_id << 24);
    io_write(0x10 + line * 2, low);
    spin_unlock_irqrestore(&io_lock, flags);
}
