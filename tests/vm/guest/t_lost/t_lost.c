/*
 * t_lost.c: the server of a file system goes away while programs read files ahead: t_lost FILE, from the boot
 * archive. Readers get EIO (SIGBUS through a mapping) and never wrong bytes, and so does whoever comes later; nobody
 * hangs; who does not need the server goes on; and their memory is there again.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../check.h"

#define PAGE    4096u
#define READERS 5u
#define WARM    4096u /* pages */
#define SLACK   1024u /* KiB: what the kernel makes once, as buffers and threads */
#define MARK    0x9e3779b97f4a7c15ull /* page n begins with (n + 1) * MARK */

enum end { END_LOST = 10, END_WHOLE, END_WRONG, END_OTHER };

static const char *path;
static uint64_t pages;  /* of it that are read */
static unsigned rounds; /* how often */

static bool page_is_right(const uint8_t *page, uint64_t n)
{
    uint64_t first;

    memcpy(&first, page, sizeof(first));
    return first == (n + 1) * MARK;
}

/* Reads all of it again and again, in steps of so many pages and from another one on each time, until it can't. */
static enum end read_until_lost(uint64_t at_once, uint64_t step)
{
    static uint8_t bytes[32 * PAGE];
    int fd = open(path, O_RDONLY);

    if (fd < 0)
        return END_OTHER;
    for (unsigned round = 0; round < rounds; round++)
        for (uint64_t n = round * at_once % step; n + at_once <= pages; n += step) {
            ssize_t got = pread(fd, bytes, at_once * PAGE, (off_t)(n * PAGE));

            if (got < 0)
                return errno == EIO ? END_LOST : END_OTHER;
            for (ssize_t at = 0; at + PAGE <= got; at += PAGE)
                if (!page_is_right(bytes + at, n + (uint64_t)at / PAGE))
                    return END_WRONG;
        }
    return END_WHOLE;
}

static void lost_page(int signal)
{
    (void)signal;
    _exit(END_LOST);
}

static enum end touch_until_lost(void)
{
    int fd = open(path, O_RDONLY);
    uint8_t *at = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);

    signal(SIGBUS, lost_page);
    if (at == MAP_FAILED)
        return END_OTHER;
    for (unsigned round = 0; round < rounds; round++)
        for (uint64_t n = 0; n < pages; n++)
            if (!page_is_right(at + n * PAGE, n))
                return END_WRONG;
    return END_WHOLE;
}

static enum end reader(unsigned number)
{
    static const struct {
        uint64_t at_once, step;
    } how[READERS - 1] = {{16, 16}, {1, 1}, {4, 64}, {32, 96}};

    return number < READERS - 1 ? read_until_lost(how[number].at_once, how[number].step) : touch_until_lost();
}

/* Somebody who needs no server: pipes, processes, files in memory. Ends well when it is told to. */
static void bystander(int told)
{
    char word[16], name[] = "/tmp/bystander";
    int fd, status;
    pid_t child;

    for (unsigned n = 0;; n++) {
        fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
        snprintf(word, sizeof(word), "%u", n);
        if (fd < 0 || write(fd, word, sizeof(word)) != sizeof(word) || lseek(fd, 0, SEEK_SET) != 0 ||
            read(fd, word, sizeof(word)) != sizeof(word) || (unsigned)atoi(word) != n)
            _exit(1);
        close(fd);
        child = fork();
        if (child == 0)
            _exit((int)(n & 63));
        if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != (int)(n & 63))
            _exit(2);
        if (read(told, word, 1) == 0)
            _exit(n < 3);
    }
}

static unsigned long free_kib(void)
{
    unsigned long kib = 0;
    char line[128];
    FILE *info = fopen("/proc/meminfo", "r");

    while (info && fgets(line, sizeof(line), info) && sscanf(line, "MemFree: %lu kB", &kib) != 1) {
    }
    if (info)
        fclose(info);
    return kib;
}

static void drop_pages(void)
{
    int fd = open(path, O_RDONLY);

    if (fd >= 0)
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static pid_t readers[READERS], by;
static int tell[2];
static unsigned long before;

static bool start_readers(void)
{
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = fork();
        if (readers[i] == 0) {
            close(tell[1]);
            _exit((int)reader(i));
        }
        if (readers[i] < 0)
            return false;
    }
    return true;
}

/* What the kernel makes once for all files, it has then. */
static void test_all_is_well_before(void)
{
    uint64_t all = pages;
    int status;

    rounds = 1;
    CHECK(read_until_lost(16, 16) == END_WHOLE); /* more than memory holds */
    pages = WARM;
    CHECK(start_readers());
    for (unsigned i = 0; i < READERS; i++)
        CHECK(waitpid(readers[i], &status, 0) == readers[i] && WIFEXITED(status) && WEXITSTATUS(status) == END_WHOLE);
    pages = all;
    rounds = UINT32_MAX;
}

static void test_readers_hear_of_it(void)
{
    unsigned lost = 0;
    int status;

    drop_pages();
    before = free_kib();
    CHECK(pipe2(tell, O_NONBLOCK) == 0);
    by = fork();
    if (by == 0) {
        close(tell[1]);
        bystander(tell[0]);
    }
    CHECK(start_readers());
    for (unsigned i = 0; i < READERS; i++) {
        CHECK(waitpid(readers[i], &status, 0) == readers[i] && WIFEXITED(status));
        CHECK(WEXITSTATUS(status) != END_WRONG && WEXITSTATUS(status) != END_OTHER);
        lost += WEXITSTATUS(status) == END_LOST;
    }
    CHECK(lost == READERS);
}

static void test_later_ones_too(void)
{
    for (unsigned i = 0; i < 3; i++)
        CHECK(read_until_lost(8, 8) == END_LOST);
}

static void test_others_go_on(void)
{
    int status;

    CHECK(waitpid(by, &status, WNOHANG) == 0);
    close(tell[1]);
    CHECK(waitpid(by, &status, 0) == by && status == 0);
}

static unsigned long counter(const char *name)
{
    static char text[16384];
    FILE *file = fopen("/sys/kernel/malv/counters", "r");
    size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    const char *at;

    if (file)
        fclose(file);
    text[n] = '\0';
    at = strstr(text, name);
    return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

/* No request for pages is on its way for ever, and no page is held. */
static void test_nothing_is_kept(void)
{
    unsigned long now = 0, begun = 1, ended = 0;

    for (unsigned i = 0; i < 100 && (now + SLACK < before || begun != ended); i++) { /* it may take a moment */
        usleep(20000);
        drop_pages();
        now = free_kib();
        begun = counter("file_requests_begun ");
        ended = counter("file_requests_ended ");
    }
    if (now + SLACK < before || begun != ended)
        printf("%lu KiB were free, and now %lu; %lu requests of %lu have ended\n", before, now, ended, begun);
    CHECK(now + SLACK >= before && begun == ended && ended > 0);
}

static const struct test tests[] = {
    {"all_is_well_before", test_all_is_well_before},
    {"readers_hear_of_it", test_readers_hear_of_it},
    {"later_ones_too", test_later_ones_too},
    {"others_go_on", test_others_go_on},
    {"nothing_is_kept", test_nothing_is_kept},
};

int main(int argc, char **argv)
{
    struct stat s;

    path = argc == 2 ? argv[1] : NULL;
    if (!path || stat(path, &s) || !(pages = (uint64_t)s.st_size / PAGE)) {
        fprintf(stderr, "usage: t_lost FILE\n");
        return 2;
    }
    return RUN_TESTS(tests, 1, argv);
}
