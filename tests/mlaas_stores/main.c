/*
 * main.c: stores_test: see stores.h. What is written: "load", "stop", "batch", "survive SECONDS",
 * "measure", "costs". The write returns when it is done; what has come of it is then in the file.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/wait.h>

#include "modules/linux/include/linux_dev.h"
#include "modules/linux/include/linux_text.h"
#include "stores.h"
#include "uapi/kmod.h"

#define PATH       "/sys/kernel/mlaas/stores_test"
#define TEXT_BYTES 4096u
#define LIMIT      100u /* seconds that a device may take to be lost and come back */

static struct mutex lock = MUTEX_INIT(lock);
static char text[TEXT_BYTES]; /* verdicts; guarded by lock */
static struct text verdicts = {text, sizeof(text), 0};
static bool loaded; /* guarded by lock */

void verdict(const char *name, bool good, const char *why)
{
    text_add(&verdicts, good ? "ok %s\n" : "FAIL %s: %s\n", name, why);
}

void *file_copy(const char *path, size_t *size)
{
    struct boot_file file;
    void *copy = boot_file_find(path, &file) == OK ? kmalloc(file.size) : NULL;

    if (copy) {
        memcpy(copy, file.data, file.size);
        *size = file.size;
    }
    return copy;
}

static long test_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct load_figures f;

    (void)context;
    mutex_lock(&lock);
    text_add(&t, "%s", text);
    if (loaded) {
        load_figures(&f);
        text_add(&t, "runs %lu\nwrong %lu\ncaptures %lu\ntorn %lu\nregistrations %lu\n", f.runs,
                 f.wrong, f.captures, f.torn, f.registrations);
    }
    mutex_unlock(&lock);
    return text_length(&t);
}

static int do_locked(const char *what)
{
    int r = OK;

    verdicts.used = 0;
    text[0] = 0;
    if (!strcmp(what, "load") && !loaded) {
        r = load_start();
        loaded = r == OK;
    } else if (!strcmp(what, "stop") && loaded) {
        load_stop();
        loaded = false;
    } else if ((!strcmp(what, "steady") || !strcmp(what, "unsteady")) && loaded) {
        load_steady(what[0] == 's');
    } else if (!strcmp(what, "batch")) {
        batch_check();
    } else if (!strcmp(what, "survive")) {
        batch_survive(LIMIT);
    } else if (!strcmp(what, "measure")) {
        batch_measure();
    } else if (!strcmp(what, "costs")) {
        costs_measure();
    } else {
        r = ERR_INVALID;
    }
    return r;
}

static int test_store(void *context, const char *what, size_t size)
{
    int r;

    (void)context;
    (void)size;
    mutex_lock(&lock);
    r = do_locked(what);
    mutex_unlock(&lock);
    return r;
}

static const struct linux_pseudo_ops test_ops = {.show = test_show, .store = test_store};

static int test_init(void)
{
    return linux_pseudo_register(PATH, &test_ops, NULL);
}

static void test_exit(void)
{
    linux_pseudo_unregister(PATH);
    if (loaded)
        load_stop();
}

KMOD_MANIFEST(.name = "stores_test", .version = "1.0.0",
              .needs = "linux,features,models,mlbatch,mlrt", .init = test_init, .exit = test_exit);
