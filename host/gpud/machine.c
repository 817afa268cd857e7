/* machine.c: brings a machine's device up and answers what vhost-user asks of its owner. */
#include "machine.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include "log.h"
#include "watch.h"

/* A sub-buffer begins where the patterns of fills and the elements of tensors may. */
#define LEAST_ALIGN 16u

static void config_fill(struct vgpgpu_config *config, const struct device_info *info)
{
    *config = (struct vgpgpu_config){
        .magic = VGPGPU_MAGIC,
        .version = VGPGPU_VERSION,
        .max_contexts = MAX_CONTEXTS,
        .max_objects = MAX_OBJECTS,
        .max_segments = MAX_SEGMENTS,
        .max_submit_bytes = MAX_SUBMIT_BYTES,
        .max_program_bytes = MAX_PROGRAM_BYTES,
        .offset_align = info->offset_align > LEAST_ALIGN ? info->offset_align : LEAST_ALIGN,
        .device_type = info->type,
        .compute_units = info->compute_units,
        .global_memory = info->global_memory,
        .max_buffer = info->max_buffer,
        .program_kinds = info->program_kinds,
        .features = info->features | VGPGPU_FEATURE_SIGNAL | VGPGPU_FEATURE_SUB_BUFFER,
        .max_group = info->max_group,
        .local_bytes = info->local_bytes,
    };
    memcpy(config->backend, info->backend, sizeof(config->backend));
    memcpy(config->backend_version, info->backend_version, sizeof(config->backend_version));
    memcpy(config->device_name, info->name, sizeof(config->device_name));
    memcpy(config->operations, info->operations, sizeof(config->operations));
    memcpy(config->max_group_size, info->max_group_size, sizeof(config->max_group_size));
}

static bool control_is_asking(struct machine *machine)
{
    return atomic_load(&machine->watch.call_since_ns) != 0;
}

/* Waits until a count falls to 0. Work that does not end in time costs the device process. */
static int count_wait(struct machine *machine, atomic_uint *count)
{
    for (unsigned waited = 0; atomic_load(count); waited++) {
        if (waited == STOP_LIMIT_MS) {
            log_line("work did not end within %u ms of a stop", STOP_LIMIT_MS);
            remotes_kill(machine);
        }
        if (waited == 2 * STOP_LIMIT_MS) {
            log_line("and cannot be ended: the machine loses its device");
            return -1;
        }
        poll(NULL, 0, 1);
        remotes_pump(machine); /* the submit thread may be waiting for its ring */
    }
    return 0;
}

/* The control thread holds its ring while it asks the device process: that too must end in time. */
static void call_wait(struct machine *machine)
{
    for (unsigned waited = 0; control_is_asking(machine); waited++) {
        if (waited == STOP_LIMIT_MS)
            remote_kill(atomic_load(&machine->watch.call_remote), NULL, true);
        poll(NULL, 0, 1);
    }
}

/* Until the control thread has done what it had taken when its ring began to stop. */
static void control_settle(struct machine *machine)
{
    struct ring *control = &machine->session.rings[VGPGPU_QUEUE_CONTROL];
    atomic_fetch_add(&control->wanted, 1);
    for (call_wait(machine); pthread_mutex_trylock(&control->lock); call_wait(machine))
        poll(NULL, 0, 1);
    atomic_fetch_sub(&control->wanted, 1);
    ring_unlock(control);
}

static void on_ring_changed(void *owner, unsigned index)
{
    struct machine *machine = owner;
    eventfd_signal(index == VGPGPU_QUEUE_SUBMIT ? machine->submit_wake : machine->control_wake);
}

static int on_ring_stopping(void *owner, unsigned index)
{
    struct machine *machine = owner;
    if (index != VGPGPU_QUEUE_CONTROL)
        return 0;
    control_settle(machine);
    return count_wait(machine, &machine->deferred_count);
}

static int on_ring_stopped(void *owner, unsigned index)
{
    struct machine *machine = owner;
    if (index != VGPGPU_QUEUE_SUBMIT)
        return 0;
    return count_wait(machine, &machine->running);
}

