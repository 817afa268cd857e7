/*
 * t_readahead.c: advice on files and what is read ahead of a folder of the host's: pages come and go, and what is
 * read is right meanwhile. The cases of policies.c are for machines only.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "../check.h"
#include "t_readahead.h"

#define SCRATCH "/data/scratch"

bool page_is_right(const void *page, uint64_t n)
{
    uint64_t first;

    memcpy(&first, page, sizeof(first));
    return first == (n + 1) * MARK;
}

bool file_is_right(uint64_t pages)
{
    static uint8_t bytes[16 * PAGE];
    int fd = open(FILE_PATH, O_RDONLY);
    bool right = fd >= 0;

    for (uint64_t n = 0; right && n < pages; n += 16) {
        ssize_t got = pread(fd, bytes, sizeof(bytes), (off_t)(n * PAGE));

        if (got == 0)
            break;
        for (ssize_t at = 0; at < got; at += PAGE)
            right &= page_is_right(bytes + at, n + (uint64_t)at / PAGE);
    }
    close(fd);
    return right;
}

/* Pages [first, first + count) in memory. */
static unsigned resident(int fd, uint64_t first, unsigned count)
{
    uint8_t there[1024];
    unsigned n = 0;
    void *at = mmap(NULL, (size_t)count * PAGE, PROT_READ, MAP_SHARED, fd, (off_t)(first * PAGE));

    if (at == MAP_FAILED || mincore(at, (size_t)count * PAGE, there))
        return UINT32_MAX;
    for (unsigned i = 0; i < count; i++)
        n += there[i] & 1;
    munmap(at, (size_t)count * PAGE);
    return n;
}

static bool becomes_resident(int fd, uint64_t first, unsigned count)
{
    for (int i = 0; i < 500; i++) {
        if (resident(fd, first, count) == count)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return false;
}

static void test_errors(void)
{
    int fd = open(FILE_PATH, O_RDONLY), out = open(SCRATCH, O_WRONLY | O_CREAT | O_TRUNC, 0600), ends[2];

    CHECK(fd >= 0 && out >= 0 && pipe(ends) == 0);
    for (int advice = POSIX_FADV_NORMAL; advice <= POSIX_FADV_NOREUSE; advice++)
        CHECK(posix_fadvise(fd, 0, 0, advice) == 0);
    CHECK(posix_fadvise(fd, 0, 0, 6) == EINVAL);
    CHECK(posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL) == EINVAL);
    CHECK(posix_fadvise(-1, 0, 0, POSIX_FADV_NORMAL) == EBADF);
    CHECK(posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL) == ESPIPE);
    CHECK_ERRNO(readahead(-1, 0, PAGE), EBADF);
    CHECK_ERRNO(readahead(out, 0, PAGE), EBADF);
    CHECK_ERRNO(readahead(ends[0], 0, PAGE), EINVAL);
    CHECK(readahead(fd, 1ll << 60, PAGE) == 0 && readahead(fd, 0, 0) == 0);
    close(fd);
    close(out);
    close(ends[0]);
    close(ends[1]);
}

static void test_will_and_dont_need(void)
{
    int fd = open(FILE_PATH, O_RDONLY);
    uint8_t *at;

    CHECK(fd >= 0);
    CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    CHECK(resident(fd, 256, 64) == 0);
    CHECK(posix_fadvise(fd, 256 * PAGE, 64 * PAGE, POSIX_FADV_WILLNEED) == 0);
    CHECK(becomes_resident(fd, 256, 64));
    CHECK(readahead(fd, 512 * PAGE, 64 * PAGE) == 0);
    CHECK(becomes_resident(fd, 512, 64));
    CHECK(posix_fadvise(fd, 256 * PAGE + 1, 8 * PAGE, POSIX_FADV_DONTNEED) == 0); /* whole pages: 257 to 263 */
    CHECK(resident(fd, 256, 1) == 1 && resident(fd, 257, 7) == 0 && resident(fd, 264, 56) == 56);
    at = mmap(NULL, 64 * PAGE, PROT_READ, MAP_PRIVATE, fd, 1024 * PAGE);
    CHECK(at != MAP_FAILED && madvise(at, 64 * PAGE, MADV_WILLNEED) == 0);
    CHECK(becomes_resident(fd, 1024, 64));
    CHECK(page_is_right(at + 5 * PAGE, 1029));
    CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    CHECK(resident(fd, 1029, 1) == 1); /* mapped pages stay */
    CHECK(resident(fd, 512, 64) == 0);
    CHECK(munmap(at, 64 * PAGE) == 0);
    close(fd);
}

