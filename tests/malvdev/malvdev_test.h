/*
 * malvdev_test.h: what the cases share. A case opens the device itself; CHECK notes a failure and
 * goes on. Each case prints "ok NAME" or "FAIL NAME: why".
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uapi/malv.h"

void check_failed(const char *file, int line, const char *what);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)

/* The call fails with exactly this errno. */
#define CHECK_ERRNO(call, number)                                                                  \
    do {                                                                                           \
        errno = 0;                                                                                 \
        CHECK((call) == -1 && errno == (number));                                                  \
    } while (0)

/* What most cases start with. */
int device_open(void);
uint32_t buffer_create(int fd, uint64_t size, uint32_t flags, uint64_t *mmap_offset);
uint32_t kernel_build(int fd, const char *source, const char *name);

/* Submits a fill of the buffer's first 16 words; the fence, or 0. */
uint64_t fill_submit(int fd, uint32_t queue, uint32_t buffer, uint32_t value);

/* Fills and waits on queue 0 until somebody ends the device: whether the submission or the wait is told of it, is
 * chance. */
void fill_until_lost(int fd, uint32_t buffer);

/* Submits one launch with a buffer and a 32-bit number as arguments; the fence, or 0. To queue 0 if none is named. */
uint64_t launch_on(int fd, uint32_t queue, uint32_t kernel, uint32_t buffer, uint32_t number, uint64_t items);
uint64_t launch_submit(int fd, uint32_t kernel, uint32_t buffer, uint32_t number, uint64_t items);
int fence_wait(int fd, uint32_t queue, uint64_t fence, uint64_t timeout_ns);

/* objects.c */
void case_info(void);
void case_bad_calls(void);
void case_buffers(void);
void case_mappings(void);
void case_sub_buffers(void);
void case_programs(void);
void case_numbers_run_out(void);

/* work.c */
/* Keeps the device busy for a while; `rounds` decides for how long. */
extern const char spin_source[];
void case_work(void);
void case_bad_work(void);
void case_waiting(void);
void case_signals(void);
void case_many_outstanding(void);
void case_long_work(void); /* takes as long as the driver waits for an answer of the device */
void case_threads(void);

/* leaks.c: what is alive on the GPU, of all programs. */
struct alive {
    unsigned long long contexts, buffers, programs, kernels, memory, batches, managed, resident;
};
struct alive alive_now(void);
/* The same is alive as was, once the kernel has cleared away what has died. */
void alive_check(const struct alive *before);
void case_killed_at_any_moment(void);
void case_device_memory_runs_out(void);
void case_machine_memory_runs_out(void);

/* notify.c */
void case_notify(void);

/* managed.c */
void case_managed(void);
void case_managed_programs(void);
void case_managed_killed(void);
void case_managed_lost(void); /* as case_replaced or case_loss: somebody acts outside */

/* processes.c */
void case_contexts(void);
void case_death_in_the_middle(void);
/* These need somebody outside who acts when "working" is said: ends the device process, the front. */
void case_replaced(void);
void case_replaced_often(void);
void case_loss(void);
