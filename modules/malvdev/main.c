/*
 * main.c: /dev/malv0, the GPU for programs: open, close, mmap. One context per open file.
 */
#include <microlake/aspace.h>
#include <microlake/memory.h>

#include "malvdev.h"
#include "modules/linux/include/linux_dev.h"
#include "uapi/kmod.h"
#include "uapi/malv.h"

#define DEVICE_NAME "malv0"

static int malv_open(void *context, unsigned flags, void **file)
{
    struct malv_file *f = kzalloc(sizeof(*f));
    int r;

    (void)context;
    (void)flags;
    if (!f)
        return ERR_NO_MEMORY;
    r = gpu_device_info(0, &f->config);
    if (r == OK)
        r = gpu_context_open(0, &f->ctx);
    if (r != OK) {
        kfree(f);
        return r == ERR_NOT_FOUND ? LINUX_ERRNO(ENODEV) : (int)malv_errno(r);
    }
    mutex_init(&f->lock);
    linux_poll_source_init(&f->source);
    *file = f;
    return OK;
}

static void malv_close(void *file)
{
    struct malv_file *f = file;

    malv_watches_close(f);
    gpu_context_close(f->ctx);
    kfree(f);
}

static int malv_mmap(void *file, uint64_t offset, uint64_t length, unsigned prot, bool shared,
                     struct memobj **object, uint64_t *object_offset)
{
    struct malv_file *f = file;
    uint64_t number = offset >> MALV_OFFSET_SHIFT;
    uint64_t inside = offset & ((1ull << MALV_OFFSET_SHIFT) - 1), first = 0;
    int r;

    if (!shared || number > UINT32_MAX)
        return ERR_INVALID;
    if (number == 0 && (prot & PROT_WRITE))
        return ERR_ACCESS;
    r = number ? gpu_buffer_memobj(f->ctx, (uint32_t)number, object, &first)
               : gpu_fences_memobj(f->ctx, object);
    if (r != OK)
        return r;
    inside += ALIGN_DOWN(first, PAGE_SIZE);
    if (inside >= memobj_size(*object) || length > memobj_size(*object) - inside) {
        memobj_unref(*object);
        return ERR_INVALID;
    }
    *object_offset = inside;
    return number ? OK : LINUX_MAP_NO_WRITE; /* a fence that the device has not signalled would cost all the device */
}

static const struct linux_device_ops device_ops = {
    .open = malv_open,
    .close = malv_close,
    .ioctl = malv_ioctl,
    .mmap = malv_mmap,
    .poll = malv_poll,
};

static int malvdev_init(void)
{
    return linux_device_register(DEVICE_NAME, 0666, &device_ops, NULL);
}

static void malvdev_exit(void)
{
    linux_device_unregister(DEVICE_NAME);
}

KMOD_MANIFEST(.name = "malvdev", .version = "0.1.0", .needs = "linux", .init = malvdev_init,
              .exit = malvdev_exit);
