/*
 * t_mappings.c: mapped files that are written to, advice, seals, limits, and what is told of pages.
 * "in=FOLDER" as the first argument: files are made there and not in /tmp.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

#define PAGE 4096ul

static const char *folder = "/tmp";
static sigjmp_buf back;

static void caught(int number)
{
    siglongjmp(back, number);
}

/* The signal that writing to an address brings; 0: none. */
static int write_to(volatile char *at, char value)
{
    int number = sigsetjmp(back, 1);

    if (number == 0)
        *at = value;
    return number;
}

static const char *path_of(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int make_file(const char *name, size_t pages)
{
    int fd = open(path_of(name), O_CREAT | O_TRUNC | O_RDWR, 0644);

    return fd >= 0 && ftruncate(fd, (off_t)(pages * PAGE)) == 0 ? fd : -1;
}

static char *map_file(int fd, size_t pages, int prot)
{
    return mmap(NULL, pages * PAGE, prot, MAP_SHARED, fd, 0);
}

static char *map_private(size_t pages)
{
    return mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* ---- Shared mappings of files ---- */

static void test_shared_file(void)
{
    int fd = make_file("mapped", 3);
    char *at, text[8] = "";

    CHECK(fd >= 0);
    at = map_file(fd, 3, PROT_READ | PROT_WRITE);
    CHECK(at != MAP_FAILED && at[0] == 0);
    memcpy(at + PAGE + 10, "mapped", 6);
    CHECK(pread(fd, text, 6, PAGE + 10) == 6 && memcmp(text, "mapped", 6) == 0);
    CHECK(pwrite(fd, "called", 6, 2 * PAGE) == 6 && memcmp(at + 2 * PAGE, "called", 6) == 0);
    CHECK(msync(at, 3 * PAGE, MS_SYNC) == 0 && msync(at, 3 * PAGE, MS_ASYNC) == 0);
    at[0] = 'x'; /* after the first is written back: it must not be lost */
    at[PAGE + 10] = 'M';
    CHECK(munmap(at, 3 * PAGE) == 0 && close(fd) == 0);
    fd = open(path_of("mapped"), O_RDONLY);
    CHECK(pread(fd, text, 6, PAGE + 10) == 6 && memcmp(text, "Mapped", 6) == 0);
    CHECK(pread(fd, text, 1, 0) == 1 && text[0] == 'x');
    CHECK(close(fd) == 0);
}

static void test_shared_between_processes(void)
{
    int fd = make_file("between", 1), status;
    char *at = map_file(fd, 1, PROT_READ | PROT_WRITE), *second;
    pid_t child;

    CHECK(at != MAP_FAILED);
    second = map_file(fd, 1, PROT_READ | PROT_WRITE);
    CHECK(second != MAP_FAILED);
    child = fork();
    if (child == 0) {
        strcpy(at, "from the child");
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(strcmp(second, "from the child") == 0);
    CHECK(munmap(second, PAGE) == 0);
    strcpy(at, "from the parent");
    CHECK(fsync(fd) == 0 && munmap(at, PAGE) == 0 && close(fd) == 0);
}

static void test_exit_writes(void)
{
    int fd = make_file("exit", 1), status;
    char text[5] = "";
    pid_t child = fork();

    if (child == 0) {
        char *at = map_file(fd, 1, PROT_READ | PROT_WRITE);

        strcpy(at, "exit");
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(pread(fd, text, 4, 0) == 4 && strcmp(text, "exit") == 0 && close(fd) == 0);
}

/* Runs of written pages, longer and shorter, with holes between them, and an end in a page. */
static void test_runs(void)
{
    int fd = make_file("runs", 0);
    char *at;

    CHECK(ftruncate(fd, 60 * PAGE + 100) == 0);
    at = map_file(fd, 61, PROT_READ | PROT_WRITE);
    CHECK(at != MAP_FAILED);
    for (int i = 0; i < 61; i++) {
        if (i != 7 && (i < 21 || i > 23) && i != 59)
            memset(at + (size_t)i * PAGE, 'A' + i % 26, PAGE);
    }
    CHECK(msync(at, 30 * PAGE, MS_SYNC) == 0);
    at[7 * PAGE] = 'x';
    CHECK(fsync(fd) == 0 && munmap(at, 61 * PAGE) == 0 && close(fd) == 0);
}

static void test_parts(void)
{
    int fd = make_file("parts", 4);
    char *at = map_file(fd, 4, PROT_READ | PROT_WRITE);

    CHECK(at != MAP_FAILED);
    memset(at, 'a', 4 * PAGE);
    CHECK(munmap(at + PAGE, PAGE) == 0);
    CHECK(mprotect(at + 2 * PAGE, PAGE, PROT_READ) == 0);
    at[3 * PAGE] = 'b';
    CHECK(mprotect(at + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    at[2 * PAGE] = 'c';
    CHECK_ERRNO(msync(at, 4 * PAGE, MS_SYNC), ENOMEM); /* there is a hole */
    CHECK(msync(at + 2 * PAGE, 2 * PAGE, MS_SYNC) == 0);
    CHECK(munmap(at, 4 * PAGE) == 0);
    char text[2];
    CHECK(pread(fd, text, 1, 2 * PAGE) == 1 && text[0] == 'c');
    CHECK(pread(fd, text, 1, PAGE) == 1 && text[0] == 'a');
    CHECK(close(fd) == 0);
}

/* What was opened for reading alone stays so. */
static void test_read_only(void)
{
    int fd = make_file("read_only", 1);
    char *at;

    CHECK(close(fd) == 0 && (fd = open(path_of("read_only"), O_RDONLY)) >= 0);
    CHECK_ERRNO((long)map_file(fd, 1, PROT_READ | PROT_WRITE), EACCES);
    at = map_file(fd, 1, PROT_READ);
    CHECK(at != MAP_FAILED);
    CHECK_ERRNO(mprotect(at, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK(write_to(at, 1) == SIGSEGV && munmap(at, PAGE) == 0);
    at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(at != MAP_FAILED && mprotect(at, PAGE, PROT_READ | PROT_WRITE) == 0);
    CHECK(write_to(at, 1) == 0 && munmap(at, PAGE) == 0 && close(fd) == 0);
}

static void test_past_the_end(void)
{
    int fd = make_file("end", 1);
    char *at = map_file(fd, 2, PROT_READ | PROT_WRITE);

    CHECK(at != MAP_FAILED && write_to(at + PAGE, 1) == SIGBUS);
    CHECK(ftruncate(fd, 10) == 0 && write_to(at + 9, 1) == 0 && write_to(at + 100, 1) == 0);
    CHECK(munmap(at, 2 * PAGE) == 0 && ftruncate(fd, (off_t)PAGE) == 0);
    struct stat s;
    CHECK(fstat(fd, &s) == 0 && s.st_size == (off_t)PAGE && close(fd) == 0);
}

/* ---- Advice ---- */

static void test_fork_advice(void)
{
    char *gone = map_private(1), *zero = map_private(1), *both = map_private(1);
    int status;
    pid_t child;

    gone[0] = zero[0] = both[0] = 1;
    CHECK(madvise(gone, PAGE, MADV_DONTFORK) == 0 && madvise(zero, PAGE, MADV_WIPEONFORK) == 0);
    CHECK(madvise(both, PAGE, MADV_WIPEONFORK) == 0 && madvise(both, PAGE, MADV_KEEPONFORK) == 0);
    child = fork();
    if (child == 0)
        _exit(write_to(gone, 1) == SIGSEGV && zero[0] == 0 && both[0] == 1 ? 0 : 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(gone[0] == 1 && zero[0] == 1);
    CHECK(madvise(gone, PAGE, MADV_DOFORK) == 0);
    child = fork();
    if (child == 0)
        _exit(gone[0] == 1 ? 0 : 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK_ERRNO(madvise(gone, PAGE, 12345), EINVAL);
    CHECK_ERRNO(madvise(gone + 1, PAGE, MADV_DONTFORK), EINVAL);
    char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK_ERRNO(madvise(shared, PAGE, MADV_WIPEONFORK), EINVAL);
    CHECK(munmap(gone, PAGE) == 0);
    CHECK_ERRNO(madvise(gone, PAGE, MADV_DONTFORK), ENOMEM);
}

static void test_huge_advice(void)
{
    const size_t huge = 512 * PAGE;
    char *at = map_private(3 * 512), *aligned;

    CHECK(at != MAP_FAILED);
    aligned = (char *)(((uintptr_t)at + huge - 1) & ~(huge - 1));
    CHECK(madvise(at, 3 * huge, MADV_HUGEPAGE) == 0);
    aligned[5] = 7;
    CHECK(aligned[0] == 0 && aligned[huge - 1] == 0 && aligned[5] == 7);
    CHECK(madvise(aligned, PAGE, MADV_DONTNEED) == 0 && aligned[5] == 0);
    aligned[huge / 2] = 9;
    CHECK(mprotect(aligned, PAGE, PROT_READ) == 0 && aligned[huge / 2] == 9);
    CHECK(madvise(at, 3 * huge, MADV_NOHUGEPAGE) == 0 && munmap(at, 3 * huge) == 0);
}

static void test_populate(void)
{
    unsigned char there[4] = {0};
    char *at = map_private(4);

    CHECK(mincore(at, 4 * PAGE, there) == 0);
    CHECK(!(there[0] & 1) && !(there[3] & 1));
    at[PAGE] = 1;
    CHECK(mincore(at, 4 * PAGE, there) == 0);
    CHECK(!(there[0] & 1) && (there[1] & 1) && !(there[2] & 1));
    CHECK(madvise(at, 4 * PAGE, MADV_POPULATE_WRITE) == 0 && mincore(at, 4 * PAGE, there) == 0);
    CHECK((there[0] & there[1] & there[2] & there[3] & 1) == 1);
    CHECK(madvise(at, 4 * PAGE, MADV_DONTNEED) == 0 && mincore(at, 4 * PAGE, there) == 0);
    CHECK(!(there[1] & 1));
    CHECK(madvise(at, PAGE, MADV_FREE) == 0);
    CHECK_ERRNO(mincore(at + 1, PAGE, there), EINVAL);
    CHECK_ERRNO(mincore(at, 4 * PAGE, bad_address()), EFAULT);
    CHECK(mprotect(at, PAGE, PROT_READ) == 0);
    CHECK_ERRNO(madvise(at, PAGE, MADV_POPULATE_WRITE), EINVAL);
    CHECK(munmap(at, PAGE) == 0);
    CHECK_ERRNO(mincore(at, 4 * PAGE, there), ENOMEM);
    CHECK(munmap(at, 4 * PAGE) == 0);
}

/* ---- mremap ---- */

static void test_remap_keeping(void)
{
    char *at = map_private(4), *to;

    strcpy(at, "moved");
    at[3 * PAGE] = 3;
    to = mremap(at, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    CHECK(to != MAP_FAILED && to != at);
    CHECK(strcmp(to, "moved") == 0 && to[3 * PAGE] == 3);
    CHECK(at[0] == 0 && at[3 * PAGE] == 0);
    at[0] = 'n';
    CHECK(to[0] == 'm');
    CHECK_ERRNO((long)mremap(at, 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL),
                EINVAL);
    CHECK_ERRNO((long)mremap(at, 4 * PAGE, 4 * PAGE, MREMAP_DONTUNMAP, NULL), EINVAL);
    CHECK(munmap(at, 4 * PAGE) == 0 && munmap(to, 4 * PAGE) == 0);
    CHECK_ERRNO((long)mremap(at, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL),
                EFAULT);
}

static void test_remap_shrink(void)
{
    char *at = map_private(4);

    at[0] = 1;
    CHECK(mprotect(at + 2 * PAGE, PAGE, PROT_READ) == 0); /* three mappings now */
    CHECK(mremap(at, 4 * PAGE, PAGE, 0) == at && at[0] == 1);
    CHECK(write_to(at + PAGE, 1) == SIGSEGV && write_to(at + 3 * PAGE, 1) == SIGSEGV);
    CHECK(munmap(at, PAGE) == 0);
}

static void test_no_replace(void)
{
    char *at = map_private(2), *other;

    at[0] = 'k';
    other = mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(other == MAP_FAILED && errno == EEXIST && at[0] == 'k');
    CHECK(munmap(at, 2 * PAGE) == 0);
    other = mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(other == at && munmap(at, PAGE) == 0);
}

/* ---- Seals ---- */

static void test_seals(void)
{
    int fd = memfd_create("sealed", MFD_ALLOW_SEALING), plain = memfd_create("plain", 0);
    char *at;

    CHECK(fd >= 0 && plain >= 0);
    CHECK(fcntl(fd, F_GET_SEALS) == 0 && fcntl(plain, F_GET_SEALS) == F_SEAL_SEAL);
    CHECK_ERRNO(fcntl(plain, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, 0x10000), EINVAL);
    CHECK_ERRNO(fcntl(STDOUT_FILENO, F_GET_SEALS), EINVAL);
    CHECK(write(fd, "12345678", 8) == 8);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0);
    CHECK_ERRNO(ftruncate(fd, 9), EPERM);
    CHECK_ERRNO(ftruncate(fd, 7), EPERM);
    CHECK(ftruncate(fd, 8) == 0 && pwrite(fd, "87", 2, 0) == 2);
    CHECK_ERRNO(pwrite(fd, "x", 1, 8), EPERM);
    at = map_file(fd, 1, PROT_READ | PROT_WRITE);
    CHECK(at != MAP_FAILED);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    CHECK(munmap(at, PAGE) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
    CHECK(fcntl(fd, F_GET_SEALS) == (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE));
    CHECK_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
    CHECK_ERRNO((long)map_file(fd, 1, PROT_READ | PROT_WRITE), EPERM);
    at = map_file(fd, 1, PROT_READ);
    CHECK(at != MAP_FAILED && at[0] == '8');
    CHECK_ERRNO(mprotect(at, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) == 0);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), EPERM);
    CHECK(munmap(at, PAGE) == 0 && close(fd) == 0 && close(plain) == 0);
}

/* Who has mapped it before may go on writing. */
static void test_future_seal(void)
{
    int fd = memfd_create("future", MFD_ALLOW_SEALING);
    char *at;

    CHECK(ftruncate(fd, (off_t)PAGE) == 0);
    at = map_file(fd, 1, PROT_READ | PROT_WRITE);
    CHECK(at != MAP_FAILED && fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
    CHECK(write_to(at, 'y') == 0);
    CHECK_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
    CHECK_ERRNO((long)map_file(fd, 1, PROT_READ | PROT_WRITE), EPERM);
    CHECK(munmap(at, PAGE) == 0 && close(fd) == 0);
}

/* ---- Limits ---- */

static void child_limits(void)
{
    struct rlimit space = {512ul << 20, 512ul << 20}, more = {1ul << 40, 1ul << 40};
    char *at;

    if (setrlimit(RLIMIT_AS, &space) != 0)
        _exit(1);
    at = mmap(NULL, 1ul << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at != MAP_FAILED || errno != ENOMEM)
        _exit(2);
    at = map_private(16);
    if (at == MAP_FAILED)
        _exit(3);
    if (mremap(at, 16 * PAGE, 1ul << 30, MREMAP_MAYMOVE) != MAP_FAILED || errno != ENOMEM)
        _exit(4);
    if (sbrk(1l << 30) != (void *)-1 || errno != ENOMEM)
        _exit(5);
    /* Root may, unless that right (CAP_SYS_RESOURCE) was taken from it. */
    if ((setrlimit(RLIMIT_AS, &more) == 0) != (prctl(PR_CAPBSET_READ, 24) == 1))
        _exit(6);
    space = (struct rlimit){1, 1};
    if (setuid(1000) != 0 || setrlimit(RLIMIT_NPROC, &space) != 0 || fork() != -1 ||
        errno != EAGAIN)
        _exit(7);
    space.rlim_max = 2;
    if (setrlimit(RLIMIT_NPROC, &space) != -1 || errno != EPERM)
        _exit(8);
    _exit(0);
}

static void test_limits(void)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        child_limits();
    CHECK(waitpid(child, &status, 0) == child);
    errno = WEXITSTATUS(status);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What no machine has is refused at once. */
static void test_overcommit(void)
{
    char *at = mmap(NULL, 1ul << 46, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(at == MAP_FAILED && errno == ENOMEM);
    at = mmap(NULL, 1ul << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(at != MAP_FAILED && munmap(at, 1ul << 40) == 0);
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"shared_file", test_shared_file},
        {"shared_between_processes", test_shared_between_processes},
        {"exit_writes", test_exit_writes},
        {"runs", test_runs},
        {"parts", test_parts},
        {"read_only", test_read_only},
        {"past_the_end", test_past_the_end},
        {"fork_advice", test_fork_advice},
        {"huge_advice", test_huge_advice},
        {"populate", test_populate},
        {"remap_keeping", test_remap_keeping},
        {"remap_shrink", test_remap_shrink},
        {"no_replace", test_no_replace},
        {"seals", test_seals},
        {"future_seal", test_future_seal},
        {"limits", test_limits},
        {"overcommit", test_overcommit},
    };

    signal(SIGSEGV, caught);
    signal(SIGBUS, caught);
    if (argc > 1 && strncmp(argv[1], "in=", 3) == 0) {
        folder = argv[1] + 3;
        argv[1] = argv[0];
        argc--;
        argv++;
    }
    return RUN_TESTS(tests, argc, argv);
}
