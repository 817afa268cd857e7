/* machine.c: brings a machine's device up and answers what vhost-user asks of its owner. */
#include "machine.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include "log.h"
#include "watch.h"

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
        .offset_align = info->offset_align,
        .device_type = info->type,
        .compute_units = info->compute_units,
        .global_memory = info->global_memory,
        .max_buffer = info->max_buffer,
    };
    memcpy(config->backend, info->backend, sizeof(config->backend));
    memcpy(config->backend_version, info->backend_version, sizeof(config->backend_version));
    memcpy(config->device_name, info->name, sizeof(config->device_name));
    memcpy(config->operations, info->operations, sizeof(config->operations));
}

/* Waits until a count falls to 0, at most STOP_LIMIT_MS. */
static int count_wait(atomic_uint *count, const char *what)
{
    for (unsigned waited = 0; atomic_load(count); waited++) {
        if (waited == STOP_LIMIT_MS) {
            log_line("%s did not end within %u ms: the machine loses its device", what,
                     STOP_LIMIT_MS);
            return -1;
        }
        poll(NULL, 0, 1);
    }
    return 0;
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
    return count_wait(&machine->deferred_count, "work on memory that was given back");
}

static int on_ring_stopped(void *owner, unsigned index)
{
    struct machine *machine = owner;
    if (index != VGPGPU_QUEUE_SUBMIT)
        return 0;
    return count_wait(&machine->running, "work on the device");
}

static void on_device_reset(void *owner)
{
    struct machine *machine = owner;
    struct ring *control = &machine->session.rings[VGPGPU_QUEUE_CONTROL];
    struct ring *submit = &machine->session.rings[VGPGPU_QUEUE_SUBMIT];
    ring_lock_first(control);
    ring_lock_first(submit);
    if (count_wait(&machine->running, "work on the device") == 0)
        machine_reset(machine);
    ring_unlock(submit);
    ring_unlock(control);
}

static const struct vhost_owner owner_calls = {
    .ring_changed = on_ring_changed,
    .ring_stopping = on_ring_stopping,
    .ring_stopped = on_ring_stopped,
    .device_reset = on_device_reset,
};

int machine_start(struct machine *machine, int socket, const struct device_ops *ops,
                  const char *selector, const struct device_info *info, uint64_t limit_ns)
{
    memset(machine, 0, sizeof(*machine));
    machine->ops = ops;
    machine->selector = selector;
    machine->info = *info;
    config_fill(&machine->config, info);
    pthread_mutex_init(&machine->objects_lock, NULL);
    pthread_mutex_init(&machine->garbage_lock, NULL);
    pthread_mutex_init(&machine->event_lock, NULL);
    watch_init(&machine->watch, limit_ns);
    vhost_session_init(&machine->session, socket, &owner_calls, machine, &machine->config,
                       sizeof(machine->config));
    machine->control_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    machine->submit_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (machine->control_wake < 0 || machine->submit_wake < 0 ||
        pthread_create(&machine->control_thread, NULL, control_run, machine) ||
        pthread_create(&machine->submit_thread, NULL, submit_run, machine) ||
        (limit_ns && pthread_create(&machine->watch_thread, NULL, watch_run, machine))) {
        log_line("cannot start the threads of a machine: raise the limits of processes and files");
        return -1;
    }
    return 0;
}
