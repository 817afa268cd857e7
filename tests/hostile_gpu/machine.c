/*
 * machine.c: a virtio transport with a liar behind it, and the lives that the option hostile=WHAT asks for: one lie
 * ("twice@submit"), `directed`: each lie at each place; `random`: hostile.lives=N of them by chance, from hostile.seed=N on;
 * `misuse`. Prints a line "ok ..." or "FAIL ..." each.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include <microlake/thread.h>
#include <microlake/wait.h>

#include "machine.h"
#include "modules/drivers/virtio/include/virtio.h"
#include "uapi/kmod.h"

#define QUEUE_SIZE 128u
#define LOOK_NS    (5 * NS_PER_MS)
#define LEAK_SLACK (1ull << 20) /* caches of frames, objects and stacks */
#define ROUNDS     2u

/* Of the transport: what a vhost-user back end has no say in. */
enum transport_lie { TRUE_TRANSPORT, QUEUE_NONE, QUEUE_ONE, QUEUE_TWO, QUEUE_ODD, NO_VERSION, REFUSES, TRANSPORT_LIES };
static const char *const transport_lies[TRANSPORT_LIES] = {
    [TRUE_TRANSPORT] = "true-transport", [QUEUE_NONE] = "queue-none", [QUEUE_ONE] = "queue-one",
    [QUEUE_TWO] = "queue-two",           [QUEUE_ODD] = "queue-odd",   [NO_VERSION] = "no-version",
    [REFUSES] = "features-refused",
};

static struct machine {
    struct virtio_device device;
    struct spinlock lock;
    struct liar liar;            /* guarded by lock */
    bool queues, config, resets; /* guarded by lock: interrupts that are due; it asks to be reset */
    enum transport_lie transport;
    struct wait_queue kicks;
    bool kicked, stop; /* atomic */
    struct thread *thread;
} m;

/* ---- The transport ----------------------------------------------------------------------------- */

static uint64_t features(struct virtio_device *d)
{
    (void)d;
    return VIRTIO_F_INDIRECT_DESC | (m.transport == NO_VERSION ? 0 : VIRTIO_F_VERSION_1);
}

static void features_set(struct virtio_device *d, uint64_t accepted)
{
    (void)d;
    (void)accepted;
}

static uint8_t status(struct virtio_device *d)
{
    uint8_t refused = m.transport == REFUSES ? VIRTIO_STATUS_FEATURES_OK : 0;

    return (uint8_t)((d->status & ~refused) | (m.resets ? VIRTIO_STATUS_NEEDS_RESET : 0));
}

/* After a reset no ring is touched any more. */
static void status_set(struct virtio_device *d, uint8_t value)
{
    uint64_t flags = spin_lock_irqsave(&m.lock);

    (void)d;
    for (unsigned i = 0; value == 0 && i < VGPGPU_QUEUE_COUNT; i++)
        liar_ring_stop(&m.liar, i);
    if (value == 0)
        m.resets = false;
    spin_unlock_irqrestore(&m.lock, flags);
}

static void config_read(struct virtio_device *d, uint32_t offset, void *out, uint32_t size)
{
    struct vgpgpu_config config;

    (void)d;
    liar_config(&m.liar, &config);
    virtio_config_copy((const volatile uint8_t *)&config, sizeof(config), offset, out, size);
}

static uint32_t generation(struct virtio_device *d)
{
    static uint32_t never_the_same;

    (void)d;
    return never_the_same++;
}

static uint32_t queue_max(struct virtio_device *d, unsigned index)
{
    static const uint32_t sizes[TRANSPORT_LIES] = {
        [QUEUE_ONE] = 1, [QUEUE_TWO] = 2, [QUEUE_ODD] = UINT32_MAX};

    (void)d;
    if (index >= VGPGPU_QUEUE_COUNT || m.transport == QUEUE_NONE)
        return 0;
    return sizes[m.transport] ? sizes[m.transport] : QUEUE_SIZE;
}

