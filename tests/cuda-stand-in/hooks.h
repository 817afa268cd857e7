/* hooks.h: what a test that is linked with the stand-in may ask of it. */
#pragma once

/* What there is of each kind now; programs are NVRTC's, handles cuBLAS's. */
struct stand_in_counts {
    unsigned contexts, allocations, registrations, streams, modules, programs, handles;
};
struct stand_in_counts stand_in_counts(void);

/* The call of that function, `at` from 1 for the next one, gives `code`. */
void stand_in_fail(const char *name, unsigned long at, int code);
