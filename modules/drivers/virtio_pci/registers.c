/*
 * registers.c: the operations of the transport. The core and its drivers call the set-up operations
 * one at a time; status and notify are single accesses.
 */
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "device.h"

#define RESET_TRIES 10000u

/* Of the common configuration; each register is accessed in its own width. */
enum common_register {
    COMMON_DEVICE_FEATURES_SELECT = 0,
    COMMON_DEVICE_FEATURES = 4,
    COMMON_DRIVER_FEATURES_SELECT = 8,
    COMMON_DRIVER_FEATURES = 12,
    COMMON_CONFIG_VECTOR = 16,     /* 16 bits */
    COMMON_QUEUES = 18,            /* 16 bits */
    COMMON_STATUS = 20,            /* 8 bits */
    COMMON_CONFIG_GENERATION = 21, /* 8 bits */
    COMMON_QUEUE_SELECT = 22,      /* 16 bits, and so the next five */
    COMMON_QUEUE_SIZE = 24,
    COMMON_QUEUE_VECTOR = 26,
    COMMON_QUEUE_ENABLE = 28,
    COMMON_QUEUE_NOTIFY_OFFSET = 30,
    COMMON_QUEUE_DESC = 32, /* low, then high half; so the next two */
    COMMON_QUEUE_AVAIL = 40,
    COMMON_QUEUE_USED = 48,
};

static struct pci_device *pci_of(struct virtio_device *d)
{
    return container_of(d, struct pci_device, device);
}

static uint32_t read32(const struct pci_device *p, enum common_register at)
{
    return *(volatile uint32_t *)(p->regions[PCI_COMMON].at + at);
}

static void write32(const struct pci_device *p, enum common_register at, uint32_t value)
{
    *(volatile uint32_t *)(p->regions[PCI_COMMON].at + at) = value;
}

static uint16_t read16(const struct pci_device *p, enum common_register at)
{
    return *(volatile uint16_t *)(p->regions[PCI_COMMON].at + at);
}

static void write16(const struct pci_device *p, enum common_register at, uint16_t value)
{
    *(volatile uint16_t *)(p->regions[PCI_COMMON].at + at) = value;
}

static uint64_t features(struct virtio_device *d)
{
    const struct pci_device *p = pci_of(d);
    uint64_t high;

    write32(p, COMMON_DEVICE_FEATURES_SELECT, 1);
    high = read32(p, COMMON_DEVICE_FEATURES);
    write32(p, COMMON_DEVICE_FEATURES_SELECT, 0);
    return high << 32 | read32(p, COMMON_DEVICE_FEATURES);
}

/* Comes once after each reset, which makes the device forget its vectors too. */
static void features_set(struct virtio_device *d, uint64_t accepted)
{
    const struct pci_device *p = pci_of(d);

    write32(p, COMMON_DRIVER_FEATURES_SELECT, 1);
    write32(p, COMMON_DRIVER_FEATURES, (uint32_t)(accepted >> 32));
    write32(p, COMMON_DRIVER_FEATURES_SELECT, 0);
    write32(p, COMMON_DRIVER_FEATURES, (uint32_t)accepted);
    write16(p, COMMON_CONFIG_VECTOR, pci_config_vector(p));
}

static uint8_t status(struct virtio_device *d)
{
    return pci_of(d)->regions[PCI_COMMON].at[COMMON_STATUS];
}

static void status_set(struct virtio_device *d, uint8_t value)
{
    pci_of(d)->regions[PCI_COMMON].at[COMMON_STATUS] = value;
    for (unsigned i = 0; value == 0 && i < RESET_TRIES && status(d); i++)
        cpu_relax();
}

static void config_read(struct virtio_device *d, uint32_t offset, void *out, uint32_t size)
{
    const struct pci_device *p = pci_of(d);

    virtio_config_copy(p->regions[PCI_DEVICE_CONFIG].at, p->layout.parts[PCI_DEVICE_CONFIG].length,
                       offset, out, size);
}

static uint32_t generation(struct virtio_device *d)
{
    return pci_of(d)->regions[PCI_COMMON].at[COMMON_CONFIG_GENERATION];
}

/* Where a queue is notified must lie inside that part. */
static bool notify_place_read(struct pci_device *p, unsigned index)
{
    uint64_t at = (uint64_t)read16(p, COMMON_QUEUE_NOTIFY_OFFSET) * p->layout.notify_multiplier;

    if (at + sizeof(uint16_t) > p->layout.parts[PCI_NOTIFY].length) {
        log_warn("%s: queue %u would be notified outside the device", p->name, index);
        return false;
    }
    p->notify_at[index] = (uint32_t)at;
    return true;
}

static uint32_t queue_max(struct virtio_device *d, unsigned index)
{
    struct pci_device *p = pci_of(d);

    if (index >= VIRTIO_QUEUES_MAX || index >= read16(p, COMMON_QUEUES))
        return 0;
    write16(p, COMMON_QUEUE_SELECT, (uint16_t)index);
    return notify_place_read(p, index) ? read16(p, COMMON_QUEUE_SIZE) : 0;
}

static void write_address(const struct pci_device *p, enum common_register at, paddr_t address)
{
    write32(p, at, (uint32_t)address);
    write32(p, at + 4, (uint32_t)(address >> 32));
}

static void queue_enable(struct virtio_device *d, unsigned index, uint16_t size, paddr_t desc,
                         paddr_t avail, paddr_t used)
{
    const struct pci_device *p = pci_of(d);

    write16(p, COMMON_QUEUE_SELECT, (uint16_t)index);
    write16(p, COMMON_QUEUE_SIZE, size);
    write16(p, COMMON_QUEUE_VECTOR, p->vectors ? 0 : VIRTIO_NO_VECTOR);
    write_address(p, COMMON_QUEUE_DESC, desc);
    write_address(p, COMMON_QUEUE_AVAIL, avail);
    write_address(p, COMMON_QUEUE_USED, used);
    write16(p, COMMON_QUEUE_ENABLE, 1);
}

static void notify(struct virtio_device *d, unsigned index)
{
    const struct pci_device *p = pci_of(d);

    *(volatile uint16_t *)(p->regions[PCI_NOTIFY].at + p->notify_at[index]) = (uint16_t)index;
}

const struct virtio_transport_ops pci_transport = {
    .features = features,
    .features_set = features_set,
    .status = status,
    .status_set = status_set,
    .config_read = config_read,
    .generation = generation,
    .queue_max = queue_max,
    .queue_enable = queue_enable,
    .notify = notify,
};
