/*
 * t_mapped.c: files larger than the machine's memory through mappings: pages are taken from programs and come
 * again, what was written stays, locked pages stay. In a small machine only, with the folder /data of t_readahead;
 * with an argument "plain" the cases that write nothing, with "writes" the others.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../check.h"

#define PAGE      4096u
#define FILE_PATH "/data/file"
#define SCRATCH   "/data/scratch"
#define MARK      0x9e3779b97f4a7c15ull /* page n begins with (n + 1) * MARK */

static uint64_t file_pages, memory_pages;

static bool page_is_right(const uint8_t *page, uint64_t n)
{
    uint64_t first;

    memcpy(&first, page, sizeof(first));
    return first == (n + 1) * MARK && page[PAGE - 1] == n % 251;
}

static uint8_t *map(const char *path, uint64_t pages, int prot, int flags)
{
    int fd = open(path, prot & PROT_WRITE && !(flags & MAP_PRIVATE) ? O_RDWR : O_RDONLY);
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, pages * PAGE, prot, flags, fd, 0);

    close(fd);
    return at == MAP_FAILED ? NULL : at;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13; /* Marsaglia, "Xorshift RNGs" */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

static bool walk(const uint8_t *at, uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n < to; n++)
        if (!page_is_right(at + n * PAGE, n)) {
            printf("page %llu is wrong\n", (unsigned long long)n);
            return false;
        }
    return true;
}

static bool walk_anywhere(const uint8_t *at, uint64_t seed, uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t n = next_random(&seed) % file_pages;

        if (!page_is_right(at + n * PAGE, n))
            return false;
    }
    return true;
}

static bool all_well(const pid_t *children, unsigned count)
{
    bool well = true;
    int status;

    for (unsigned i = 0; i < count; i++)
        well &= waitpid(children[i], &status, 0) == children[i] && status == 0;
    return well;
}

static void test_shared_walk(void)
{
    uint8_t *at = map(FILE_PATH, file_pages, PROT_READ, MAP_SHARED);

    CHECK(at && walk(at, 0, file_pages) && walk(at, 0, file_pages / 4));
    CHECK(munmap(at, file_pages * PAGE) == 0);
}

/* Own copies stay; what was not written is the file's, again and again. */
static void test_private_writes(void)
{
    uint8_t *at = map(FILE_PATH, file_pages, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    CHECK(at);
    for (uint64_t n = 0; n < file_pages; n++) {
        CHECK(page_is_right(at + n * PAGE, n));
        if (n % 64 == 7)
            memset(at + n * PAGE, (int)n, PAGE);
    }
    for (uint64_t n = 0; n < file_pages; n++) {
        bool own = n % 64 == 7;

        CHECK(own ? at[n * PAGE] == (uint8_t)n && at[n * PAGE + PAGE - 1] == (uint8_t)n
                  : page_is_right(at + n * PAGE, n));
    }
    CHECK(munmap(at, file_pages * PAGE) == 0);
}

/* Some share a mapping from before the fork, some have one of their own. */
static void test_several_processes(void)
{
    uint8_t *at = map(FILE_PATH, file_pages, PROT_READ, MAP_SHARED), *own;
    pid_t children[5];

    CHECK(at);
    for (unsigned i = 0; i < 5; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        if (i < 2)
            _exit(!walk_anywhere(at, i + 1, 4000));
        if (i == 2)
            _exit(!walk(at, 0, file_pages));
        own = map(FILE_PATH, file_pages, PROT_READ, i == 3 ? MAP_PRIVATE : MAP_SHARED);
        _exit(!own || !walk_anywhere(own, i + 1, 4000));
    }
    CHECK(all_well(children, 5));
    CHECK(munmap(at, file_pages * PAGE) == 0);
}

static uint8_t *threads_map;

static void *thread_walk(void *number)
{
    uintptr_t n = (uintptr_t)number;
    uint64_t part = file_pages / 4;
    bool right = n % 2 ? walk(threads_map, part * (n - 4), part * (n - 3)) : walk_anywhere(threads_map, n + 1, 5000);

    return right ? number : NULL;
}

static void test_threads(void)
{
    pthread_t threads[4];
    void *said;

    threads_map = map(FILE_PATH, file_pages, PROT_READ, MAP_SHARED);
    CHECK(threads_map);
    for (uintptr_t i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, thread_walk, (void *)(i + 4)) == 0);
    for (uintptr_t i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], &said) == 0 && said == (void *)(i + 4));
    CHECK(munmap(threads_map, file_pages * PAGE) == 0);
}

