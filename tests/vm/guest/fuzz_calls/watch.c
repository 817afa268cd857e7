/*
 * watch.c: the watcher: rounds of workers, and whether the machine is as before when none is left.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUND_MS     1000u
#define END_SECONDS  180u  /* how long processes that were killed may take to be gone */
#define WARM_ROUNDS  4u   /* caches fill */
#define FOLDER       "/tmp/fuzz"

/* Beyond what caches hold at one time and not at another, kilobytes. */
#define HEAP_SLACK   128l
#define FRAMES_SLACK 4096l

struct shared *shared;
uint8_t *canary;

static unsigned failures;

static void verdict(const char *name, bool good, const char *why)
{
    if (good)
        printf("ok %s\n", name);
    else
        printf("FAIL %s: %s\n", name, why);
    failures += !good;
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- what the machine says of itself --------------------------------------------------------------- */

struct figures {
    long processes, tasks, memories, tables, files; /* exact */
    long heap, free;              /* kilobytes */
};

static long figure(const char *path, const char *name)
{
    char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    const char *at;

    if (fd >= 0)
        close(fd);
    if (size < 0)
        return -1;
    text[size] = '\0';
    at = strstr(text, name);
    return at ? atol(at + strlen(name)) : -1;
}

static void figures_read(struct figures *f)
{
    f->processes = figure("/proc/malv/objects", "processes ");
    f->tasks = figure("/proc/malv/objects", "tasks ");
    f->memories = figure("/proc/malv/objects", "memories ");
    f->tables = figure("/proc/malv/objects", "tables ");
    f->files = figure("/proc/malv/objects", "files ");
    f->heap = figure("/proc/meminfo", "Slab:");
    f->free = figure("/proc/meminfo", "MemFree:");
}

/* Threads that have ended may still be on their way out. */
static bool objects_settle(const struct figures *before, struct figures *now)
{
    double due = seconds_now() + END_SECONDS;

    for (;;) {
        figures_read(now);
        if (now->processes == before->processes && now->tasks == before->tasks &&
            now->memories == before->memories && now->tables == before->tables &&
            now->files == before->files)
            return true;
        if (seconds_now() > due)
            return false;
        usleep(10000);
    }
}

/* ---- files ------------------------------------------------------------------------------------------ */

static void folder_empty(int folder)
{
    DIR *d = fdopendir(folder);
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        int inner;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(folder, entry->d_name, 0) == 0)
            continue;
        inner = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (inner >= 0)
            folder_empty(inner);
        unlinkat(folder, entry->d_name, AT_REMOVEDIR);
    }
    if (d)
        closedir(d);
}

static void folders_clean(void)
{
    static const char *const folders[] = {"/tmp", "/dev/shm"};

    for (unsigned i = 0; i < 2; i++) {
        int folder = open(folders[i], O_RDONLY | O_DIRECTORY);

        if (folder >= 0)
            folder_empty(folder);
    }
    mkdir(FOLDER, 0777);
}

/* ---- rounds ------------------------------------------------------------------------------------------ */

static void canary_fill(void)
{
    for (unsigned i = 0; i < CANARY_SIZE; i++)
        canary[i] = (uint8_t)(i * 7 + i / PAGE);
}

static bool canary_whole(void)
{
    for (unsigned i = 0; i < CANARY_SIZE; i++)
        if (canary[i] != (uint8_t)(i * 7 + i / PAGE))
            return false;
    return true;
}

static pid_t worker_start(uint64_t seed, unsigned index, double end)
{
    double left = end - seconds_now();
    pid_t child = fork();

    if (child == 0)
        worker_run(seed, index, left > 0 ? (unsigned)(left * 1000) : 0);
    return child;
}

/* Keeps workers going for a round. False: no process can be made. */
static bool round_run(uint64_t seed, unsigned *started)
{
    double end = seconds_now() + ROUND_MS / 1000.0;
    pid_t workers[WORKERS] = {0};

    while (seconds_now() < end) {
        pid_t gone;

        for (unsigned i = 0; i < WORKERS; i++) {
            if (workers[i])
                continue;
            workers[i] = worker_start(seed * 0x1000003 + ++*started, i, end);
            if (workers[i] < 0)
                return false;
        }
        while ((gone = waitpid(-1, NULL, WNOHANG)) > 0)
            for (unsigned i = 0; i < WORKERS; i++)
                if (workers[i] == gone)
                    workers[i] = 0;
        usleep(2000);
    }
    return true;
}

