/*
 * main.c: fuzz_programs [SECONDS [SEED]]: runs damaged programs: ELF files with wrong headers, cut or
 * made up, and scripts whose first line is odd. Each must fail with an error or end by itself or by a
 * signal, and all memory must come back. Seeds repeat.
 *
 * Damage is mostly done to headers: what runs then is this program's or true's own code, which ends.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WHERE       "/tmp/damaged"
#define SELF        "/bin/fuzz_programs"
#define SIZE_MAX_   (4u << 20)
#define LIFE        2 /* seconds after which what still runs is ended */
#define WARM        50u
#define HEAP_SLACK  64l   /* kB */
#define FREE_SLACK  2048l /* kB: what caches hold at one time and not at another */

static uint8_t whole[SIZE_MAX_], damaged[SIZE_MAX_];
static size_t whole_size, size;
static uint64_t state;
static unsigned started, refused, ended;

static uint64_t random_next(void)
{
    uint64_t x = state += 0x9e3779b97f4a7c15ull; /* splitmix64 (Steele, Lea, Flood, 2014) */

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static unsigned below(size_t count)
{
    return (unsigned)((random_next() >> 16) % count);
}

static uint64_t number_odd(void)
{
    static const uint64_t numbers[] = {
        0,          1,          2,          7,          63,         64,         0xfff,      0x1000,
        0x1001,     0x10000,    0x200000,   0x400000,   0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32,
        1ull << 46, 1ull << 47, (1ull << 47) - 4096, 1ull << 62, 1ull << 63, ~0ull, ~0xfffull,
        0xffff800000000000, 0xffffffff80000000,
    };
    uint64_t value = numbers[below(sizeof(numbers) / sizeof(numbers[0]))];

    return below(4) == 0 ? random_next() >> below(64) : value + below(3) - 1;
}

static void file_read(const char *path)
{
    int fd = open(path, O_RDONLY);
    ssize_t n;

    for (whole_size = 0; fd >= 0 && (n = read(fd, whole + whole_size, SIZE_MAX_ - whole_size)) > 0;)
        whole_size += (size_t)n;
    if (fd >= 0)
        close(fd);
}

/* ---- kinds of damage --------------------------------------------------------------------------------- */

static void headers_damage(void)
{
    Elf64_Ehdr *header = (Elf64_Ehdr *)damaged;
    size_t end = sizeof(*header) + (whole_size > 64 ? header->e_phnum * sizeof(Elf64_Phdr) : 0);

    for (unsigned i = 1 + below(4); i > 0; i--) {
        uint64_t value = number_odd();
        size_t width = 1u << below(4), at = below(end) & ~(width - 1);

        if (at + width <= size)
            memcpy(damaged + at, &value, width);
    }
}

static void segment_damage(void)
{
    Elf64_Ehdr *header = (Elf64_Ehdr *)damaged;
    Elf64_Phdr *segments = (Elf64_Phdr *)(damaged + sizeof(*header));
    unsigned count = header->e_phnum < 16 ? header->e_phnum : 16;

    for (unsigned i = 1 + below(3); i > 0 && count > 0; i--) {
        uint64_t *words = (uint64_t *)&segments[below(count)];

        if (below(3) == 0)
            words[0] = below(8) | (uint64_t)below(8) << 32; /* type and rights */
        else
            words[1 + below(6)] = number_odd();
    }
}

/* A file of headers only. */
static void header_invent(void)
{
    Elf64_Ehdr *header = (Elf64_Ehdr *)damaged;
    Elf64_Phdr *segments = (Elf64_Phdr *)(damaged + sizeof(*header));
    unsigned count = 1 + below(12);

    memcpy(header, whole, sizeof(*header));
    header->e_type = below(2) ? ET_DYN : ET_EXEC;
    header->e_phnum = (uint16_t)(below(8) ? count : number_odd());
    header->e_entry = below(2) ? 0x400000 : number_odd();
    size = sizeof(*header) + count * sizeof(*segments) + below(9000);
    memset(segments, (int)random_next(), size - sizeof(*header));
    for (unsigned i = 0; i < count; i++) {
        static const uint32_t types[] = {PT_LOAD, PT_LOAD, PT_LOAD, PT_INTERP, PT_TLS, PT_PHDR, PT_DYNAMIC,
                                         PT_GNU_STACK, PT_NOTE, PT_NULL};
        uint64_t length = below(3) ? below(size) : number_odd();

        segments[i] = (Elf64_Phdr){.p_type = types[below(10)],
                                   .p_flags = below(8),
                                   .p_offset = below(3) ? below(3) * 4096 : number_odd(),
                                   .p_vaddr = below(3) ? 0x400000 + below(64) * 0x1000 : number_odd(),
                                   .p_filesz = length,
                                   .p_memsz = below(3) ? length + below(20000) : number_odd(),
                                   .p_align = below(3) ? 0x1000 : number_odd()};
    }
}

static void script_invent(void)
{
    static const char *const programs[] = {"/bin/true", WHERE, "/bin", "/none", "", "true", SELF, "/dev/null",
                                           "/proc/self/exe", "/tmp/../bin/true"};
    char spaces[300];
    size_t blanks = below(4) ? below(3) : below(sizeof(spaces));

    memset(spaces, below(4) ? ' ' : '\t', sizeof(spaces));
    size = (size_t)snprintf((char *)damaged, SIZE_MAX_, "#!%.*s%s%.*s%s%s", (int)blanks, spaces,
                            programs[below(10)], (int)blanks, spaces, below(2) ? "argument" : "",
                            below(3) ? "\n" : "");
    if (below(6) == 0)
        damaged[below(size)] = (uint8_t)random_next();
}

static void damage(void)
{
    memcpy(damaged, whole, whole_size);
    size = whole_size;
    switch (below(8)) {
    case 0:
        size = below(4) ? below(8192) : below(whole_size);
        size = size < whole_size ? size : whole_size;
        break;
    case 1:
        for (unsigned i = below(20); i > 0; i--)
            damaged[below(whole_size < 4096 ? whole_size : 4096)] = (uint8_t)random_next();
        break;
    case 2:
    case 3:
        header_invent();
        break;
    case 4:
        script_invent();
        break;
    case 5:
        headers_damage();
        break;
    default:
        segment_damage();
    }
}

/* ---- running --------------------------------------------------------------------------------------------- */

static bool damaged_write(void)
{
    int fd;
    bool good;

    unlink(WHERE);
    fd = open(WHERE, O_WRONLY | O_CREAT, 0755);
    good = fd >= 0 && write(fd, damaged, size) == (ssize_t)size;
    if (fd >= 0)
        close(fd);
    return good;
}

/* False: no child can be made. */
static bool damaged_run(void)
{
    char *arguments[] = {below(4) ? "damaged" : NULL, "argument", NULL};
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        int nothing = open("/dev/null", O_RDWR);

        for (int fd = 0; fd < 3; fd++)
            dup2(nothing, fd);
        alarm(LIFE);
        execv(WHERE, arguments);
        _exit(100);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    started++;
    refused += WIFEXITED(status) && WEXITSTATUS(status) == 100;
    ended += WIFSIGNALED(status);
    return true;
}

static long figure(const char *path, const char *name)
{
    char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    const char *at;

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return -1;
    text[n] = '\0';
    at = strstr(text, name);
    return at ? atol(at + strlen(name)) : -1;
}

/* One of two programs, damaged, until the time is over; the figures after the first ones in heap, free. */
static bool rounds(time_t end, long *heap, long *free_)
{
    for (unsigned i = 0; i < WARM + 1 || time(NULL) < end; i++) {
        file_read(below(8) ? "/bin/true" : SELF);
        if (whole_size < sizeof(Elf64_Ehdr))
            return false;
        damage();
        if (!damaged_write() || !damaged_run())
            return false;
        unlink(WHERE);
        if (i == WARM) {
            *heap = figure("/proc/meminfo", "Slab:");
            *free_ = figure("/proc/meminfo", "MemFree:");
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 10;
    long heap = 0, free_ = 0, heap_now, free_now;
    bool ran, back;

    if (getpid() != 1) { /* one of its own damaged children */
        fprintf(stderr, "fuzz_programs: only as a machine's first process\n");
        return 2;
    }
    if (argc > 2)
        state = strtoull(argv[2], NULL, 0);
    else if (getrandom(&state, 4, 0) != 4)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("# seed %lu\n", state);
    ran = rounds(time(NULL) + (time_t)seconds, &heap, &free_);
    heap_now = figure("/proc/meminfo", "Slab:");
    free_now = figure("/proc/meminfo", "MemFree:");
    back = heap_now - heap < HEAP_SLACK && free_ - free_now < FREE_SLACK;
    printf("# %u programs, %u refused, %u ended by a signal; heap %ld kB, then %ld; free %ld kB, then %ld\n",
           started, refused, ended, heap, heap_now, free_, free_now);
    printf(ran ? "ok damaged programs run or are refused\n" : "FAIL damaged programs: %s\n", strerror(errno));
    printf(refused && ended && refused + ended < started ? "ok some of each kind\n"
                                                         : "FAIL some of each kind: see the figures\n");
    printf(back ? "ok memory comes back from damaged programs\n" : "FAIL memory: see the figures\n");
    return !ran || !back;
}
