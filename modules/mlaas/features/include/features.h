/*
 * features.h: the feature store: what modules see, as rows of small whole numbers that a model
 * reads.
 *
 * A module registers a set with its schema and captures rows from its hooks. Each CPU has a ring of
 * its own, so capturing takes no lock and disturbs nobody. A window is the newest rows as an array,
 * oldest first, ready for a model. Programs read a set in /sys/kernel/mlaas/features/NAME and
 * record it for training with `mlctl record NAME FILE`.
 *
 * Name modules/mlaas/features in NEEDS and features in the manifest's needs.
 */
#pragma once

#include <microlake/cpu.h>
#include <microlake/types.h>

#define FEATURES_NAME_MAX   32u
#define FEATURES_FIELDS_MAX 16u
#define FEATURES_SETS_MAX   16u
#define FEATURES_ROWS_MIN   4u          /* of a CPU, however many there are */
#define FEATURES_BYTES_MAX  (32u << 10) /* of a set's rows, on all CPUs together */

/* A row. `number` counts the rows of its CPU from 1 (it wraps around); 0: it is being written. */
struct features_row {
    uint64_t tsc; /* when; time_from_tsc() makes it time_now()'s */
    uint32_t key; /* what it is about: a thread, a stream, a buffer... the set's own. Right before
                     `number` */
    uint32_t number;
    int32_t values[];
};

/* A CPU's part of a ring. Rows are written by that CPU only. */
struct features_cpu {
    uint64_t next; /* rows begun so far */
    uint8_t *rows;
    uint64_t unused[6]; /* two CPUs share no cache line */
};

struct features_ring {
    uint32_t fields, stride; /* numbers, and bytes, of a row */
    uint32_t mask;           /* rows of a CPU less 1 */
    uint32_t cpus;
    uint64_t unused[6];
    struct features_cpu cpu[];
};

/* A set: in the memory of who registers it, until it is unregistered. */
struct features_set {
    const char *name;          /* [a-z0-9_], less than FEATURES_NAME_MAX */
    const char *const *fields; /* their names, without blanks, less than FEATURES_NAME_MAX each */
    uint32_t field_count;      /* 1 to FEATURES_FIELDS_MAX */
    uint32_t rows; /* for each CPU: rounded up to a power of two, at least FEATURES_ROWS_MIN, and
                      halved until all of it is within FEATURES_BYTES_MAX; 0: rows are kept only
                      while somebody records them, and a capture costs next to nothing else */

    struct features_ring
        *ring; /* the store's; read with preemption off; NULL: captures do nothing */
};

/* Thread context. ERR_INVALID, ERR_EXISTS, ERR_LIMIT, ERR_NO_MEMORY. */
int features_register(struct features_set *set);

/* Captures may go on meanwhile; on return nothing of the set is in use. Thread context. */
void features_unregister(struct features_set *set);

/* Captures a row of set->field_count values. Any context. */
void features_capture(struct features_set *set, uint32_t key, const int32_t *values);

/* For the store itself: the same as below, on the CPU `id`, which this is. */
static inline struct features_row *features_row_take(struct features_ring *ring, unsigned id,
                                                     uint32_t key, uint32_t *number)
{
    /* &ring->cpu[id] in 32 bits: fewer instructions */
    struct features_cpu *cpu =
        (struct features_cpu *)((uint8_t *)ring->cpu + id * (uint32_t)sizeof(*cpu));
    struct features_row *row;
    uint64_t nth = 1;
    uint32_t low, high;

    __asm__ volatile("xaddq %0, %1"
                     : "+r"(nth), "+m"(cpu->next)); /* whole for this CPU's interrupts */
    row = (struct features_row *)(cpu->rows + (uint32_t)(nth & ring->mask) * ring->stride);
    __atomic_store_n((uint64_t *)&row->key, key, __ATOMIC_RELAXED); /* and no number yet */
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    ((uint32_t *)&row->tsc)[0] = low;
    ((uint32_t *)&row->tsc)[1] = high;
    *number = (uint32_t)nth + 1;
    return row;
}

/*
 * The same without a copy, for hooks: fill in row->values, then features_end(). Preemption is off,
 * or an interrupt handler runs. NULL: nobody has registered the set, or nobody records what is kept
 * for recorders only. An interrupt in between may capture too.
 */
static inline struct features_row *features_begin(const struct features_set *set, uint32_t key,
                                                  uint32_t *number)
{
    struct features_ring *ring = __atomic_load_n(&set->ring, __ATOMIC_ACQUIRE);

    return likely(ring) ? features_row_take(ring, cpu_id(), key, number) : NULL;
}

static inline void features_end(struct features_row *row, uint32_t number)
{
    __atomic_store_n(&row->number, number, __ATOMIC_RELEASE);
}

/*
 * The newest `rows` rows of a CPU, or of all, and of a key, or of any, as out[rows][field_count],
 * oldest first. Where there are fewer, the first ones of `out` are zero. times (may be NULL): out's
 * rows' times. Returns how many there are. A row that another CPU is writing is left out. Any
 * context; looks at all rows that are kept when they are of one key and few. No locks.
 */
#define FEATURES_ALL_CPUS UINT32_MAX
#define FEATURES_ANY_KEY  UINT64_MAX
unsigned features_window(const struct features_set *set, uint32_t cpu, uint64_t key, unsigned rows,
                         int32_t *out, uint64_t *times);
