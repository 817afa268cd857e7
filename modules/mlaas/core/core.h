/*
 * core.h: what the files of module mlaas share. The module shows the machine's policies and figures
 * below /sys/kernel/mlaas, where mlctl reads and sets them:
 *
 *   classes/CLASS/policy   "[round_robin] sched_fair": the active one in brackets; write a name to
 * set classes/CLASS/stats    "name value" a line: switches, and POLICY.calls, .faulted, .overran,
 *                          .nonsense, .retired for each policy
 *   modules                "name version size refs" a line
 *   memory                 "name bytes" a line
 */
#pragma once

#include <microlake/types.h>

#define MLAAS_ROOT "/sys/kernel/mlaas"

/* Text that grows past its room without writing there; `used` is the length of the whole. */
struct text {
    char *out;
    size_t size, used;
};
void text_add(struct text *t, const char *format, ...) __printf(2, 3);

/* Pseudo files of every policy class, and of the machine. start: OK or a status, with nothing left
 * behind; stop undoes it. */
int classes_start(void);
void classes_stop(void);
int figures_start(void);
void figures_stop(void);
