/*
 * main.c: fuzz_calls [SECONDS [SEED]]: only as a machine's first process, because what it calls ends
 * processes, fills folders and spends memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "fuzz.h"

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 20;
    uint64_t seed = 0;

    if (getpid() != 1) {
        fprintf(stderr, "fuzz_calls: only for a machine of its own: malv run -- fuzz_calls\n");
        return 2;
    }
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 0);
    else if (getrandom(&seed, 4, 0) != 4)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    return watch(seed, seconds);
}
