/*
 * gpu_record.c: records which GPU buffers batches touch, as policy "gpu_record" of class "gpu_memory", best
 * in the shadow: `mlctl load gpu_record`, then its name into /sys/kernel/mlaas/classes/gpu_memory/shadow. The
 * file /sys/kernel/mlaas/gpu_touches has the last touches as a trace that bench/gpu-replay reads. As a
 * policy it is LRU.
 */
#include <microlake/gpu_memory.h>
#include <microlake/memory.h>
#include <microlake/policy.h>

#include "modules/linux/include/linux_dev.h"
#include "modules/linux/include/linux_text.h"
#include "uapi/kmod.h"

#define FILE_PATH  "/sys/kernel/mlaas/gpu_touches"
#define EVENTS_MAX 65536u /* what comes later is left out: a trace has a beginning */

enum kind { NEW, TOUCH, BATCH, FREE };

struct event {
    uint32_t buffer;
    uint8_t kind;
    char how;
    uint16_t program;
    uint64_t bytes;
};

static struct event *events;
static uint32_t count; /* written by the policy's operations, one at a time; atomic for readers */
static uint64_t batch; /* of the last touch */

static void event_add(struct event e)
{
    if (count == EVENTS_MAX)
        return;
    events[count] = e;
    __atomic_store_n(&count, count + 1, __ATOMIC_RELEASE);
}

static void touch(struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    uint32_t id = (uint32_t)b->id;

    if (batch && batch != t->batch)
        event_add((struct event){.kind = BATCH});
    batch = t->batch;
    if (!b->data[0])
        event_add((struct event){
            .kind = NEW, .buffer = id, .program = (uint16_t)b->program, .bytes = b->bytes});
    b->data[0] = 1;
    event_add((struct event){.kind = TOUCH, .buffer = id, .how = !t->writes ? 'r' : t->reads ? 'w' : 'o'});
}

static void freed(struct gpu_memory_buffer *b)
{
    if (batch)
        event_add((struct event){.kind = BATCH});
    batch = 0;
    event_add((struct event){.kind = FREE, .buffer = (uint32_t)b->id});
}

static uint32_t victim(const struct gpu_memory_question *q)
{
    (void)q;
    return 0;
}

static const struct gpu_memory_ops ops = {
    .struct_size = sizeof(ops), .touch = touch, .freed = freed, .victim = victim};
static struct policy policy = {.name = "gpu_record", .ops = &ops};

static long touches_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    uint32_t there = __atomic_load_n(&count, __ATOMIC_ACQUIRE);

    (void)context;
    for (uint32_t i = 0; i < there; i++) {
        const struct event *e = &events[i];

        if (e->kind == NEW)
            text_add(&t, "n %u %u %lu\n", e->buffer, e->program, e->bytes);
        else if (e->kind == TOUCH)
            text_add(&t, "t %u %c\n", e->buffer, e->how);
        else if (e->kind == FREE)
            text_add(&t, "f %u\n", e->buffer);
        else
            text_add(&t, "b\n");
    }
    return text_length(&t);
}

static const struct linux_pseudo_ops file_ops = {.show = touches_show};

static int gpu_record_init(void)
{
    int r;

    events = kmalloc(EVENTS_MAX * sizeof(*events));
    if (!events)
        return ERR_NO_MEMORY;
    r = linux_pseudo_register(FILE_PATH, &file_ops, NULL);
    if (r == OK) {
        r = policy_register(GPU_MEMORY_CLASS, &policy);
        if (r != OK)
            linux_pseudo_unregister(FILE_PATH);
    }
    if (r != OK)
        kfree(events);
    return r;
}

static void gpu_record_exit(void)
{
    policy_unregister(GPU_MEMORY_CLASS, &policy);
    linux_pseudo_unregister(FILE_PATH);
    kfree(events);
}

KMOD_MANIFEST(.name = "gpu_record", .version = "1.0.0", .needs = "linux", .init = gpu_record_init,
              .exit = gpu_record_exit);
