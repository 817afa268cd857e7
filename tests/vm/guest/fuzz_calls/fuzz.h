/*
 * fuzz.h: fuzz_calls, a program that makes every system call with hostile arguments.
 *
 * The watcher, the machine's first process, starts workers. A worker is a process whose threads make
 * calls from the table, with arguments of the kind that the table says: half of them sensible, the
 * others not. All that a thread does follows from its seed. Workers crash, end, fork and are killed;
 * after each round none is left, and the watcher looks whether the machine is as it was before.
 *
 * Code that runs in workers uses no libc but memory functions: calls under test change TLS,
 * descriptors and memory as they like.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096ul
#define ARGUMENTS 6u

/* ---- What calls take ---------------------------------------------------------------------------- */

enum kind {
    NO, /* not used */
    /* numbers */
    INT, FD, AT, PID, SIG, LEN, PAGES, OFF, FLAGS, MODE, PROT, MAPS, OPENS, MSGS, COUNT, SETLEN,
    FCNTL, IOCTL, PRCTL, ARCH, FUTEX, FAMILY, OPTION, CLONES, MOUNTS, FEW,
    /* addresses */
    IN, OUT, ADDR, PATH, WORD, VEC, MSG, MMSG, TIME, TIMES, SET, ACT, SOCK, LENP, POLLS, FDS, EVENT,
    PAIR, STRS, CARGS, LOCK, INFO, STACK, NUM,
    /* either */
    ANY,
};

struct call_row {
    uint16_t number;
    uint8_t kinds[ARGUMENTS];
    uint8_t shy; /* of so many times that it is drawn it is made once; 0: always */
    const char *name;
};

extern const struct call_row call_rows[];
extern const unsigned call_row_count;

/* ---- One thread that makes calls ----------------------------------------------------------------- */

struct fuzzer {
    uint64_t random;
    unsigned thread; /* which scratch memory is its own */
    unsigned argument; /* the argument that is being made */
    unsigned births;   /* forks and clones it may still make */
    struct record *record;
};

static inline uint64_t random_next(struct fuzzer *z)
{
    uint64_t x = z->random += 0x9e3779b97f4a7c15ull; /* splitmix64 (Steele, Lea, Flood, 2014) */

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static inline unsigned below(struct fuzzer *z, unsigned count)
{
    return (unsigned)(random_next(z) >> 32) % count;
}

static inline bool one_in(struct fuzzer *z, unsigned count)
{
    return below(z, count) == 0;
}

#define PICK(z, ...)                                                                               \
    ({                                                                                             \
        static const uint64_t choice_[] = {__VA_ARGS__};                                           \
        choice_[below(z, sizeof(choice_) / sizeof(choice_[0]))];                                   \
    })

uint64_t value_make(struct fuzzer *z, enum kind kind);
uint64_t value_number(struct fuzzer *z);
uint64_t value_fd(struct fuzzer *z);
uint64_t value_bad_pointer(struct fuzzer *z);
uint64_t value_pointer(struct fuzzer *z); /* of at least a few KiB, mostly */
uint64_t value_length(struct fuzzer *z);
const char *value_path_text(struct fuzzer *z);
uint64_t struct_make(struct fuzzer *z, enum kind kind);

/* Makes one call of the table. */
void call_make(struct fuzzer *z);

/* Puts an object of some kind behind a low descriptor. */
void descriptor_renew(struct fuzzer *z);

/* ---- Memory of a worker --------------------------------------------------------------------------
 * scratch: per thread and argument, two pages and nothing behind: structures are made there
 * arena:   pages of all rights side by side;  large: may become a large page
 * file:    mappings that reach beyond their file's end
 * race:    what mmap() and its relatives are let loose on
 */
#define THREADS_MAX   8u
#define SCRATCH       0x50000000ul
#define SCRATCH_STEP  0x4000ul
#define SCRATCH_SIZE  (2 * PAGE)
#define ARENA         0x10000000ul
#define ARENA_GROUPS  8u
#define ARENA_GROUP   (8 * PAGE) /* five pages to write, one to read, one without rights, none */
#define ARENA_WRITE   (5 * PAGE)
#define LARGE         0x20000000ul
#define LARGE_SIZE    0x240000ul
#define FILES         0x30000000ul
#define FILES_STEP    0x10000ul
#define RACE          0x40000000ul
#define RACE_PAGES    64u
#define STACKS        0x60000000ul
#define STACK_SIZE    0x10000ul

bool memory_setup(void);
static inline uint64_t scratch_of(const struct fuzzer *z)
{
    return SCRATCH + (z->thread * ARGUMENTS + z->argument) * SCRATCH_STEP;
}

/* Puts an object into the thread's scratch memory for its present argument; it may reach beyond the end. */
uint64_t scratch_put(struct fuzzer *z, const void *object, size_t size);

/* ---- What the watcher sees of workers -------------------------------------------------------------
 * In memory that workers can damage: believed for messages only.
 */
#define WORKERS 3u
#define CALL_NUMBERS 512u

struct record {
    uint32_t number;
    uint32_t count;
    uint64_t arguments[ARGUMENTS];
};

struct shared {
    uint64_t made[CALL_NUMBERS];
    uint64_t succeeded[CALL_NUMBERS];
    struct record records[WORKERS][THREADS_MAX];
};

extern struct shared *shared;
extern uint8_t *canary; /* of the watcher's own; workers have it copied on write */
#define CANARY_SIZE (64 * PAGE)

/* The body of a worker; ends by itself after `milliseconds`, if not before. */
void worker_run(uint64_t seed, unsigned index, unsigned milliseconds) __attribute__((noreturn));

/* kept.c: remembers the files that nobody may write and the mounts; before the first worker. */
bool kept_setup(void);
bool kept_whole(void);  /* says where a file has changed */
void mounts_undo(void); /* takes away what workers have mounted */

/* Runs rounds of workers for so many seconds; the program's status. */
int watch(uint64_t seed, unsigned seconds);

/* ---- Calls, as they are ------------------------------------------------------------------------- */

static inline long call6(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                         uint64_t f)
{
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define CALL(number, ...) CALL_(number, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(number, a, b, c, d, e, f, ...)                                                       \
    call6(number, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e),       \
          (uint64_t)(f))

/* stubs.S: a call that may return a second time in a new thread or process, which then calls
 * life(context) on its stack, unless life is NULL, and ends. */
long call_twice(long number, const uint64_t arguments[ARGUMENTS], void (*life)(void *),
                void *context);

/* Calls rt_sigreturn with that stack pointer. */
void call_sigreturn(uint64_t stack) __attribute__((noreturn));

/* Ends the thread: what a frame that call_sigreturn() takes may point to. */
void thread_end(void) __attribute__((noreturn));

/* The handler's return, as signal actions name it. */
void signal_restorer(void);
