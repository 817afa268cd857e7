/*
 * sched_burst_rows.c: for sched_burst.py: the features of a thread's bursts, by the policy's own
 * code.
 */
#include "modules/mlaas/sched_burst/history.h"

void rows_make(const uint64_t *bursts, const uint64_t *sleeps, uint64_t count, int32_t *features,
               int32_t *kinds);

/*
 * sleeps[i] comes before bursts[i]. Row i is what is known when burst i begins, kinds[i] what it
 * turned out to be. The first HISTORY_SURE rows are no use.
 */
void rows_make(const uint64_t *bursts, const uint64_t *sleeps, uint64_t count, int32_t *features,
               int32_t *kinds)
{
    struct sched_entity e = {0};
    struct history h = {0};
    uint64_t now = NS_PER_SEC;

    e.ran_until = now;
    for (uint64_t i = 0; i < count; i++) {
        now += sleeps[i];
        e.flags = SCHED_WAKEUP;
        history_capture(&h, &e, now);
        history_features(&h, features + i * HISTORY_FEATURES);
        kinds[i] = (int32_t)burst_kind_of(bursts[i], sleeps[i]);
        now += bursts[i];
        e.ran += bursts[i];
        e.ran_until = now;
    }
}
