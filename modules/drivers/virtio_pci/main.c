/*
 * main.c: finds the virtio devices on the PCI buses and adds them. What the firmware set up is
 * taken as it is; a device that makes no sense is left out, with a line that says why.
 */
#include <microlake/log.h>
#include <microlake/memory.h>

#include "device.h"
#include "uapi/kmod.h"

#define BUSES              256u
#define DEVICES            32u
#define FUNCTIONS          8u
#define NOTHING            UINT32_MAX
#define HEADER_IS_BRIDGE   1u
#define HEADER_TYPE_MASK   0x7fu
#define HEADER_IS_MULTIPLE 0x80u

static struct list found = LIST_INIT(found); /* used at module start and end only */

/* The buses to search. */
struct bus_set {
    uint32_t bits[BUSES / 32];
};

static void bus_add(struct bus_set *set, unsigned bus)
{
    set->bits[bus / 32] |= 1u << bus % 32;
}

static bool bus_has(const struct bus_set *set, unsigned bus)
{
    return set->bits[bus / 32] & 1u << bus % 32;
}

/* NULL, or what is wrong with the device. */
static const char *device_start(struct pci_device *p)
{
    uint8_t config[PCI_CONFIG_SIZE];
    const char *wrong;
    int r;

    pci_config_copy(p->function, config);
    wrong = pci_layout_read(config, &p->layout);
    if (!wrong)
        wrong = pci_regions_map(p, config);
    if (wrong)
        return wrong;
    p->device.id = p->layout.virtio_id;
    p->device.transport = &pci_transport;
    p->device.name = p->name;
    pci_transport.status_set(&p->device, 0); /* no interrupt of before */
    r = pci_interrupts_start(p);
    if (r == OK) {
        pci_command_change(p->function, PCI_COMMAND_MASTER, 0);
        return NULL;
    }
    pci_regions_unmap(p);
    return r == ERR_NO_MEMORY ? "there is no memory for it" : "it has no way to interrupt";
}

static void device_add(pci_address function)
{
    struct pci_device *p = kzalloc(sizeof(*p));
    const char *wrong = "there is no memory for it";

    if (p) {
        p->function = function;
        snprintf(p->name, sizeof(p->name), "virtio-pci %02x:%02x.%x", function >> 8,
                 function >> 3 & 31, function & 7);
        wrong = device_start(p);
    }
    if (wrong) {
        log_warn("virtio_pci: the device at %02x:%02x.%x is left out: %s", function >> 8,
                 function >> 3 & 31, function & 7, wrong);
        kfree(p);
        return;
    }
    log_debug("virtio_pci: %s is of kind %u, %u messages", p->name, p->device.id, p->vectors);
    list_push_back(&found, &p->link);
    virtio_device_add(&p->device);
}

/* Looks at one function. True: the device has more of them. */
static bool function_look(pci_address function, struct bus_set *buses)
{
    uint32_t id = pci_config_read(function, PCI_VENDOR);
    uint8_t header;

    if (id == NOTHING)
        return false;
    header = (uint8_t)(pci_config_read(function, PCI_HEADER_TYPE & ~3u) >> 16);
    if ((header & HEADER_TYPE_MASK) == HEADER_IS_BRIDGE)
        bus_add(buses, pci_config_read(function, PCI_SECONDARY_BUS & ~3u) >> 8 & 0xff);
    else if (pci_is_virtio((uint16_t)id, (uint16_t)(id >> 16)))
        device_add(function);
    return header & HEADER_IS_MULTIPLE;
}

static void bus_search(unsigned bus, struct bus_set *buses)
{
    for (unsigned device = 0; device < DEVICES; device++) {
        unsigned functions = function_look(pci_address_make(bus, device, 0), buses) ? FUNCTIONS : 1;

        for (unsigned function = 1; function < functions; function++)
            function_look(pci_address_make(bus, device, function), buses);
    }
}

/* Bridges lead to buses of higher numbers only, so one pass finds all, and each once. */
static int pci_init(void)
{
    struct bus_set buses = {0};

    bus_add(&buses, 0);
    for (unsigned bus = 0; bus < BUSES; bus++)
        if (bus_has(&buses, bus))
            bus_search(bus, &buses);
    return OK;
}

static void pci_exit(void)
{
    struct list *link;

    while ((link = list_pop_front(&found))) {
        struct pci_device *p = list_entry(link, struct pci_device, link);

        virtio_device_remove(&p->device);
        pci_interrupts_stop(p);
        pci_command_change(p->function, 0, PCI_COMMAND_MASTER);
        pci_regions_unmap(p);
        kfree(p);
    }
}

KMOD_MANIFEST(.name = "virtio_pci", .version = "0.1.0", .needs = "virtio", .init = pci_init,
              .exit = pci_exit);