static void queue_enable(struct virtio_device *d, unsigned index, uint16_t size, paddr_t desc, paddr_t avail,
                         paddr_t used)
{
    uint64_t flags = spin_lock_irqsave(&m.lock);

    (void)d;
    liar_ring_start(&m.liar, index, size, 0, phys_to_virt(desc), phys_to_virt(avail), phys_to_virt(used));
    spin_unlock_irqrestore(&m.lock, flags);
}

static void notify(struct virtio_device *d, unsigned index)
{
    (void)d;
    (void)index;
    __atomic_store_n(&m.kicked, true, __ATOMIC_RELEASE);
    wait_wake_all(&m.kicks);
}

static const struct virtio_transport_ops transport = {
    .features = features,
    .features_set = features_set,
    .status = status,
    .status_set = status_set,
    .config_read = config_read,
    .generation = generation,
    .queue_max = queue_max,
    .queue_enable = queue_enable,
    .notify = notify,
};

/* ---- The device -------------------------------------------------------------------------------- */

static void *memory(void *owner, uint64_t address, uint64_t bytes)
{
    (void)owner;
    if (!bytes || address + bytes < address || !frame_is_ram(address) || !frame_is_ram(address + bytes - 1))
        return NULL;
    return phys_to_virt(address);
}

static void interrupt(void *owner, unsigned queue)
{
    (void)owner;
    (void)queue;
    m.queues = true;
}

static void config_changed(void *owner, bool needs_reset)
{
    (void)owner;
    m.config = true;
    m.resets |= needs_reset;
}

static void die(void *owner)
{
    (void)owner; /* it is silent from now on */
}

static const struct liar_calls liar_calls = {memory, interrupt, config_changed, die};

/* The driver's handlers come back here, to reset the device: without the lock. */
static bool device_step(void)
{
    uint64_t flags = spin_lock_irqsave(&m.lock);
    bool any = (m.device.status & VIRTIO_STATUS_DRIVER_OK) && liar_step(&m.liar), queues = m.queues,
         config = m.config;

    m.queues = m.config = false;
    spin_unlock_irqrestore(&m.lock, flags);
    if (queues || config)
        virtio_device_interrupt(&m.device, queues, config);
    return any;
}

static bool is_kicked(void)
{
    return __atomic_exchange_n(&m.kicked, false, __ATOMIC_ACQUIRE) || __atomic_load_n(&m.stop, __ATOMIC_ACQUIRE);
}

static void device_work(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&m.stop, __ATOMIC_ACQUIRE)) {
        uint64_t due = time_now() + LOOK_NS;

        if (device_step())
            thread_yield();
        else
            WAIT_UNTIL(&m.kicks, is_kicked(), due, 0);
    }
}

static bool transport_parse(const char *what)
{
    for (m.transport = TRANSPORT_LIES - 1; m.transport && strcmp(what, transport_lies[m.transport]); m.transport--)
        ;
    return m.transport != TRUE_TRANSPORT;
}

bool plug(const char *what)
{
    m = (struct machine){.device = {.transport = &transport, .id = VGPGPU_DEFAULT_VIRTIO_ID, .name = "hostile_gpu"}};
    wait_queue_init(&m.kicks);
    if (!liar_init(&m.liar, transport_parse(what) ? "honest" : what, &liar_calls, NULL))
        return false;
    if (thread_create("hostile_gpu", device_work, NULL, &m.thread) != OK)
        return false;
    virtio_device_add(&m.device);
    return true;
}

void unplug(void)
{
    virtio_device_remove(&m.device);
    __atomic_store_n(&m.stop, true, __ATOMIC_RELEASE);
    wait_wake_all(&m.kicks);
    thread_join(m.thread, TIME_NEVER);
    thread_unref(m.thread);
}

const struct liar *plugged(void)
{
    return &m.liar;
}

/* ---- What is wrong ----------------------------------------------------------------------------- */

static char first_wrong[160];

void wrong(const char *file, int line, const char *what, long value)
{
    if (!first_wrong[0])
        snprintf(first_wrong, sizeof(first_wrong), "%s:%d: %s (%ld)", file, line, what, value);
}

const char *wrong_first(void)
{
    return first_wrong;
}

void wrong_clear(void)
{
    first_wrong[0] = '\0';
}

/* ---- Lives ------------------------------------------------------------------------------------- */

