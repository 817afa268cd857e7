/*
 * memory.c: the memory that a worker's calls are pointed at.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
#define READ_WRITE (PROT_READ | PROT_WRITE)

static bool map_at(uint64_t at, size_t size, int prot, int flags, int fd)
{
    return CALL(SYS_mmap, at, size, prot, flags, fd, 0) == (long)at;
}

static bool arena_setup(void)
{
    bool good = true;

    for (unsigned group = 0; group < ARENA_GROUPS; group++) {
        uint64_t at = ARENA + group * ARENA_GROUP;

        good = good && map_at(at, 7 * PAGE, READ_WRITE, ANONYMOUS, -1);
        memset((void *)at, (int)group, 6 * PAGE);
        CALL(SYS_mprotect, at + ARENA_WRITE, PAGE, PROT_READ);
        CALL(SYS_mprotect, at + ARENA_WRITE + PAGE, PAGE, PROT_NONE);
    }
    return good;
}

/* A file of one and a half pages, mapped four pages long, shared and private. */
static bool files_setup(void)
{
    int fd = (int)CALL(SYS_open, "mapped", O_RDWR | O_CREAT, 0600);
    bool good = fd >= 0 && CALL(SYS_ftruncate, fd, PAGE + PAGE / 2) == 0;

    good = good && map_at(FILES, 4 * PAGE, READ_WRITE, MAP_SHARED | MAP_FIXED, fd) &&
           map_at(FILES + FILES_STEP, 4 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_FIXED, fd);
    CALL(SYS_close, fd);
    return good;
}

bool memory_setup(void)
{
    bool good = arena_setup() && files_setup();

    for (unsigned i = 0; i < THREADS_MAX * ARGUMENTS && good; i++)
        good = map_at(SCRATCH + i * SCRATCH_STEP, SCRATCH_SIZE, READ_WRITE, ANONYMOUS, -1);
    good = good && map_at(LARGE, LARGE_SIZE, READ_WRITE, ANONYMOUS, -1) &&
           map_at(RACE, RACE_PAGES * PAGE, READ_WRITE, ANONYMOUS, -1) &&
           map_at(STACKS, THREADS_MAX * STACK_SIZE, READ_WRITE, ANONYMOUS, -1);
    CALL(SYS_madvise, LARGE, LARGE_SIZE, MADV_HUGEPAGE);
    return good;
}

uint64_t scratch_put(struct fuzzer *z, const void *object, size_t size)
{
    uint64_t start = scratch_of(z), end = start + SCRATCH_SIZE, at;

    switch (below(z, 8)) {
    case 0: /* across a page's end */
        at = start + PAGE - 1 - below(z, (unsigned)(size < PAGE ? size : PAGE));
        break;
    case 1: /* up to the end of what is mapped */
        at = end - (size < SCRATCH_SIZE ? size : SCRATCH_SIZE);
        break;
    case 2: /* beyond it */
        at = end - 1 - below(z, (unsigned)(size < SCRATCH_SIZE ? size : SCRATCH_SIZE));
        break;
    default:
        at = start + below(z, 64) * 8;
    }
    memcpy((void *)at, object, size < end - at ? size : end - at);
    return one_in(z, 12) ? value_bad_pointer(z) : at;
}
