/*
 * interrupts.c: how a device on a PCI bus interrupts. By messages (MSI-X): the first one for its
 * queues, the second, where the device has so many, for changes of its configuration. A device
 * without messages takes its interrupt pin, on the line that the firmware noted.
 */
#include <microlake/log.h>

#include "device.h"

#define CONTROL_ENABLE (1u << 31) /* of the word that starts the MSI-X capability */
#define CONTROL_MASKED (1u << 30)
#define ENTRY_WORDS    4u
#define LINE_NONE      0xffu

enum isr_cause { ISR_QUEUES = 1 << 0, ISR_CONFIG = 1 << 1 };

static void queues_message(void *ctx)
{
    struct pci_device *p = ctx;

    virtio_device_interrupt(&p->device, true, p->vectors == 1);
}

static void config_message(void *ctx)
{
    struct pci_device *p = ctx;

    virtio_device_interrupt(&p->device, false, true);
}

/* Reading the causes clears them, and lets the line go. */
static void line_interrupt(void *ctx)
{
    struct pci_device *p = ctx;
    uint8_t causes = *p->regions[PCI_ISR].at;

    if (causes)
        virtio_device_interrupt(&p->device, causes & ISR_QUEUES, causes & ISR_CONFIG);
}

static const irq_handler messages[VECTORS_MAX] = {queues_message, config_message};

/* An entry of the table: address, its upper half, data, and whether it is masked. */
static void entry_write(struct pci_device *p, unsigned vector, const struct irq_message *m)
{
    volatile uint32_t *entry =
        (volatile uint32_t *)p->regions[PCI_MSIX_TABLE].at + vector * ENTRY_WORDS;

    entry[0] = (uint32_t)m->address;
    entry[1] = (uint32_t)(m->address >> 32);
    entry[2] = m->data;
    entry[3] = 0;
}

static void messages_switch(const struct pci_device *p, uint32_t bits)
{
    uint32_t control = pci_config_read(p->function, p->layout.msix);

    control &= ~(CONTROL_ENABLE | CONTROL_MASKED);
    pci_config_write(p->function, p->layout.msix, control | bits);
}

static void messages_free(struct pci_device *p)
{
    while (p->vectors) {
        p->vectors--;
        irq_unregister(p->lines[p->vectors], messages[p->vectors], p);
    }
}

/* The table can be written only while messages are on. */
static int messages_start(struct pci_device *p)
{
    unsigned count = MIN(p->layout.messages, VECTORS_MAX);
    struct irq_message m;
    int r;

    if (!count)
        return ERR_UNSUPPORTED;
    messages_switch(p, CONTROL_ENABLE | CONTROL_MASKED);
    for (; p->vectors < count; p->vectors++) {
        r = irq_register_message(messages[p->vectors], p, &p->lines[p->vectors], &m);
        if (r != OK) {
            messages_switch(p, 0);
            messages_free(p);
            return r;
        }
        entry_write(p, p->vectors, &m);
    }
    pci_command_change(p->function, PCI_COMMAND_NO_LINE, 0);
    messages_switch(p, CONTROL_ENABLE);
    return OK;
}

int pci_interrupts_start(struct pci_device *p)
{
    int r = messages_start(p);

    if (r == OK)
        return OK;
    if (p->layout.line == 0 || p->layout.line == LINE_NONE)
        return r;
    log_debug("virtio_pci: %s interrupts by line %u", p->name, p->layout.line);
    pci_command_change(p->function, 0, PCI_COMMAND_NO_LINE);
    p->lines[0] = p->layout.line;
    return irq_register(p->layout.line, IRQ_LEVEL, line_interrupt, p);
}

void pci_interrupts_stop(struct pci_device *p)
{
    pci_command_change(p->function, PCI_COMMAND_NO_LINE, 0);
    if (p->vectors) {
        messages_switch(p, 0);
        messages_free(p);
    } else {
        irq_unregister(p->lines[0], line_interrupt, p);
    }
}
