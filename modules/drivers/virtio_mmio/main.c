/*
 * main.c: finds virtio-mmio devices through the option virtio_mmio.device=SIZE@BASE:IRQ, which may
 * be repeated, and passes their interrupts on. The option virtio_mmio.later= is the same for devices
 * that nobody needs at the start: the boot does not load this module for them alone.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "option.h"
#include "registers.h"
#include "uapi/kmod.h"

#define STATUS_TRIES 16u

static struct list found = LIST_INIT(found); /* used at module start and end only */

/*
 * The line is an edge for the interrupt controller, so it must be low again when the handler ends:
 * another cause may have come between the reading and the acknowledgement.
 */
static void mmio_interrupt(void *ctx)
{
    struct mmio_device *m = ctx;
    uint32_t causes = mmio_read(m, MMIO_INTERRUPT_STATUS);

    for (unsigned i = 0; causes && i < STATUS_TRIES; i++) {
        mmio_write(m, MMIO_INTERRUPT_ACK, causes);
        virtio_device_interrupt(&m->device, causes & MMIO_INTERRUPT_QUEUES,
                                causes & MMIO_INTERRUPT_CONFIG);
        causes = mmio_read(m, MMIO_INTERRUPT_STATUS);
    }
}

static int mmio_map(struct mmio_device *m, const struct mmio_option *option)
{
    uint64_t first = ALIGN_DOWN(option->base, PAGE_SIZE);

    if (frame_is_ram(option->base))
        return ERR_INVALID;
    m->mapping_size = ALIGN_UP(option->base + option->size, PAGE_SIZE) - first;
    m->mapping = kmap_range(first, m->mapping_size, KMAP_WRITE | KMAP_DEVICE);
    if (!m->mapping)
        return ERR_NO_MEMORY;
    m->registers = (volatile uint8_t *)m->mapping + (option->base - first);
    m->size = (uint32_t)option->size;
    m->line = option->line;
    return OK;
}

/* Device 0 is a place where none is plugged in. */
static int mmio_identify(struct mmio_device *m)
{
    if (mmio_read(m, MMIO_MAGIC) != MMIO_MAGIC_VALUE)
        return ERR_NOT_FOUND;
    m->device.id = mmio_read(m, MMIO_DEVICE_ID);
    if (m->device.id == 0)
        return ERR_NOT_FOUND;
    return mmio_read(m, MMIO_VERSION) == MMIO_VERSION_VALUE ? OK : ERR_UNSUPPORTED;
}

static int mmio_start(struct mmio_device *m, const struct mmio_option *option)
{
    int r = mmio_map(m, option);

    if (r == OK)
        r = mmio_identify(m);
    if (r == OK)
        r = irq_register(m->line, IRQ_EDGE, mmio_interrupt, m);
    if (r == OK)
        return OK;
    if (m->mapping)
        kunmap(m->mapping, m->mapping_size);
    return r;
}

static void mmio_add(const struct mmio_option *option)
{
    struct mmio_device *m = kzalloc(sizeof(*m));
    int r = ERR_NO_MEMORY;

    if (m) {
        snprintf(m->name, sizeof(m->name), "virtio-mmio 0x%lx", option->base);
        r = mmio_start(m, option);
    }
    if (r == OK) {
        m->device.transport = &mmio_transport;
        m->device.name = m->name;
        list_push_back(&found, &m->link);
        virtio_device_add(&m->device);
        return;
    }
    kfree(m);
    if (r == ERR_NOT_FOUND)
        log_debug("virtio_mmio: no device at 0x%lx", option->base);
    else if (r == ERR_UNSUPPORTED)
        log_warn("virtio_mmio: the device at 0x%lx is a legacy one; start QEMU with "
                 "-global virtio-mmio.force-legacy=false",
                 option->base);
    else
        log_warn("virtio_mmio: the device at 0x%lx, interrupt %u, can't be used: %s", option->base,
                 option->line, status_name(r));
}

static void options_read(const char *name)
{
    struct mmio_option option;
    const char *text, *wrong;

    for (unsigned nth = 0; (text = boot_option(name, nth)); nth++) {
        wrong = mmio_option_parse(text, &option);
        if (wrong)
            log_warn("virtio_mmio: option %s=%s is left out: %s", name, text, wrong);
        else
            mmio_add(&option);
    }
}

static int mmio_init(void)
{
    options_read("virtio_mmio.device");
    options_read("virtio_mmio.later");
    return OK;
}

static void mmio_exit(void)
{
    struct list *link;

    while ((link = list_pop_front(&found))) {
        struct mmio_device *m = list_entry(link, struct mmio_device, link);

        virtio_device_remove(&m->device);
        irq_unregister(m->line, mmio_interrupt, m);
        kunmap(m->mapping, m->mapping_size);
        kfree(m);
    }
}

KMOD_MANIFEST(.name = "virtio_mmio", .version = "0.1.0", .needs = "virtio", .init = mmio_init,
              .exit = mmio_exit);
