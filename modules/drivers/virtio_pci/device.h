/*
 * device.h: a virtio device on a PCI bus, and what the files of the driver share.
 */
#pragma once

#include <microlake/irq.h>
#include <microlake/list.h>

#include "config.h"
#include "layout.h"
#include "modules/drivers/virtio/include/virtio.h"

#define VECTORS_MAX      2u      /* queues; changes of the configuration */
#define VIRTIO_NO_VECTOR 0xffffu /* of the device's registers: no message */

struct pci_device {
    struct virtio_device device;
    pci_address function;
    struct pci_layout layout;
    struct pci_region {
        volatile uint8_t *at; /* NULL: the device has no such part */
        void *mapping;        /* what kmap_range() gave, and its size */
        uint64_t mapping_size;
    } regions[PCI_PARTS];
    uint32_t notify_at[VIRTIO_QUEUES_MAX]; /* bytes into the part; checked */
    unsigned vectors;                      /* messages in use; 0: the pin's line */
    unsigned lines[VECTORS_MAX];           /* as irq_unregister() wants them */
    struct list link; /* guarded by module start and end, which do not overlap */
    char name[24];
};

/* ---- regions.c
 * ----------------------------------------------------------------------------------- */

/* Maps the parts that the layout names. NULL, or what is wrong; then nothing is mapped. */
const char *pci_regions_map(struct pci_device *p, const uint8_t config[PCI_CONFIG_SIZE]);
void pci_regions_unmap(struct pci_device *p);

/* ---- interrupts.c
 * -------------------------------------------------------------------------------- */

/* By messages where the device can, else by the pin's line. A status. */
int pci_interrupts_start(struct pci_device *p);
void pci_interrupts_stop(struct pci_device *p); /* the device was reset */

/* Which message a change of the configuration sends. */
static inline uint16_t pci_config_vector(const struct pci_device *p)
{
    return p->vectors ? (uint16_t)(p->vectors - 1) : VIRTIO_NO_VECTOR;
}

/* ---- registers.c
 * --------------------------------------------------------------------------------- */

extern const struct virtio_transport_ops pci_transport;