static unsigned failures, lives;

static void say(const char *text)
{
    const struct host_channel *host = host_channel();

    if (host->write)
        host->write(1, text, strlen(text));
}

static void life_failed(const char *what)
{
    char line[256];

    failures++;
    snprintf(line, sizeof(line), "FAIL %s: %s\n", what, first_wrong);
    say(line);
    wrong_clear();
}

static uint64_t memory_free(void)
{
    struct memory_stats stats;

    memory_stats(&stats);
    return stats.free;
}

static void leftovers_check(const struct gpu_stats *before)
{
    struct gpu_stats after;

    gpu_stats(&after);
    CHECK(after.devices == before->devices, after.devices);
    CHECK(after.contexts == before->contexts, after.contexts);
    for (unsigned kind = 0; kind < GPU_OBJECT_KINDS; kind++)
        CHECK(after.objects[kind] == before->objects[kind], after.objects[kind]);
    CHECK(after.memory == before->memory, after.memory);
    CHECK(after.batches == before->batches, after.batches);
    CHECK(after.managed == before->managed, after.managed);
    CHECK(after.resident == before->resident, after.resident);
}

/* Whether it is lost in the end; false in *hangs if all threads have come back. */
static bool life(const char *what, bool *hangs)
{
    struct vgpgpu_config config;
    struct gpu_stats before;
    bool lost;

    gpu_stats(&before);
    *hangs = false;
    if (!plug(what)) {
        wrong(__FILE__, __LINE__, "there is such a lie", 0);
        return false;
    }
    lives++;
    *hangs = !drive(ROUNDS);
    if (*hangs)
        return false;
    lost = gpu_device_info(0, &config) == ERR_LOST;
    unplug();
    leftovers_check(&before);
    return lost;
}

/* Kernel code that hangs has the device: there is no going on. */
static bool life_run(const char *what)
{
    bool hangs;

    life(what, &hangs);
    if (first_wrong[0] || hangs)
        life_failed(what);
    return !hangs;
}

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && !strcmp(text + strlen(text) - strlen(end), end);
}

/* What a lie comes to may depend on where it is told. */
static enum liar_expect expected(const struct liar_lie *lie, const char *place)
{
    bool event = !strcmp(place, "event"), submit = !strcmp(place, "submit");

    if (event && !strcmp(lie->name, "twice")) /* the second time it may be there again */
        return LIAR_EXPECT_ANY;
    if (!strcmp(lie->name, "silent") && !event && !submit)
        return LIAR_EXPECT_LOST;
    if (lie->group == LIAR_REPLIES && !strncmp(lie->name, "status", 6) && !strcmp(place, "alive"))
        return LIAR_EXPECT_ERRORS; /* any answer will do */
    if (!strcmp(lie->name, "status-odd") || !strcmp(lie->name, "status-huge") || !strcmp(lie->name, "status-memory"))
        return ends_with(place, "-destroy") ? LIAR_EXPECT_LOST : LIAR_EXPECT_ERRORS;
    return lie->expect;
}

/* One lie at one place, "": wherever it is told. */
static bool lie_run(const struct liar_lie *lie, const char *place, const char *after)
{
    enum liar_expect expect = expected(lie, place);
    char what[LIAR_NAME];
    bool hangs, lost;

    snprintf(what, sizeof(what), "%s%s%s%s", lie->name, *place ? "@" : "", place, after);
    lost = life(what, &hangs);
    if (!hangs) {
        CHECK(lie->group == LIAR_CONFIG || lie->group == LIAR_HONEST || plugged()->told > 0, plugged()->told);
        CHECK(expect != LIAR_EXPECT_LOST || lost, lost);
        CHECK(expect != LIAR_EXPECT_ERRORS || !lost, lost);
        CHECK(strncmp(what, "failed-fine", 11) || drive_failures > 0, drive_failures);
        CHECK(strncmp(what, "failed-odd", 10) || drive_failures > 0, drive_failures);
    }
    if (first_wrong[0] || hangs)
        life_failed(what);
    return !hangs;
}