static long faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

static void test_locked_stays(void)
{
    uint8_t *locked = map(FILE_PATH, 64, PROT_READ, MAP_SHARED), *at = map(FILE_PATH, file_pages, PROT_READ, MAP_PRIVATE);
    long before, after;
    uint64_t sum = 0;

    CHECK(locked && at && mlock(locked, 64 * PAGE) == 0);
    CHECK(walk(at, 0, file_pages));
    before = faults();
    for (unsigned n = 0; n < 64; n++)
        sum += locked[n * PAGE];
    after = faults();
    CHECK(before == after && sum > 0);
    CHECK(walk(locked, 0, 64) && munlock(locked, 64 * PAGE) == 0);
    CHECK(munmap(locked, 64 * PAGE) == 0 && munmap(at, file_pages * PAGE) == 0);
}

/* Who wants memory of its own gets what others have only mapped, and nobody is ended for it. */
static void test_gives_way(void)
{
    uint8_t *at = map(FILE_PATH, file_pages, PROT_READ, MAP_SHARED);
    uint64_t take = memory_pages * 5 / 8;
    pid_t child;

    CHECK(at && walk(at, 0, memory_pages * 3 / 4));
    child = fork();
    if (child == 0) {
        uint8_t *own = mmap(NULL, take * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        for (uint64_t n = 0; own != MAP_FAILED && n < take; n++)
            memset(own + n * PAGE, (int)n, PAGE);
        for (uint64_t n = 0; own != MAP_FAILED && n < take; n++)
            if (own[n * PAGE + 99] != (uint8_t)n)
                _exit(1);
        _exit(own == MAP_FAILED);
    }
    CHECK(walk(at, 0, memory_pages * 3 / 4));
    CHECK(all_well(&child, 1));
    CHECK(munmap(at, file_pages * PAGE) == 0);
}

static bool scratch_make(uint64_t pages)
{
    int fd = open(SCRATCH, O_RDWR | O_CREAT | O_TRUNC, 0600);
    bool made = fd >= 0 && ftruncate(fd, (off_t)(pages * PAGE)) == 0;

    close(fd);
    return made;
}

static bool scratch_is_right(uint64_t pages, uint64_t by)
{
    static uint8_t page[PAGE];
    int fd = open(SCRATCH, O_RDONLY);
    bool right = fd >= 0;

    for (uint64_t n = 0; right && n < pages; n++) {
        uint64_t value = n * by + 1;

        right = pread(fd, page, PAGE, (off_t)(n * PAGE)) == PAGE && memcmp(page, &value, 8) == 0 &&
                page[PAGE - 1] == (uint8_t)value;
    }
    close(fd);
    return right;
}

static void page_write(uint8_t *page, uint64_t n, uint64_t by)
{
    uint64_t value = n * by + 1;

    memcpy(page, &value, sizeof(value));
    page[PAGE - 1] = (uint8_t)value;
}

/* More is written than memory holds; it is there, through the mapping and for whoever reads the file. */
static void test_shared_writes(void)
{
    uint64_t pages = memory_pages * 2;
    uint8_t *at;

    CHECK(scratch_make(pages));
    at = map(SCRATCH, pages, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK(at);
    for (unsigned round = 1; round <= 2; round++) {
        for (uint64_t n = 0; n < pages; n++)
            page_write(at + n * PAGE, n, round);
        for (uint64_t n = 0; n < pages; n += 3) {
            uint64_t value;

            memcpy(&value, at + n * PAGE, sizeof(value));
            CHECK(value == n * round + 1 && at[n * PAGE + PAGE - 1] == (uint8_t)value);
        }
    }
    CHECK(munmap(at, pages * PAGE) == 0);
    CHECK(scratch_is_right(pages, 2));
}

/* Two write to different halves of each page, at once and anywhere, while a third one reads another file. */
static void half_write(uint8_t *at, uint64_t pages, unsigned half)
{
    uint64_t seed = half + 1;

    for (uint64_t i = 0; i < pages / 4; i++) {
        uint64_t n = next_random(&seed) % pages;

        at[n * PAGE + half * PAGE / 2]++;
    }
    for (uint64_t n = 0; n < pages; n++)
        at[n * PAGE + half * PAGE / 2 + 1] = (uint8_t)(n + half);
    _exit(0);
}

static void test_two_writers(void)
{
    uint64_t pages = memory_pages, counts[2] = {0, 0};
    pid_t children[3];
    uint8_t *at;

    CHECK(scratch_make(pages));
    at = map(SCRATCH, pages, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK(at);
    for (unsigned i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0 && i < 2)
            half_write(at, pages, i);
        if (children[i] == 0)
            _exit(!walk(map(FILE_PATH, file_pages, PROT_READ, MAP_PRIVATE), 0, file_pages / 2));
    }
    CHECK(all_well(children, 3));
    for (uint64_t n = 0; n < pages; n++)
        for (unsigned half = 0; half < 2; half++) {
            CHECK(at[n * PAGE + half * PAGE / 2 + 1] == (uint8_t)(n + half));
            counts[half] += at[n * PAGE + half * PAGE / 2];
        }
    CHECK(counts[0] == pages / 4 && counts[1] == pages / 4);
    CHECK(msync(at, pages * PAGE, MS_SYNC) == 0 && munmap(at, pages * PAGE) == 0);
}

/* Pages that were cut off stay cut off. */
static void test_cut_while_mapped(void)
{
    uint64_t pages = memory_pages / 2;
    uint8_t *at;
    int fd;

    CHECK(scratch_make(pages));
    at = map(SCRATCH, pages, PROT_READ | PROT_WRITE, MAP_SHARED);
    fd = open(SCRATCH, O_RDWR);
    CHECK(at && fd >= 0);
    for (uint64_t n = 0; n < pages; n++)
        page_write(at + n * PAGE, n, 1);
    CHECK(ftruncate(fd, (off_t)(pages / 2 * PAGE)) == 0 && ftruncate(fd, (off_t)(pages * PAGE)) == 0);
    CHECK(walk(map(FILE_PATH, file_pages, PROT_READ, MAP_PRIVATE), 0, file_pages / 2));
    for (uint64_t n = pages / 2; n < pages; n++)
        CHECK(at[n * PAGE] == 0);
    CHECK(at[(pages / 2 - 1) * PAGE] == (uint8_t)(pages / 2));
    CHECK(munmap(at, pages * PAGE) == 0);
    close(fd);
}

static const struct test tests[] = {
    {"shared_walk", test_shared_walk},
    {"private_writes", test_private_writes},
    {"several_processes", test_several_processes},
    {"threads", test_threads},
    {"locked_stays", test_locked_stays},
    {"gives_way", test_gives_way},
    {"shared_writes", test_shared_writes},
    {"two_writers", test_two_writers},
    {"cut_while_mapped", test_cut_while_mapped},
};
#define PLAIN 6 /* of these, from the front, that write nothing */

static uint64_t memory_find(void)
{
    unsigned long kib = 0;
    char line[128];
    FILE *info = fopen("/proc/meminfo", "r");

    while (info && fgets(line, sizeof(line), info) && sscanf(line, "MemTotal: %lu kB", &kib) != 1) {
    }
    if (info)
        fclose(info);
    return kib / 4;
}

int main(int argc, char **argv)
{
    bool plain = argc > 1 && !strcmp(argv[1], "plain"), writes = argc > 1 && !strcmp(argv[1], "writes");
    struct stat s;
    int failures;

    memory_pages = memory_find();
    if (stat(FILE_PATH, &s) || (file_pages = (uint64_t)s.st_size / PAGE) < memory_pages * 3) {
        fprintf(stderr, "t_mapped: /data/file is missing, or not larger than memory\n");
        return 2;
    }
    if (plain)
        return run_tests(tests, PLAIN, 1, argv);
    failures = writes ? run_tests(tests + PLAIN, sizeof(tests) / sizeof(tests[0]) - PLAIN, 1, argv)
                      : run_tests(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
    unlink(SCRATCH);
    return failures;
}