static void on_device_reset(void *owner)
{
    struct machine *machine = owner;
    struct ring *control = &machine->session.rings[VGPGPU_QUEUE_CONTROL];
    struct ring *submit = &machine->session.rings[VGPGPU_QUEUE_SUBMIT];
    call_wait(machine);
    ring_lock_first(control);
    ring_lock_first(submit);
    if (count_wait(machine, &machine->running) == 0)
        machine_reset(machine);
    ring_unlock(submit);
    ring_unlock(control);
}

static void on_device_resume(void *owner)
{
    control_resume(owner);
}

static const struct vhost_owner owner_calls = {
    .ring_changed = on_ring_changed,
    .ring_stopping = on_ring_stopping,
    .ring_stopped = on_ring_stopped,
    .device_reset = on_device_reset,
    .device_resume = on_device_resume,
};

void machine_quiet(struct machine *machine)
{
    for (unsigned waited = 0; atomic_load(&machine->running) || control_is_asking(machine); waited++) {
        if (waited == END_LIMIT_MS)
            remotes_kill(machine);
        poll(NULL, 0, 1);
    }
    count_wait(machine, &machine->deferred_count);
    vhost_session_end(&machine->session);
    count_wait(machine, &machine->running);
    garbage_collect(machine);
}

/* A buffer that is destroyed is the guest's still, with the last of its sub-buffers. */
static void buffer_count(const struct object *object, struct link_counts *owned)
{
    struct object *parent = object->parent;
    if (!parent) {
        owned->buffers++;
        return;
    }
    owned->sub_buffers++;
    if (parent->gone && !parent->counted)
        owned->buffers++;
    parent->counted |= parent->gone;
}

void machine_count(struct machine *machine, struct link_counts *owned, struct link_counts *held)
{
    *owned = (struct link_counts){0};
    pthread_mutex_lock(&machine->objects_lock);
    for (uint32_t id = 1; id <= MAX_CONTEXTS; id++) {
        const struct context *context = machine->contexts[id];
        if (!context)
            continue;
        owned->contexts++;
        for (unsigned i = 0; i < VGPGPU_QUEUES_PER_CONTEXT; i++)
            owned->queues += context->timelines[i].handle != 0;
        for (uint32_t i = 1; i <= MAX_OBJECTS; i++) {
            if (context->objects[OBJECT_BUFFER][i])
                buffer_count(context->objects[OBJECT_BUFFER][i], owned);
            owned->programs += context->objects[OBJECT_PROGRAM][i] != NULL;
            owned->kernels += context->objects[OBJECT_KERNEL][i] != NULL;
        }
    }
    pthread_mutex_unlock(&machine->objects_lock);
    *held = (struct link_counts){
        .contexts = atomic_load(&machine->context_count),
        .queues = atomic_load(&machine->queue_count),
        .buffers = atomic_load(&machine->object_counts[OBJECT_BUFFER]) -
                   atomic_load(&machine->sub_count),
        .sub_buffers = atomic_load(&machine->sub_count),
        .programs = atomic_load(&machine->object_counts[OBJECT_PROGRAM]),
        .kernels = atomic_load(&machine->object_counts[OBJECT_KERNEL]),
        .batches = atomic_load(&machine->running),
    };
}

int machine_start(struct machine *machine, int socket, const struct remote_ends *ends,
                  const struct device_info *info, uint64_t limit_ns)
{
    memset(machine, 0, sizeof(*machine));
    machine->info = *info;
    config_fill(&machine->config, info);
    pthread_mutex_init(&machine->objects_lock, NULL);
    pthread_mutex_init(&machine->garbage_lock, NULL);
    pthread_mutex_init(&machine->event_lock, NULL);
    vhost_session_init(&machine->session, socket, &owner_calls, machine, &machine->config,
                       sizeof(machine->config));
    machine->control_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    machine->submit_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (remotes_init(machine, ends))
        return -1;
    if (watch_init(&machine->watch, limit_ns) || machine->control_wake < 0 ||
        machine->submit_wake < 0 ||
        pthread_create(&machine->control_thread, NULL, control_run, machine) ||
        pthread_create(&machine->submit_thread, NULL, submit_run, machine) ||
        pthread_create(&machine->watch_thread, NULL, watch_run, machine)) {
        log_line("cannot start the threads of a machine: raise the limits of processes and files");
        return -1;
    }
    return 0;
}
