/*
 * t_memory.c: mmap and its relatives, the heap, the stack, protection, and memory across fork.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

#define PAGE 4096ul

static sigjmp_buf back;
static volatile void *fault_at;
static volatile int fault_code;

static void caught(int number, siginfo_t *info, void *context)
{
    (void)context;
    fault_at = info->si_addr;
    fault_code = info->si_code;
    siglongjmp(back, number);
}

static void catch_faults(void)
{
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* The signal that touching an address brings; 0: none. */
static int touch(volatile char *at, int write)
{
    int number = sigsetjmp(back, 1);

    if (number != 0)
        return number;
    if (write)
        *at = 1;
    else
        (void)*at;
    return 0;
}

static char *map(size_t pages, int prot)
{
    return mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void test_anonymous(void)
{
    char *at = map(256, PROT_READ | PROT_WRITE);

    CHECK(at != MAP_FAILED);
    for (size_t i = 0; i < 256; i++)
        CHECK(at[i * PAGE] == 0);
    for (size_t i = 0; i < 256; i++)
        at[i * PAGE] = (char)i;
    for (size_t i = 0; i < 256; i++)
        CHECK(at[i * PAGE] == (char)i);
    CHECK(munmap(at + 16 * PAGE, 16 * PAGE) == 0);
    CHECK(at[15 * PAGE] == 15 && at[32 * PAGE] == 32);
    catch_faults();
    CHECK(touch(at + 20 * PAGE, 0) == SIGSEGV);
    CHECK(fault_at == at + 20 * PAGE && fault_code == SEGV_MAPERR);
    CHECK(munmap(at, 256 * PAGE) == 0);
    CHECK(munmap(at, 256 * PAGE) == 0);
    CHECK_ERRNO(munmap(at + 1, PAGE), EINVAL);
    CHECK_ERRNO(munmap(at, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
}

static void test_fixed(void)
{
    char *at = map(8, PROT_READ | PROT_WRITE), *again;

    CHECK(at != MAP_FAILED);
    at[0] = 1, at[4 * PAGE] = 4;
    again = mmap(at + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(again == at + 4 * PAGE && *again == 0 && at[0] == 1);
    CHECK_ERRNO(mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
                EEXIST);
    CHECK(munmap(at, 8 * PAGE) == 0);
    again = mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(again == at); /* a wish that can be granted is */
    CHECK(munmap(at, PAGE) == 0);
}

static void test_protection(void)
{
    char *at = map(4, PROT_READ | PROT_WRITE);

    CHECK(at != MAP_FAILED);
    at[PAGE] = 7;
    catch_faults();
    CHECK(mprotect(at + PAGE, PAGE, PROT_READ) == 0);
    CHECK(touch(at + PAGE, 1) == SIGSEGV && fault_code == SEGV_ACCERR);
    CHECK(touch(at, 1) == 0 && touch(at + 2 * PAGE, 1) == 0);
    CHECK(at[PAGE] == 7);
    CHECK(mprotect(at, 4 * PAGE, PROT_NONE) == 0);
    CHECK(touch(at, 0) == SIGSEGV);
    CHECK(mprotect(at, 4 * PAGE, PROT_READ | PROT_WRITE) == 0);
    CHECK(at[PAGE] == 7 && touch(at + PAGE, 1) == 0);
    CHECK(munmap(at + 2 * PAGE, PAGE) == 0);
    CHECK_ERRNO(mprotect(at, 4 * PAGE, PROT_READ), ENOMEM);
    CHECK_ERRNO(mprotect(at + 1, PAGE, PROT_READ), EINVAL);
    munmap(at, 4 * PAGE);
}

static int run_code(const char *code)
{
    return ((int (*)(void))(uintptr_t)code)();
}

static void test_execute(void)
{
    static const unsigned char answer[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
    char *at = map(1, PROT_READ | PROT_WRITE);
    int number;

    CHECK(at != MAP_FAILED);
    memcpy(at, answer, sizeof(answer));
    catch_faults();
    number = sigsetjmp(back, 1);
    if (number == 0)
        run_code(at);
    CHECK(number == SIGSEGV);
    CHECK(mprotect(at, PAGE, PROT_READ | PROT_EXEC) == 0);
    CHECK(run_code(at) == 42);
    munmap(at, PAGE);
}

static void test_remap(void)
{
    char *at = map(4, PROT_READ | PROT_WRITE), *moved;

    CHECK(at != MAP_FAILED);
    for (int i = 0; i < 4; i++)
        at[(size_t)i * PAGE] = (char)(i + 1);
    moved = mremap(at, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED);
    for (int i = 0; i < 4; i++)
        CHECK(moved[(size_t)i * PAGE] == i + 1);
    CHECK(moved[63 * PAGE] == 0);
    at = mremap(moved, 64 * PAGE, 2 * PAGE, 0);
    CHECK(at == moved && at[PAGE] == 2);
    catch_faults();
    CHECK(touch(at + 3 * PAGE, 0) == SIGSEGV);
    moved = map(16, PROT_READ);
    CHECK(mremap(at, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved) == moved);
    CHECK(moved[0] == 1 && moved[PAGE] == 2);
    CHECK(touch(at, 0) == SIGSEGV);
    CHECK_ERRNO(mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERRNO(mremap(moved + 1, PAGE, PAGE, 0), EINVAL);
    munmap(moved, 16 * PAGE);
}

static void test_heap(void)
{
    char *start = sbrk(0), *blocks[64];

    CHECK(sbrk(1 << 20) == start);
    memset(start, 5, 1 << 20);
    CHECK(sbrk(-(1 << 20)) == start + (1 << 20));
    for (int i = 0; i < 64; i++) {
        blocks[i] = malloc((size_t)(i + 1) * 10000);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], i, (size_t)(i + 1) * 10000);
    }
    for (int i = 0; i < 64; i++) {
        CHECK(blocks[i][0] == i && blocks[i][(i + 1) * 10000 - 1] == i);
        free(blocks[i]);
    }
}

static void test_discard(void)
{
    char *at = map(4, PROT_READ | PROT_WRITE);
    unsigned char resident[4];

    CHECK(at != MAP_FAILED);
    memset(at, 9, 4 * PAGE);
    CHECK(madvise(at + PAGE, PAGE, MADV_DONTNEED) == 0);
    CHECK(at[0] == 9 && at[PAGE] == 0 && at[2 * PAGE] == 9);
    CHECK(mincore(at, 4 * PAGE, resident) == 0);
    CHECK_ERRNO(madvise(at + 1, PAGE, MADV_DONTNEED), EINVAL);
    CHECK_ERRNO(madvise(at, PAGE, 12345), EINVAL);
    munmap(at, 4 * PAGE);
    CHECK_ERRNO(madvise(at, PAGE, MADV_DONTNEED), ENOMEM);
}

static int depth_sum(int depth)
{
    volatile char block[1024];

    block[0] = (char)depth;
    return depth == 0 ? 0 : block[0] * 0 + 1 + depth_sum(depth - 1);
}

static void test_stack(void)
{
    CHECK(depth_sum(4000) == 4000); /* about 4 MiB */
}

static void test_fork_copy(void)
{
    char *private = map(16, PROT_READ | PROT_WRITE);
    int *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static int global = 1;
    int status;
    pid_t pid;

    CHECK(private != MAP_FAILED && shared != MAP_FAILED);
    private[0] = 'a';
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        *shared = private[0] == 'a' && global == 1 ? 100 : -1;
        private[0] = 'c';
        global = 2;
        _exit(private[0] == 'c' && global == 2 ? 3 : 4);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    CHECK(private[0] == 'a' && global == 1 && *shared == 100);
    private[0] = 'b';
    CHECK(private[0] == 'b');
    munmap(private, 16 * PAGE);
    munmap(shared, PAGE);
}

static void test_system_calls_check_addresses(void)
{
    char *at = map(2, PROT_READ | PROT_WRITE);
    int p[2];

    CHECK(at != MAP_FAILED && pipe(p) == 0);
    CHECK(munmap(at + PAGE, PAGE) == 0);
    CHECK(write(p[1], at, PAGE) == (ssize_t)PAGE);
    CHECK_ERRNO(write(p[1], at + PAGE, 1), EFAULT);
    CHECK_ERRNO(read(p[0], at + PAGE, 1), EFAULT);
    CHECK(mprotect(at, PAGE, PROT_READ) == 0);
    CHECK_ERRNO(read(p[0], at, 1), EFAULT);
    CHECK_ERRNO(pipe(bad_address()), EFAULT);
    close(p[0]), close(p[1]);
    munmap(at, PAGE);
}

static void test_auxiliary(void)
{
    const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
    int sum = 0;

    CHECK(getauxval(AT_PAGESZ) == PAGE);
    CHECK(getauxval(AT_CLKTCK) == 100);
    CHECK(getauxval(AT_PHNUM) > 0 && getauxval(AT_PHDR) != 0 && getauxval(AT_ENTRY) != 0);
    CHECK(strcmp((const char *)getauxval(AT_PLATFORM), "x86_64") == 0);
    CHECK(strstr((const char *)getauxval(AT_EXECFN), "t_memory") != NULL);
    for (int i = 0; i < 16; i++)
        sum |= random[i];
    CHECK(sum != 0);
    CHECK(((uintptr_t)__builtin_frame_address(0) & 15) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"anonymous", test_anonymous},   {"fixed", test_fixed},
        {"protection", test_protection}, {"execute", test_execute},
        {"remap", test_remap},           {"heap", test_heap},
        {"discard", test_discard},       {"stack", test_stack},
        {"fork_copy", test_fork_copy},   {"addresses", test_system_calls_check_addresses},
        {"auxiliary", test_auxiliary},
    };

    return RUN_TESTS(tests, argc, argv);
}