/* Kills all others and waits for their ends. */
static bool round_end(void)
{
    double due = seconds_now() + END_SECONDS;

    for (;;) {
        pid_t gone = waitpid(-1, NULL, WNOHANG);

        if (gone < 0 && errno == ECHILD)
            return true;
        if (seconds_now() > due)
            return false;
        kill(-1, SIGKILL);
        if (gone == 0)
            usleep(2000);
    }
}

static void records_print(void)
{
    for (unsigned w = 0; w < WORKERS; w++) {
        for (unsigned t = 0; t < THREADS_MAX; t++) {
            const struct record *r = &shared->records[w][t];

            if (r->count)
                printf("# worker %u thread %u, call %u: %u(%lx, %lx, %lx, %lx, %lx, %lx)\n", w, t, r->count,
                       r->number, r->arguments[0], r->arguments[1], r->arguments[2], r->arguments[3],
                       r->arguments[4], r->arguments[5]);
        }
    }
}

static bool setup(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    canary = mmap(NULL, CANARY_SIZE + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    /* Behind the canary is nothing: what goes beyond its end must not reach our own memory. */
    if (shared == MAP_FAILED || canary == MAP_FAILED || munmap(canary + CANARY_SIZE, PAGE))
        return false;
    canary_fill();
    folders_clean();
    return true;
}

/* ---- what it comes to ----------------------------------------------------------------------------------- */

static void report_calls(void)
{
    uint64_t made = 0, succeeded = 0;
    unsigned rows_made = 0;
    char why[200];

    for (unsigned i = 0; i < call_row_count; i++) {
        unsigned number = call_rows[i].number;

        made += shared->made[number];
        succeeded += shared->succeeded[number];
        rows_made += shared->made[number] > 0;
        if (!shared->made[number])
            printf("# not made: %s\n", call_rows[i].name);
        else if (!shared->succeeded[number])
            printf("# always failed: %s, %lu times\n", call_rows[i].name, shared->made[number]);
    }
    printf("# %lu calls, %lu of them succeeded, %u of %u in the table\n", made, succeeded, rows_made,
           call_row_count);
    snprintf(why, sizeof(why), "%lu calls, %u of %u in the table", made, rows_made, call_row_count);
    verdict("most calls are made, and many succeed", rows_made * 10 >= call_row_count * 9 && succeeded * 10 > made,
            why);
}

static void report_memory(const struct figures *warm, const struct figures *last)
{
    char why[200];

    printf("# heap %ld kB, then %ld; free %ld kB, then %ld\n", warm->heap, last->heap, warm->free, last->free);
    snprintf(why, sizeof(why), "heap %ld kB, then %ld; free %ld kB, then %ld", warm->heap, last->heap,
             warm->free, last->free);
    verdict("memory comes back",
            last->heap - warm->heap < HEAP_SLACK && warm->free - last->free < FRAMES_SLACK, why);
}

int watch(uint64_t seed, unsigned seconds)
{
    struct figures before, warm = {0}, now;
    bool ends = true, whole = true, same = true, settled = true;
    unsigned rounds = 0, started = 0;
    double end;

    if (!setup() || !kept_setup()) {
        printf("FAIL set-up: %s\n", strerror(errno));
        return 1;
    }
    figures_read(&before);
    end = seconds_now() + seconds;
    printf("# seed %lu\n", seed);
    while (seconds_now() < end && ends && whole && same && settled) {
        if (!round_run(seed + rounds, &started))
            printf("# no worker: %s\n", strerror(errno));
        ends = round_end();
        whole = canary_whole();
        same = kept_whole();
        mounts_undo();
        folders_clean();
        settled = ends && objects_settle(&before, &now);
        if (++rounds <= WARM_ROUNDS)
            warm = now;
        printf("# round %u: %ld processes, %ld tasks, %ld memories, %ld tables, %ld files, heap %ld kB, "
               "free %ld kB\n",
               rounds, now.processes, now.tasks, now.memories, now.tables, now.files, now.heap,
               now.free);
    }
    printf("# %u rounds, %u workers\n", rounds, started);
    if (!ends || !settled)
        records_print();
    verdict("killed processes end", ends, "not all of them");
    verdict("other processes' memory is untouched", whole, "the canary changed");
    verdict("files that nobody may write are untouched", same, "see the lines above");
    verdict("processes, tasks and open files are gone", settled, "see the round's line");
    report_calls();
    report_memory(&warm, &now);
    return failures > 0;
}
