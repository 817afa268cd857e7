/* rig.c: see rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "rig.h"

const char rig_bomb[] =
    "#define A x[0]++;\n"
    "#define B A A A A A A A A A A A A A A A A\n"
    "#define C B B B B B B B B B B B B B B B B\n"
    "#define D C C C C C C C C C C C C C C C C\n"
    "#define E D D D D D D D D D D D D D D D D\n"
    "#define F E E E E E E E E E E E E E E E E\n"
    "kernel void bomb(global volatile int *x) { F }\n";

static char folder[] = "/tmp/gpud-test-XXXXXX";
static char socket_path[64];
static char cache_path[64];
static pid_t gpud;
static int log_fd; /* each line is one write, and those of several processes follow each other */
static pid_t newest_keeper;
bool rig_folders_apart;

/* GPUD_TESTS in the environment: the one test, or the pattern of those, that are run. */
__attribute__((constructor)) static void tests_pick(void)
{
    if (getenv("GPUD_TESTS"))
        cmocka_set_test_filter(getenv("GPUD_TESTS"));
}

/* What main() was told, and since when the run is on. */
static struct {
    const char *counted;
    unsigned long count, seconds; /* no seconds: as long as it takes */
    double begun, told;
} run;

#define TELL_SECONDS 30

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static _Noreturn void usage_tell(const char *program)
{
    fprintf(stderr,
            "usage: %s [%s [SEED]], or %s [--requests %s] [--seed SEED] [--seconds SECONDS]; all from 1\n",
            program, run.counted, program, run.counted);
    exit(2);
}

void rig_arguments(int argc, char **argv, const char *counted, unsigned long *count, uint64_t *seed)
{
    static const struct option known[] = {{"requests", required_argument, NULL, 'n'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    int option;
    bool timed = false;
    run.counted = counted;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'n')
            *count = strtoul(optarg, NULL, 0);
        else if (option == 's')
            *seed = strtoull(optarg, NULL, 0);
        else if (option == 't')
            run.seconds = strtoul(optarg, NULL, 0);
        else
            usage_tell(argv[0]);
        timed |= option == 't';
    }
    if (optind < argc)
        *count = strtoul(argv[optind++], NULL, 0);
    if (optind < argc)
        *seed = strtoull(argv[optind++], NULL, 0);
    if (optind < argc || !*count || !*seed || (timed && !run.seconds))
        usage_tell(argv[0]);
    run.count = *count;
}

double rig_seconds(void)
{
    return run.begun > 0 ? now_seconds() - run.begun : 0;
}

bool rig_goes_on(unsigned long done)
{
    double now = now_seconds();
    if (run.begun <= 0)
        run.begun = run.told = now;
    if (now - run.told >= TELL_SECONDS) {
        run.told = now;
        fprintf(stderr, "%lu of %lu %s, %.0f a second\n", done, run.count, run.counted,
                (double)done / (now - run.begun));
    }
    return done < run.count && (!run.seconds || now - run.begun < (double)run.seconds);
}

static pid_t broker_start(void)
{
    const char *program = getenv("GPUD");
    return gpud_start_counting(program ? program : "build/host/gpud", socket_path,
                               rig_folders_apart ? NULL : cache_path, log_fd);
}

int rig_start(void **state)
{
    (void)state;
    setenv("GPUD_LIBRARY_OUTPUT", "1", 0); /* sanitizers say what they found in the device process */
    if (!mkdtemp(folder))
        return -1;
    snprintf(socket_path, sizeof(socket_path), "%s/gpu", folder);
    snprintf(cache_path, sizeof(cache_path), "%s/cache", folder);
    log_fd = memfd_create("log", MFD_CLOEXEC);
    if (log_fd < 0 || fcntl(log_fd, F_SETFL, O_APPEND) < 0)
        return -1;
    gpud = broker_start();
    return 0;
}

/* All of it, however long. */
const char *rig_log(void)
{
    static char *text;
    static size_t room;
    struct stat file;
    assert_int_equal(fstat(log_fd, &file), 0);
    size_t bytes = (size_t)file.st_size, have = 0;
    if (bytes >= room) {
        room = 2 * bytes + 4096;
        text = realloc(text, room);
        assert_non_null(text);
    }
    while (have < bytes) {
        ssize_t got = pread(log_fd, text + have, bytes - have, (off_t)have);
        assert_true(got > 0);
        have += (size_t)got;
    }
    text[have] = 0;
    return text;
}

bool rig_log_has(const char *text)
{
    for (int waited = 0; waited < 5000; waited++) {
        if (strstr(rig_log(), text))
            return true;
        poll(NULL, 0, 1);
    }
    return false;
}

