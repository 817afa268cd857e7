/*
 * registers.c: the operations of the transport. The core and its drivers call the set-up operations
 * one at a time; status and notify are single accesses.
 */
#include <microlake/cpu.h>

#include "registers.h"

#define RESET_TRIES 10000u

static struct mmio_device *mmio_of(struct virtio_device *d)
{
    return container_of(d, struct mmio_device, device);
}

static uint64_t mmio_features(struct virtio_device *d)
{
    const struct mmio_device *m = mmio_of(d);
    uint64_t features;

    mmio_write(m, MMIO_DEVICE_FEATURES_SELECT, 1);
    features = (uint64_t)mmio_read(m, MMIO_DEVICE_FEATURES) << 32;
    mmio_write(m, MMIO_DEVICE_FEATURES_SELECT, 0);
    return features | mmio_read(m, MMIO_DEVICE_FEATURES);
}

static void mmio_features_set(struct virtio_device *d, uint64_t features)
{
    const struct mmio_device *m = mmio_of(d);

    mmio_write(m, MMIO_DRIVER_FEATURES_SELECT, 1);
    mmio_write(m, MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
    mmio_write(m, MMIO_DRIVER_FEATURES_SELECT, 0);
    mmio_write(m, MMIO_DRIVER_FEATURES, (uint32_t)features);
}

static uint8_t mmio_status(struct virtio_device *d)
{
    return (uint8_t)mmio_read(mmio_of(d), MMIO_STATUS);
}

static void mmio_status_set(struct virtio_device *d, uint8_t status)
{
    const struct mmio_device *m = mmio_of(d);

    mmio_write(m, MMIO_STATUS, status);
    for (unsigned i = 0; status == 0 && i < RESET_TRIES && mmio_read(m, MMIO_STATUS); i++)
        cpu_relax();
}

static void mmio_config_read(struct virtio_device *d, uint32_t offset, void *out, uint32_t size)
{
    const struct mmio_device *m = mmio_of(d);

    virtio_config_copy(m->registers + MMIO_CONFIG, m->size - MMIO_CONFIG, offset, out, size);
}

static uint32_t mmio_generation(struct virtio_device *d)
{
    return mmio_read(mmio_of(d), MMIO_CONFIG_GENERATION);
}

static uint32_t mmio_queue_max(struct virtio_device *d, unsigned index)
{
    const struct mmio_device *m = mmio_of(d);

    mmio_write(m, MMIO_QUEUE_SELECT, index);
    return mmio_read(m, MMIO_QUEUE_SIZE_MAX);
}

static void write_address(const struct mmio_device *m, uint32_t offset, paddr_t address)
{
    mmio_write(m, offset, (uint32_t)address);
    mmio_write(m, offset + 4, (uint32_t)(address >> 32));
}

static void mmio_queue_enable(struct virtio_device *d, unsigned index, uint16_t size, paddr_t desc,
                              paddr_t avail, paddr_t used)
{
    const struct mmio_device *m = mmio_of(d);

    mmio_write(m, MMIO_QUEUE_SELECT, index);
    mmio_write(m, MMIO_QUEUE_SIZE, size);
    write_address(m, MMIO_QUEUE_DESC, desc);
    write_address(m, MMIO_QUEUE_AVAIL, avail);
    write_address(m, MMIO_QUEUE_USED, used);
    mmio_write(m, MMIO_QUEUE_READY, 1);
}

static void mmio_notify(struct virtio_device *d, unsigned index)
{
    mmio_write(mmio_of(d), MMIO_QUEUE_NOTIFY, index);
}

const struct virtio_transport_ops mmio_transport = {
    .features = mmio_features,
    .features_set = mmio_features_set,
    .status = mmio_status,
    .status_set = mmio_status_set,
    .config_read = mmio_config_read,
    .generation = mmio_generation,
    .queue_max = mmio_queue_max,
    .queue_enable = mmio_queue_enable,
    .notify = mmio_notify,
};
