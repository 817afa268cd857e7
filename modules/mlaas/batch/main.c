/*
 * main.c: start and end of module mlbatch, and /sys/kernel/mlaas/batch: for each net a line of
 * names and values, then a line for each size of batch. Nobody has a net any more when it is
 * unloaded, because their modules need it.
 */
#include <microlake/boot.h>

#include "batch.h"
#include "modules/linux/include/linux_dev.h"
#include "modules/linux/include/linux_text.h"
#include "uapi/kmod.h"

#define LIST_PATH "/sys/kernel/mlaas/batch"

static const char *const device_names[] = {[MLBATCH_NO_DEVICE] = "none",
                                           [MLBATCH_STARTING] = "starting",
                                           [MLBATCH_READY] = "ready",
                                           [MLBATCH_LOST] = "lost"};

static void net_show(struct text *t, struct mlbatch_net *net)
{
    struct mlbatch_figures f;

    mlbatch_figures(net, &f);
    text_add(t, "%s.device %s\n%s.version %u\n", f.name, device_names[f.device], f.name, f.version);
    if (f.crossing == MLBATCH_NEVER)
        text_add(t, "%s.crossing never\n", f.name);
    else
        text_add(t, "%s.crossing %u\n", f.name, f.crossing);
    text_add(t, "%s.on_processor %lu\n%s.on_device %lu\n", f.name, f.on_processor, f.name,
             f.on_device);
    text_add(t, "%s.batches %lu\n%s.joined %lu\n%s.moves %lu\n", f.name, f.batches, f.name,
             f.joined, f.name, f.moves);
    text_add(t, "%s.fallbacks %lu\n%s.reason %s\n", f.name, f.fallbacks, f.name, f.reason);
    for (unsigned i = 0; i < MLBATCH_CLASSES; i++)
        if (f.processor_ns[i] || f.device_ns[i])
            text_add(t, "%s.rows_%u %lu %lu\n", f.name, 1u << i, f.processor_ns[i], f.device_ns[i]);
}

static long nets_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    mutex_lock(&nets_lock);
    for (struct list *at = nets.next; at != &nets; at = at->next)
        net_show(&t, container_of(at, struct mlbatch_net, link));
    mutex_unlock(&nets_lock);
    return text_length(&t);
}

static const struct linux_pseudo_ops list_ops = {.show = nets_show};

unsigned batch_measure_ms;

static int mlbatch_init(void)
{
    batch_measure_ms = (unsigned)boot_option_number("mlbatch.measure_ms", 20);
    return linux_pseudo_register(LIST_PATH, &list_ops, NULL);
}

static void mlbatch_exit(void)
{
    linux_pseudo_unregister(LIST_PATH);
}

KMOD_MANIFEST(.name = "mlbatch", .version = "1.0.0", .needs = "linux,mlrt,models",
              .init = mlbatch_init, .exit = mlbatch_exit);
