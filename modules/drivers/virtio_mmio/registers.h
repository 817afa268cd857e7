/*
 * registers.h: the registers of a virtio-mmio device, version 2 (virtio 1.2, section 4.2.2), and
 * how the virtio core reaches them.
 */
#pragma once

#include "modules/drivers/virtio/include/virtio.h"

enum mmio_register {
    MMIO_MAGIC = 0x000,
    MMIO_VERSION = 0x004,
    MMIO_DEVICE_ID = 0x008,
    MMIO_DEVICE_FEATURES = 0x010,
    MMIO_DEVICE_FEATURES_SELECT = 0x014,
    MMIO_DRIVER_FEATURES = 0x020,
    MMIO_DRIVER_FEATURES_SELECT = 0x024,
    MMIO_QUEUE_SELECT = 0x030,
    MMIO_QUEUE_SIZE_MAX = 0x034,
    MMIO_QUEUE_SIZE = 0x038,
    MMIO_QUEUE_READY = 0x044,
    MMIO_QUEUE_NOTIFY = 0x050,
    MMIO_INTERRUPT_STATUS = 0x060,
    MMIO_INTERRUPT_ACK = 0x064,
    MMIO_STATUS = 0x070,
    MMIO_QUEUE_DESC = 0x080, /* low, then high half; so the next two */
    MMIO_QUEUE_AVAIL = 0x090,
    MMIO_QUEUE_USED = 0x0a0,
    MMIO_CONFIG_GENERATION = 0x0fc,
    MMIO_CONFIG = 0x100,
};

#define MMIO_MAGIC_VALUE   0x74726976u /* "virt" */
#define MMIO_VERSION_VALUE 2u

enum mmio_interrupt { MMIO_INTERRUPT_QUEUES = 1u << 0, MMIO_INTERRUPT_CONFIG = 1u << 1 };

struct mmio_device {
    struct virtio_device device;
    volatile uint8_t *registers;
    uint32_t size; /* bytes of registers */
    uint32_t line;
    void *mapping; /* what kmap_range() gave, and its size */
    uint64_t mapping_size;
    struct list link; /* guarded by module start and end, which do not overlap */
    char name[40];
};

extern const struct virtio_transport_ops mmio_transport;

static inline uint32_t mmio_read(const struct mmio_device *m, uint32_t offset)
{
    return *(volatile uint32_t *)(m->registers + offset);
}

static inline void mmio_write(const struct mmio_device *m, uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(m->registers + offset) = value;
}
