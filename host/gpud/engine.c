/* engine.c: see engine.h. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "log.h"
#include "memory_limit.h"
#include "sandbox_calls.h"

/* How often oneDNN's threads look for more work before they sleep: some tenths of a millisecond,
 * where their own default is several milliseconds that the machine's processors may need. */
#define OMP_LOOKS "20000"

struct thing *thing_new(enum thing_kind kind)
{
    struct thing *thing = calloc(1, sizeof(*thing));
    if (thing)
        thing->kind = kind;
    return thing;
}

static bool table_grow_locked(struct engine *engine, uint32_t handle)
{
    if (handle < engine->room)
        return true;
    uint32_t room = engine->room ? engine->room : 256;
    while (room <= handle)
        room *= 2;
    struct thing **grown = realloc(engine->things, room * sizeof(*grown));
    if (!grown)
        return false;
    memset(grown + engine->room, 0, (room - engine->room) * sizeof(*grown));
    engine->things = grown;
    engine->room = room;
    return true;
}

bool thing_add(struct engine *engine, uint32_t handle, struct thing *thing)
{
    pthread_mutex_lock(&engine->lock);
    bool added = table_grow_locked(engine, handle);
    if (added) {
        engine->things[handle] = thing;
        engine->counts[thing->kind]++;
    }
    pthread_mutex_unlock(&engine->lock);
    return added;
}

struct thing *thing_find(struct engine *engine, enum thing_kind kind, uint32_t handle)
{
    pthread_mutex_lock(&engine->lock);
    struct thing *thing = handle < engine->room ? engine->things[handle] : NULL;
    pthread_mutex_unlock(&engine->lock);
    return thing && thing->kind == kind ? thing : NULL;
}

static void thing_free(const struct device_ops *ops, struct thing *thing)
{
    switch (thing->kind) {
    case THING_CONTEXT:
        ops->context_destroy(thing->context);
        break;
    case THING_QUEUE:
        if (thing->queue.device)
            ops->queue_destroy(thing->queue.device);
        break;
    case THING_BUFFER:
        ops->buffer_destroy(thing->buffer.device);
        if (thing->buffer.span.memory)
            guest_span_destroy(&thing->buffer.span);
        break;
    case THING_PROGRAM:
        ops->program_destroy(thing->program);
        break;
    case THING_KERNEL:
        ops->kernel_destroy(thing->kernel);
        break;
    default:
        break;
    }
    free(thing);
}

void thing_destroy(struct engine *engine, uint32_t handle)
{
    struct thing *thing = NULL;
    pthread_mutex_lock(&engine->lock);
    if (handle < engine->room) {
        thing = engine->things[handle];
        engine->things[handle] = NULL;
    }
    if (thing)
        engine->counts[thing->kind]--;
    pthread_mutex_unlock(&engine->lock);
    if (thing)
        thing_free(engine->ops, thing);
}

/* A system call that the sandbox does not allow. The call itself has not been made. */
static void on_forbidden_call(int number, siginfo_t *info, void *context)
{
    (void)context;
    log_line("the device's code made a system call that is not allowed, %s (%d)",
             sandbox_call_name(info->si_syscall), info->si_syscall);
    raise(number);
}

static void calls_watch(void)
{
    struct sigaction action = {.sa_sigaction = on_forbidden_call,
                               .sa_flags = (int)(SA_RESETHAND | SA_NODEFER | SA_SIGINFO)};
    sigaction(SIGSYS, &action, NULL);
}

static struct link_shared *shared_map(int fd)
{
    void *shared =
        mmap(NULL, sizeof(struct link_shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared != MAP_FAILED)
        return shared;
    log_line("no memory to speak to the front: %s", strerror(errno));
    return NULL;
}

/*
 * Libraries are told of the folder by a descriptor that the linker inherits: that leads there past folders that
 * the process's user may not enter. False after a line in the log.
 */
static bool folder_tell(const char *folder, char *path, size_t room)
{
    int fd = open(folder, O_PATH | O_DIRECTORY);
    if (fd < 0) {
        log_line("cannot open %s: %s", folder, strerror(errno));
        return false;
    }
    snprintf(path, room, "/proc/self/fd/%d", fd);
    setenv("POCL_CACHE_DIR", path, 1);
    setenv("CUDA_CACHE_PATH", path, 1);
    setenv("TMPDIR", path, 1);
    return true;
}

_Noreturn void engine_main(const struct engine_settings *settings)
{
    static struct engine engine;
    char why[DEVICE_WHY_BYTES], folder[32];
    pthread_t runner, standby;
    prctl(PR_SET_NAME, "gpud-device");
    engine.ops = settings->ops;
    engine.socket = settings->socket;
    engine.ended_fd = settings->ended;
    engine.shared = shared_map(settings->shared);
    pthread_mutex_init(&engine.lock, NULL);
    pthread_mutex_init(&engine.take_lock, NULL);
    pthread_mutex_init(&engine.ends_lock, NULL);
    setenv("GOMP_SPINCOUNT", OMP_LOOKS, 0);
    calls_watch(); /* which the sandbox does not allow any more */
    memory_limit_enter(settings->memory);
    if (!engine.shared || !folder_tell(settings->folder, folder, sizeof(folder)) ||
        sandbox_enter(settings->sandbox, folder, settings->user))
        _exit(1);
    if (engine.ops->open(settings->selector, &engine.device, &engine.info, why)) {
        log_line("%s", why);
        _exit(1);
    }
    if (pthread_create(&runner, NULL, engine_runner_run, &engine) ||
        pthread_create(&standby, NULL, engine_standby_run, &engine)) {
        log_line("no thread for a device process: raise the limit of processes");
        _exit(1);
    }
    engine_requests_serve(&engine);
    _exit(0);
}
