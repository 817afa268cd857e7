/*
 * template.c: the smallest module that has everything: a manifest, options, a thread, exports. Copy
 * the folder to begin a module of your own; docs/writing-a-module.md says how.
 *
 * While it is loaded, a thread adds to the counter once a `template.period` (milliseconds, 1000
 * unless the command line says otherwise).
 */
#include "template.h"

#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/thread.h>
#include <microlake/wait.h>

#include "uapi/kmod.h"

static struct wait_queue stop_queue = WAIT_QUEUE_INIT(stop_queue);
static bool stopping; /* set once, by exit; the worker is woken after it */
static struct thread *worker;
static uint64_t period; /* ns; constant after init */
static uint64_t count;  /* atomic */

void template_count_add(uint64_t amount)
{
    __atomic_fetch_add(&count, amount, __ATOMIC_RELAXED);
}

uint64_t template_count(void)
{
    return __atomic_load_n(&count, __ATOMIC_RELAXED);
}

static bool is_stopping(void)
{
    return __atomic_load_n(&stopping, __ATOMIC_ACQUIRE);
}

static void worker_run(void *arg)
{
    (void)arg;
    while (!is_stopping()) {
        int result = WAIT_UNTIL(&stop_queue, is_stopping(), time_now() + period, 0);

        if (result == ERR_TIMED_OUT)
            template_count_add(1);
    }
}

static int template_init(void)
{
    period = boot_option_number("template.period", 1000) * NS_PER_MS;
    if (period == 0) {
        log_error("template: template.period must be at least 1 (milliseconds)");
        return ERR_INVALID;
    }
    return thread_create("template", worker_run, NULL, &worker);
}

/* On return nothing of the module runs any more: that is what makes unloading safe. */
static void template_exit(void)
{
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    wait_wake_all(&stop_queue);
    thread_join(worker, TIME_NEVER);
    thread_unref(worker);
    log_info("template: counted to %lu", template_count());
}

KMOD_MANIFEST(.name = "template", .version = "1.0.0", .init = template_init, .exit = template_exit);