static void test_random_reads_only_that(void)
{
    uint8_t page[PAGE];
    int fd = open(FILE_PATH, O_RDONLY);

    CHECK(fd >= 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) == 0);
    for (unsigned n = 0; n < 8; n++)
        CHECK(pread(fd, page, PAGE, n * PAGE) == PAGE && page_is_right(page, n));
    CHECK(resident(fd, 0, 8) == 8 && resident(fd, 8, 64) == 0);
    close(fd);
}

/* A file that is written to, cut and read ahead by others at once: whole pages of one writer, never old ones. */
static void scratch_writer(int fd, unsigned rounds)
{
    static uint8_t page[PAGE];

    for (unsigned round = 1; round <= rounds; round++) {
        memset(page, (int)round, sizeof(page));
        for (unsigned n = 0; n < 64; n++)
            if (pwrite(fd, page, PAGE, n * PAGE) != PAGE)
                _exit(1);
        for (unsigned n = 0; n < 64; n++)
            if (pread(fd, page, PAGE, n * PAGE) != PAGE || page[0] != (uint8_t)round || page[PAGE - 1] != (uint8_t)round)
                _exit(2);
        if (round % 4 == 0 && (ftruncate(fd, 10 * PAGE + 5) || ftruncate(fd, 64 * PAGE)))
            _exit(3);
        if (round % 4 == 0 && (pread(fd, page, PAGE, 10 * PAGE) != PAGE || page[4] != (uint8_t)round || page[5]))
            _exit(4);
    }
    _exit(0);
}

static void scratch_reader(int fd)
{
    static uint8_t bytes[8 * PAGE];

    for (unsigned n = 0;; n = (n + 8) % 64) {
        ssize_t got = pread(fd, bytes, sizeof(bytes), n * PAGE);

        if (got < 0)
            _exit(1);
        if (n == 0)
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        if (n == 16)
            readahead(fd, 0, 64 * PAGE);
    }
}

static void test_written_while_read_ahead(void)
{
    int fd = open(SCRATCH, O_RDWR | O_CREAT | O_TRUNC, 0600), status;
    pid_t writer, readers[2];

    CHECK(fd >= 0);
    writer = fork();
    if (writer == 0)
        scratch_writer(fd, 24);
    for (int i = 0; i < 2; i++) {
        readers[i] = fork();
        if (readers[i] == 0)
            scratch_reader(fd);
    }
    CHECK(waitpid(writer, &status, 0) == writer && status == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(waitpid(readers[i], &status, WNOHANG) == 0);
        kill(readers[i], SIGKILL);
        CHECK(waitpid(readers[i], &status, 0) == readers[i]);
    }
    close(fd);
}

/* What was written through a mapping stays though memory is wanted. */
static void test_mapped_writes_stay(void)
{
    int fd = open(SCRATCH, O_RDWR | O_CREAT | O_TRUNC, 0600);
    uint64_t *at;

    CHECK(fd >= 0 && ftruncate(fd, 512 * PAGE) == 0);
    at = mmap(NULL, 512 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(at != MAP_FAILED);
    for (unsigned n = 0; n < 512; n++)
        at[n * (PAGE / 8)] = n + 1;
    CHECK(file_is_right(UINT64_MAX)); /* larger than memory */
    for (unsigned n = 0; n < 512; n++)
        CHECK(at[n * (PAGE / 8)] == n + 1);
    CHECK(munmap(at, 512 * PAGE) == 0);
    CHECK(file_is_right(UINT64_MAX));
    for (unsigned n = 0; n < 512; n++) {
        uint64_t first;

        CHECK(pread(fd, &first, 8, n * PAGE) == 8 && first == n + 1);
    }
    close(fd);
}

static void test_hostile(void)
{
    CHECK(policies_hostile());
}

static void test_shadow(void)
{
    CHECK(policies_shadow());
}

static void test_switching(void)
{
    CHECK(policies_switching());
}

static void test_many_streams(void)
{
    CHECK(policies_many_streams());
}

static const struct test tests[] = {
    {"errors", test_errors},
    {"will_and_dont_need", test_will_and_dont_need},
    {"random_reads_only_that", test_random_reads_only_that},
    {"written_while_read_ahead", test_written_while_read_ahead},
    {"mapped_writes_stay", test_mapped_writes_stay},
    {"hostile", test_hostile},
    {"shadow", test_shadow},
    {"switching", test_switching},
    {"many_streams", test_many_streams},
};

int main(int argc, char **argv)
{
    int failures = run_tests(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);

    unlink(SCRATCH);
    return failures;
}
