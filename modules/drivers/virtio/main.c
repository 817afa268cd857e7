/*
 * main.c: brings devices and drivers together.
 */
#include <microlake/log.h>
#include <microlake/module.h>
#include <microlake/wait.h>

#include "internal.h"
#include "uapi/kmod.h"

static struct mutex core_lock = MUTEX_INIT(core_lock);
static struct list devices = LIST_INIT(devices); /* guarded by core_lock */
static struct list drivers = LIST_INIT(drivers); /* guarded by core_lock */

/* While a driver has a device, the module of the device's transport stays. */
static struct module *transport_module(const struct virtio_device *d)
{
    return module_of_address(d->transport);
}

static void device_release_locked(struct virtio_device *d)
{
    virtio_device_reset(d);
    virtio_queues_free(d);
    d->features = 0;
}

/* Offers a free device to a driver. */
static void match_locked(struct virtio_device *d, const struct virtio_driver *driver)
{
    int r;

    if (d->driver || d->id != driver->id)
        return;
    if (d->lost) {
        log_warn("%s: the device was lost; only a new machine gets a new one", d->name);
        return;
    }
    if (!module_ref(transport_module(d)))
        return;
    d->driver = driver;
    r = driver->probe(d);
    if (r == OK)
        return;
    d->driver = NULL;
    device_release_locked(d);
    module_unref(transport_module(d));
    if (r != ERR_NOT_FOUND)
        log_warn("%s: %s does not take it: %s", d->name, driver->name, status_name(r));
}

static void unbind_locked(struct virtio_device *d)
{
    if (!d->driver)
        return;
    d->driver->remove(d);
    __atomic_store_n(&d->driver, NULL, __ATOMIC_RELEASE);
    device_release_locked(d);
    module_unref(transport_module(d));
}

int virtio_driver_register(struct virtio_driver *driver)
{
    mutex_lock(&core_lock);
    list_for_each (it, &drivers) {
        if (it == &driver->link) {
            mutex_unlock(&core_lock);
            return ERR_EXISTS;
        }
    }
    list_push_back(&drivers, &driver->link);
    list_for_each (it, &devices)
        match_locked(list_entry(it, struct virtio_device, link), driver);
    mutex_unlock(&core_lock);
    return OK;
}

void virtio_driver_unregister(struct virtio_driver *driver)
{
    mutex_lock(&core_lock);
    list_for_each (it, &devices) {
        struct virtio_device *d = list_entry(it, struct virtio_device, link);

        if (d->driver == driver)
            unbind_locked(d);
    }
    list_remove(&driver->link);
    mutex_unlock(&core_lock);
}

int virtio_device_add(struct virtio_device *d)
{
    mutex_lock(&core_lock);
    list_push_back(&devices, &d->link);
    list_for_each (it, &drivers)
        match_locked(d, list_entry(it, struct virtio_driver, link));
    mutex_unlock(&core_lock);
    return OK;
}

void virtio_device_remove(struct virtio_device *d)
{
    mutex_lock(&core_lock);
    unbind_locked(d);
    list_remove(&d->link);
    mutex_unlock(&core_lock);
}

static int virtio_init(void)
{
    return OK;
}

static void virtio_exit(void)
{
}

KMOD_MANIFEST(.name = "virtio", .version = "0.1.0", .needs = "", .init = virtio_init,
              .exit = virtio_exit);
