/*
 * linux_run.h: programs of the boot archive that a module runs, as root and as nobody's children, for the
 * machine's owner. Thread context.
 */
#pragma once

#include <microlake/types.h>

struct linux_run; /* a program that was started */

struct linux_run_streams {
    /* Bytes of standard input from *offset on, in kernel memory; 0: no more. */
    long (*read)(void *context, void *out, size_t size, uint64_t offset);
    /* Bytes of standard output (1) or error (2); how many were taken, or an error: ERR_LOST: nobody reads
     * them any more. May sleep. */
    long (*write)(void *context, unsigned stream, const void *bytes, size_t size);
    /* Called once for each of the three streams: nobody has it open any more. */
    void (*close)(void *context);
};

/*
 * Starts the program at a path of the boot archive ("bin/mlctl"). words: `size` bytes, its arguments, each
 * with a NUL behind it, the first its own name. On an error `close` has been called for all three streams,
 * as it is in the end. ERR_NOT_FOUND, ERR_ACCESS, ERR_BAD_FORMAT, ERR_NO_MEMORY.
 */
int linux_run_start(const char *path, const char *words, size_t size,
                    const struct linux_run_streams *streams, void *context, struct linux_run **out);

/* Waits for its end; the exit status as a shell has it. */
int linux_run_wait(struct linux_run *run);

/* Ends it, unless it has ended. Also while another thread waits for it. */
void linux_run_kill(struct linux_run *run);

/* Gives back what linux_run_start() made. The program goes on if it has not ended. */
void linux_run_free(struct linux_run *run);
