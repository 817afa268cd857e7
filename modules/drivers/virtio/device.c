/*
 * device.c: one device's life: negotiation, config space, start, reset.
 */
#include <microlake/memory.h>

#include "internal.h"

#define CONFIG_READ_TRIES 8

/* Adds bits to the status, as the order of the set-up asks for. */
static void status_add(struct virtio_device *d, uint8_t bits)
{
    d->status |= bits;
    d->transport->status_set(d, d->status);
}

int virtio_features_accept(struct virtio_device *d, uint64_t wanted)
{
    uint64_t offered;

    virtio_device_reset(d);
    status_add(d, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    offered = d->transport->features(d);
    if (!(offered & VIRTIO_F_VERSION_1))
        return ERR_UNSUPPORTED;
    d->features = offered & (wanted | VIRTIO_F_VERSION_1);
    d->transport->features_set(d, d->features);
    status_add(d, VIRTIO_STATUS_FEATURES_OK);
    if (!(d->transport->status(d) & VIRTIO_STATUS_FEATURES_OK))
        return ERR_UNSUPPORTED;
    return OK;
}

void virtio_config_read(struct virtio_device *d, uint32_t offset, void *out, uint32_t size)
{
    uint32_t before, after = d->transport->generation(d);

    for (unsigned i = 0; i < CONFIG_READ_TRIES; i++) {
        before = after;
        d->transport->config_read(d, offset, out, size);
        after = d->transport->generation(d);
        if (before == after)
            return;
    }
}

/* Reads no byte beyond what is asked for: where the config space ends within a word, QEMU answers a
 * reading of that word with ones. */
void virtio_config_copy(const volatile uint8_t *config, uint32_t length, uint32_t offset, void *out,
                        uint32_t size)
{
    uint8_t *to = out;
    uint32_t i = 0;

    while (i < size) {
        uint32_t at = offset + i;

        if (at % 4 == 0 && size - i >= 4 && at < length && length - at >= 4) {
            uint32_t word = *(const volatile uint32_t *)(config + at);

            memcpy(to + i, &word, sizeof(word));
            i += 4;
        } else {
            to[i++] = at < length ? config[at] : 0;
        }
    }
}

void virtio_device_ready(struct virtio_device *d)
{
    status_add(d, VIRTIO_STATUS_DRIVER_OK);
}

void virtio_device_reset(struct virtio_device *d)
{
    d->status = 0;
    d->transport->status_set(d, 0);
}

void virtio_device_fail(struct virtio_device *d)
{
    virtio_device_reset(d);
    status_add(d, VIRTIO_STATUS_FAILED);
}

bool virtio_device_failed(struct virtio_device *d)
{
    uint8_t status = d->transport->status(d);

    return (status & VIRTIO_STATUS_NEEDS_RESET) || !(status & VIRTIO_STATUS_DRIVER_OK);
}

void virtio_device_interrupt(struct virtio_device *d, bool queues, bool config)
{
    const struct virtio_driver *driver = __atomic_load_n(&d->driver, __ATOMIC_ACQUIRE);
    uint64_t flags = spin_lock_irqsave(&d->interrupt_lock);

    if (config && driver && driver->config_changed)
        driver->config_changed(d);
    if (queues)
        virtio_queues_interrupt(d);
    spin_unlock_irqrestore(&d->interrupt_lock, flags);
}
