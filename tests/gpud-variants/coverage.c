/*
 * coverage.c: linked into a gpud whose code calls it at each basic block (build/tests/gpud-coverage): notes which
 * were reached in the file GPUD_COVERAGE, a byte for each byte of code. The file is mapped before a process of
 * gpud's gives its rights away, and all of them share it. tests/gpud-variants/coverage shows what is missing.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROOM (8u << 20)

extern const char __executable_start[];

static uint8_t nothing[ROOM], *reached = nothing;

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
    uintptr_t at = (uintptr_t)__builtin_return_address(0) - (uintptr_t)__executable_start;
    if (at < ROOM && !reached[at])
        reached[at] = 1;
}

__attribute__((constructor)) static void coverage_open(void)
{
    const char *path = getenv("GPUD_COVERAGE");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || ftruncate(fd, ROOM) < 0)
        return;
    void *map = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        reached = map;
    close(fd);
}
