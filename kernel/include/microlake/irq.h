/*
 * irq.h: interrupts of devices. Handlers run in interrupt context: no sleeping, short.
 */
#pragma once

#include <microlake/types.h>

typedef void (*irq_handler)(void *ctx);

/* Routes an interrupt line (global system interrupt) to a handler. Several handlers may share a level
 * line. Thread context. */
enum irq_mode { IRQ_EDGE, IRQ_LEVEL };
int irq_register(unsigned line, enum irq_mode mode, irq_handler handler, void *ctx);
void irq_unregister(unsigned line, irq_handler handler, void *ctx);

/* What a device must write, and where, to interrupt by a message (MSI, MSI-X). */
struct irq_message {
    uint64_t address;
    uint32_t data;
};

/*
 * Takes a free line for messages: nobody else has it. Gives it back with irq_unregister(); the device must
 * not send any more by then. ERR_LIMIT: all lines are taken. ERR_NO_MEMORY. Thread context.
 */
int irq_register_message(irq_handler handler, void *ctx, unsigned *line, struct irq_message *out);

/* x86 I/O ports, for drivers of devices that have them. */
static inline void port_out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static inline uint8_t port_in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void port_out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port));
}

static inline uint32_t port_in32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
