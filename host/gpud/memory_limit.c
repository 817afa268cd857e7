/* memory_limit.c: see memory_limit.h. Limits of the private memory that can be written, which guest memory is not. */
#include "memory_limit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BUILD_BYTES  (4ull << 30)  /* of a build */
#define THREAD_BYTES (16ull << 20) /* of a thread of the library's, one for each processor */

/* Bytes that count already; 0: nobody knows. */
static rlim_t data_now(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%*u %*u %*u %*u %*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void first_to_end(void)
{
    static const char most[] = "1000";
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t put = write(fd, most, strlen(most));
    (void)put; /* then it is ended like any other */
    close(fd);
}

void memory_limit_enter(uint64_t most)
{
    rlim_t now = data_now(), library = BUILD_BYTES + (rlim_t)sysconf(_SC_NPROCESSORS_CONF) * THREAD_BYTES;
    struct rlimit limit;
    first_to_end();
    if (!most || !now || getrlimit(RLIMIT_DATA, &limit) || limit.rlim_max - now < library ||
        limit.rlim_max - now - library < most)
        return; /* there is a stricter one */
    limit.rlim_cur = limit.rlim_max = now + library + most;
    setrlimit(RLIMIT_DATA, &limit);
}

void memory_build_begin(void)
{
    rlim_t now = data_now();
    struct rlimit limit;
    if (!now || getrlimit(RLIMIT_DATA, &limit) || limit.rlim_cur - now < BUILD_BYTES)
        return;
    limit.rlim_cur = now + BUILD_BYTES;
    setrlimit(RLIMIT_DATA, &limit);
}

void memory_build_end(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_DATA, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_DATA, &limit);
}
