/*
 * main.c: the pilot and its thread, which sleeps while no class is the pilot's.
 *
 * The manager calls take, leave and describe with its own lock held, so this module's lock is not held when
 * the manager is called.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/wait.h>

#include "auto.h"
#include "uapi/kmod.h"

unsigned auto_window_ms;

static struct mutex lock = MUTEX_INIT(lock);
static struct flight flights[FLIGHTS_MAX]; /* guarded by lock */
static unsigned flying;                    /* of these; written under lock */
static bool stopping;                      /* set once */
static struct wait_queue queue = WAIT_QUEUE_INIT(queue);
static struct thread *worker;

static struct flight *flight_find_locked(const char *class_name)
{
    for (unsigned i = 0; i < FLIGHTS_MAX; i++)
        if (!strcmp(flights[i].class_name, class_name))
            return &flights[i];
    return NULL;
}

/* ---- The pilot --------------------------------------------------------------------------------- */

static int auto_take(void *context, const char *class_name)
{
    struct flight *f;
    int r = ERR_LIMIT;

    (void)context;
    mutex_lock(&lock);
    f = flight_find_locked("");
    if (f)
        r = flight_begin(f, class_name);
    if (r == OK)
        __atomic_add_fetch(&flying, 1, __ATOMIC_RELEASE);
    mutex_unlock(&lock);
    wait_wake_all(&queue);
    return r;
}

static void auto_leave(void *context, const char *class_name)
{
    struct flight *f;

    (void)context;
    mutex_lock(&lock);
    f = flight_find_locked(class_name);
    if (f) {
        flight_end(f);
        __atomic_sub_fetch(&flying, 1, __ATOMIC_RELEASE);
    }
    mutex_unlock(&lock);
}

static void say(const char *class_name, void (*fn)(const struct flight *f, struct text *out), struct text *out)
{
    struct flight *f;

    mutex_lock(&lock);
    f = flight_find_locked(class_name);
    if (f)
        fn(f, out);
    mutex_unlock(&lock);
}

static void auto_describe(void *context, const char *class_name, struct text *out)
{
    (void)context;
    say(class_name, flight_describe, out);
}

static void auto_recall(void *context, const char *class_name, struct text *out)
{
    (void)context;
    say(class_name, flight_recall, out);
}

static int auto_teach(void *context, const char *class_name, const char *line)
{
    struct flight *f;
    int r = ERR_NOT_FOUND;

    (void)context;
    mutex_lock(&lock);
    f = flight_find_locked(class_name);
    if (f)
        r = flight_teach(f, line);
    mutex_unlock(&lock);
    return r;
}

const struct mlaas_pilot auto_pilot = {.name = "auto",
                                       .take = auto_take,
                                       .leave = auto_leave,
                                       .describe = auto_describe,
                                       .recall = auto_recall,
                                       .teach = auto_teach};

/* ---- Ticks ------------------------------------------------------------------------------------- */

/* The class's next policy in *name. False: it stays. */
static bool flight_step(unsigned nth, const struct load *load, char class_name[POLICY_NAME_MAX],
                        char name[POLICY_NAME_MAX])
{
    const char *next = NULL;

    mutex_lock(&lock);
    if (flights[nth].class_name[0])
        next = flight_tick(&flights[nth], load);
    if (next) {
        strlcpy(class_name, flights[nth].class_name, POLICY_NAME_MAX);
        strlcpy(name, next, POLICY_NAME_MAX);
    }
    mutex_unlock(&lock);
    return next;
}

static void refused(const char *class_name)
{
    struct flight *f;

    mutex_lock(&lock);
    f = flight_find_locked(class_name);
    if (f)
        flight_refused(f);
    mutex_unlock(&lock);
}

static void ticks_end(const struct load *load)
{
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        char class_name[POLICY_NAME_MAX], name[POLICY_NAME_MAX];

        if (flight_step(i, load, class_name, name) &&
            mlaas_pilot_set(&auto_pilot, class_name, name) != OK)
            refused(class_name);
    }
}

static bool is_stopping(void)
{
    return __atomic_load_n(&stopping, __ATOMIC_ACQUIRE);
}

static bool has_work(void)
{
    return is_stopping() || __atomic_load_n(&flying, __ATOMIC_ACQUIRE);
}

static void tick_run(void)
{
    struct load load;

    load_begin(&load);
    WAIT_UNTIL(&queue, is_stopping(), time_now() + auto_window_ms * NS_PER_MS / TICKS, 0);
    load_sample(&load);
    load_end(&load);
    if (!is_stopping())
        ticks_end(&load);
}

static void worker_run(void *context)
{
    (void)context;
    while (!is_stopping()) {
        WAIT_UNTIL(&queue, has_work(), TIME_NEVER, 0);
        if (!is_stopping())
            tick_run();
    }
}

/* ---- Life -------------------------------------------------------------------------------------- */

static void worker_end(void)
{
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    wait_wake_all(&queue);
    thread_join(worker, TIME_NEVER);
    thread_unref(worker);
}

static int auto_init(void)
{
    int r;

    auto_window_ms = (unsigned)boot_option_number("auto.window_ms", 200);
    if (auto_window_ms < 10 || auto_window_ms > 60000) {
        log_error("auto: auto.window_ms must be from 10 to 60000");
        return ERR_INVALID;
    }
    r = thread_create("auto", worker_run, NULL, &worker);
    if (r != OK)
        return r;
    r = mlaas_pilot_register(&auto_pilot);
    if (r != OK)
        worker_end();
    return r;
}

static void auto_exit(void)
{
    mlaas_pilot_unregister(&auto_pilot);
    worker_end();
}

KMOD_MANIFEST(.name = "auto", .version = "1.0.0", .needs = "mlaas,linux", .init = auto_init,
              .exit = auto_exit);