/* The places where a lie of this group can be told. */
static bool fits(const struct liar_lie *lie, const char *place)
{
    bool event = !strcmp(place, "event"), submit = !strcmp(place, "submit");

    if (lie->group == LIAR_FENCES || lie->group == LIAR_EVENTS)
        return submit;
    if (lie->group == LIAR_REPLIES)
        return !event && !submit;
    return lie->group == LIAR_GIVES_BACK || (lie->group == LIAR_STATE && !event);
}

static bool lie_everywhere(const struct liar_lie *lie)
{
    if (lie->group == LIAR_CONFIG || lie->group == LIAR_HONEST)
        return lie_run(lie, "", "");
    for (const char *const *place = liar_places; **place; place++)
        if (fits(lie, *place) && (!lie_run(lie, *place, "") || (!strcmp(*place, "submit") && !lie_run(lie, *place, "+5"))))
            return false;
    return true;
}

/* "": all; a lie; or a lie at one place. */
static bool wanted(const char *which, const char *name)
{
    return !*which || !strcmp(which, name) || (!strncmp(which, name, strlen(name)) && which[strlen(name)] == '@');
}

static bool lie_wanted(const struct liar_lie *lie, const char *which)
{
    const char *at = which + strlen(lie->name) + 1, *after;
    char place[LIAR_NAME];

    if (!*which || !strcmp(which, lie->name))
        return lie_everywhere(lie);
    for (after = at; *after && *after != '+'; after++)
        ;
    strlcpy(place, at, MIN(sizeof(place), (size_t)(after - at) + 1));
    return lie_run(lie, place, after);
}

static void life_ended(const char *name, unsigned count)
{
    char line[128];

    snprintf(line, sizeof(line), "ok %s (%u lives)\n", name, count);
    say(line);
}

static void directed(const char *which)
{
    unsigned before, begun, found = 0;

    for (const struct liar_lie *lie = liar_lies; lie->name[0]; lie++) {
        if (!wanted(which, lie->name))
            continue;
        before = failures;
        begun = lives;
        found++;
        if (!lie_wanted(lie, which))
            return;
        if (failures == before)
            life_ended(lie->name, lives - begun);
    }
    for (unsigned i = 1; i < TRANSPORT_LIES; i++) {
        if (!wanted(which, transport_lies[i]))
            continue;
        found++;
        if (!life_run(transport_lies[i]))
            return;
        if (!failures)
            life_ended(transport_lies[i], 1);
    }
    CHECK(found > 0, found);
}

static void by_chance(uint64_t seed, uint64_t count)
{
    char what[LIAR_NAME];

    for (uint64_t i = 0; i < count; i++) {
        snprintf(what, sizeof(what), "random:%lu", seed + i);
        if (!life_run(what))
            return;
    }
    snprintf(what, sizeof(what), "ok %lu lives by chance from %lu on\n", count, seed);
    if (!failures)
        say(what);
}

static void misuse_run(void)
{
    struct gpu_stats before;

    gpu_stats(&before);
    if (plug("honest")) {
        misuse();
        unplug();
        leftovers_check(&before);
    }
    if (first_wrong[0])
        life_failed("misuse");
    else
        say("ok misuse\n");
}

static int hostile_main(void)
{
    const char *what = boot_option("hostile", 0);
    uint64_t before, after;
    bool hangs;

    life("honest", &hangs); /* what is kept for next time is there */
    before = memory_free();
    if (!what || !strcmp(what, "directed"))
        directed("");
    else if (!strcmp(what, "random"))
        by_chance(boot_option_number("hostile.seed", 1), boot_option_number("hostile.lives", 100));
    else if (!strcmp(what, "misuse"))
        misuse_run();
    else
        directed(what);
    thread_sleep(time_now() + 10 * NS_PER_MS, 0);
    after = memory_free();
    CHECK(after + LEAK_SLACK >= before, (before - after) >> 10);
    if (first_wrong[0])
        life_failed("KiB of memory are there again");
    return failures > 0;
}

static int hostile_init(void)
{
    boot_set_main(hostile_main);
    return OK;
}

KMOD_MANIFEST(.name = "hostile_gpu", .version = "1.0.0", .needs = "virtio,virtio_gpgpu", .init = hostile_init);