unsigned rig_log_count(const char *text)
{
    unsigned count = 0;
    for (const char *at = rig_log(); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

void rig_log_is_clean(void)
{
    static const char *const signals[] = {"signal 4", "signal 6", "signal 7", "signal 8", "signal 11", "signal 31"};
    unsigned bad = rig_log_count("AddressSanitizer") + rig_log_count("runtime error");
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        char line[40];
        snprintf(line, sizeof(line), "was ended by %s", signals[i]);
        bad += rig_log_count(line);
    }
    if (bad)
        print_error("%s", rig_log());
    assert_int_equal(bad, 0);
}

/* Every machine that ended by itself says that nothing was left over. */
static bool nothing_leaks(void)
{
    const char *log = rig_log();
    if (strstr(log, "SOMETHING WAS LEFT OVER") || strstr(log, "cuda stand-in:")) {
        print_error("%s", log);
        return false;
    }
    return true;
}

int rig_stop(void **state)
{
    char command[160];
    (void)state;
    int status = gpud_stop(gpud);
    if (getenv("GPUD_LOG"))
        fputs(rig_log(), stderr);
    bool clean = access(socket_path, F_OK) != 0;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        return -1;
    if (status != 0 || !clean)
        print_error("gpud ended with status %d%s\n%s", status, clean ? "" : " and left its socket",
                    rig_log());
    return status == 0 && clean && nothing_leaks() ? 0 : -1;
}

const char *rig_socket(void)
{
    return socket_path;
}

void rig_broker_replace(void)
{
    kill(gpud, SIGKILL);
    assert_int_equal(waitpid(gpud, NULL, 0), gpud);
    gpud = broker_start();
}

/* The newest child of a process, of that name unless it is NULL. */
static pid_t child_find(pid_t parent, const char *name)
{
    char path[64], comm[32];
    int child, newest = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
    FILE *children = fopen(path, "r");
    while (children && fscanf(children, "%d", &child) == 1) {
        snprintf(path, sizeof(path), "/proc/%d/comm", child);
        FILE *file = fopen(path, "r");
        if (file && fscanf(file, "%31s", comm) == 1 && (!name || strcmp(comm, name) == 0))
            newest = child;
        if (file)
            fclose(file);
    }
    if (children)
        fclose(children);
    return newest;
}

pid_t rig_process(const char *name)
{
    pid_t keeper = child_find(gpud, "gpud-keeper");
    if (keeper)
        newest_keeper = keeper; /* after the broker's death nobody lists it */
    return strcmp(name, "gpud-keeper") == 0 ? newest_keeper : child_find(newest_keeper, name);
}

bool rig_users_apart(void)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0)
        _exit(getuid() || setgroups(0, NULL) || setresuid(2010000001, 2010000001, 2010000001));
    waitpid(child, &status, 0);
    return !status;
}

int64_t rig_user(pid_t process, unsigned groups)
{
    char path[64], line[256];
    unsigned id[4], known = 0;
    int64_t user = -1;
    bool same = true;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)process);
    FILE *status = fopen(path, "r");
    while (status && fgets(line, sizeof(line), status)) {
        if (sscanf(line, "%*1[UG]id: %u %u %u %u", &id[0], &id[1], &id[2], &id[3]) == 4) {
            user = known++ ? user : id[0];
            for (unsigned i = 0; i < 4; i++)
                same &= id[i] == user;
        }
        if (strncmp(line, "Groups:", 7) == 0)
            for (const char *at = line; (at = strpbrk(at, "0123456789")) != NULL; at += strspn(at, "0123456789"))
                same &= groups-- > 0;
    }
    if (status)
        fclose(status);
    return known == 2 && same ? user : -1;
}

bool rig_kill(const char *name)
{
    pid_t process = rig_process(name);
    return process > 0 && kill(process, SIGKILL) == 0;
}

pid_t rig_broker(void)
{
    return gpud;
}

void rig_processes_end(void)
{
    for (int waited = 0; child_find(gpud, NULL) && waited < 60000; waited++)
        poll(NULL, 0, 1);
    assert_int_equal(child_find(gpud, NULL), 0);
}

void rig_open(struct rig *rig)
{
    *rig = (struct rig){.front = front_open(socket_path, 128u << 20)};
    rig->fence_guest = front_pages(rig->front, 1);
    rig->slots = front_at(rig->front, rig->fence_guest);
    rig->batch = calloc(1, sizeof(*rig->batch));
    assert_non_null(rig->batch);
    assert_int_equal(front_context_create(rig->front, 1, rig->fence_guest), 0);
}

void rig_close(struct rig *rig)
{
    assert_int_equal(front_context_destroy(rig->front, 1), 0);
    front_close(rig->front);
    free(rig->batch);
}

void *rig_guest_buffer(struct rig *rig, uint32_t buffer, uint64_t pages)
{
    struct vgpgpu_segment segment = {front_pages(rig->front, pages), pages * VGPGPU_PAGE};
    assert_int_equal(front_buffer_guest(rig->front, 1, buffer, segment.length, &segment, 1), 0);
    return front_at(rig->front, segment.address);
}

void rig_kernel(struct rig *rig, uint32_t id, const char *name, const char *source, uint64_t args)
{
    char log[4096] = "";
    uint64_t count;
    front_destroy(rig->front, VGPGPU_PROGRAM_DESTROY, 1, id);
    uint32_t status = front_program(rig->front, 1, id, source, log, sizeof(log));
    if (status)
        print_error("%s\n", log);
    assert_int_equal(status, 0);
    assert_int_equal(front_kernel(rig->front, 1, id, id, name, &count), 0);
    assert_int_equal(count, args);
}

void *rig_open_with(struct rig *rig, const char *name, const char *source, uint64_t args)
{
    rig_open(rig);
    void *page = rig_guest_buffer(rig, 1, 1);
    rig_kernel(rig, 1, name, source, args);
    return page;
}

struct front_batch *rig_batch(struct rig *rig)
{
    rig->batch->bytes = 0;
    return rig->batch;
}

void rig_submit(struct rig *rig, uint32_t queue)
{
    front_submit(rig->front, 1, queue, ++rig->fences[queue], rig->batch->commands,
                 rig->batch->bytes);
}

uint32_t rig_wait(struct rig *rig, uint32_t queue)
{
    assert_int_equal(front_wait(rig->front, &rig->slots[queue], rig->fences[queue], 50, 60000), 0);
    return rig->slots[queue].status;
}

uint32_t rig_run(struct rig *rig, uint32_t queue)
{
    rig_submit(rig, queue);
    return rig_wait(rig, queue);
}
