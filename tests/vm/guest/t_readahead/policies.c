/*
 * policies.c: policies of the class readahead: hostile ones, one in the shadow, and switching under load.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t_readahead.h"

/* Ends a function that answers whether all was well. */
#define NEED(condition) \
    do { \
        if (!(condition)) { \
            printf("policies.c:%d: %s\n", __LINE__, #condition); \
            return false; \
        } \
    } while (0)

#define CLASS "/sys/kernel/mlaas/classes/readahead/"
#define MANY  700u

static bool file_put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    bool put = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    close(fd);
    return put;
}

static bool file_get(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY);
    ssize_t n, done = 0;

    while (fd >= 0 && done < (ssize_t)size - 1 && (n = read(fd, out + done, size - 1 - (size_t)done)) > 0)
        done += n;
    out[done] = '\0';
    close(fd);
    return fd >= 0;
}

/* A figure of a policy; UINT64_MAX: there is none. */
static uint64_t figure(const char *policy, const char *what)
{
    static char text[16384];
    char name[64];
    const char *at;

    snprintf(name, sizeof(name), "%s.%s ", policy, what);
    if (!file_get(CLASS "stats", text, sizeof(text)))
        return UINT64_MAX;
    for (at = text; (at = strstr(at, name)); at += strlen(name))
        if (at == text || at[-1] == '\n')
            return strtoull(at + strlen(name), NULL, 10);
    return UINT64_MAX;
}

static bool machine_has(const char *policy)
{
    char text[256], wanted[64];

    snprintf(wanted, sizeof(wanted), "[%s]", policy);
    return file_get(CLASS "policy", text, sizeof(text)) && strstr(text, wanted);
}

static bool one_hostile(const char *policy, const char *what)
{
    NEED(file_put(CLASS "policy", policy));
    NEED(machine_has(policy));
    NEED(file_is_right(2048));
    NEED(machine_has("ondemand"));
    NEED(figure(policy, "retired") == 1 && figure(policy, what) >= 1);
    NEED(!file_put(CLASS "policy", policy)); /* not again */
    NEED(file_is_right(512));
    return true;
}

bool policies_hostile(void)
{
    NEED(one_hostile("ra_outside", "nonsense"));
    NEED(one_hostile("ra_huge", "nonsense"));
    NEED(one_hostile("ra_overlap", "nonsense"));
    NEED(one_hostile("ra_many", "nonsense"));
    NEED(one_hostile("ra_faults", "faulted"));
    NEED(one_hostile("ra_loops", "overran"));
    return true;
}

/* In the shadow it is asked and judged, and reads nothing. */
bool policies_shadow(void)
{
    NEED(file_put(CLASS "policy", "ondemand") && file_put(CLASS "shadow", "mem_readahead"));
    NEED(file_is_right(4096));
    NEED(figure("mem_readahead", "judged") >= 4096);
    NEED(figure("mem_readahead", "right") > figure("mem_readahead", "judged") / 2);
    NEED(figure("mem_readahead", "work") == 0);
    NEED(figure("ondemand", "work") > 0 && figure("ondemand", "cost") > 0);
    NEED(file_put(CLASS "shadow", "none"));
    return true;
}

static uint64_t counter(const char *name)
{
    static char text[16384];
    const char *at = file_get("/sys/kernel/malv/counters", text, sizeof(text)) ? strstr(text, name) : NULL;

    return at ? strtoull(at + strlen(name), NULL, 10) : UINT64_MAX;
}

/* More streams than a policy can remember: those that it forgets are read all the same. */
bool policies_many_streams(void)
{
    static int files[MANY];
    static uint8_t bytes[2 * PAGE];
    uint64_t before;

    NEED(file_is_right(16) && (before = counter("readahead_recycled ")) != UINT64_MAX);
    NEED(file_put(CLASS "policy", "mem_readahead"));
    for (unsigned i = 0; i < MANY; i++)
        NEED((files[i] = open(FILE_PATH, O_RDONLY)) >= 0);
    for (uint64_t round = 0; round < 6; round++)
        for (uint64_t i = 0; i < MANY; i++) {
            uint64_t n = i * 64 + round * 2;

            NEED(pread(files[i], bytes, sizeof(bytes), (off_t)(n * PAGE)) == sizeof(bytes));
            NEED(page_is_right(bytes, n) && page_is_right(bytes + PAGE, n + 1));
        }
    for (unsigned i = 0; i < MANY; i++)
        close(files[i]);
    NEED(counter("readahead_recycled ") > before);
    NEED(machine_has("mem_readahead") && file_put(CLASS "policy", "ondemand"));
    return true;
}

/* Policies change while four read. */
bool policies_switching(void)
{
    static const char *const names[] = {"ondemand", "mem_readahead", "fixed"};
    pid_t readers[4];
    int status, running = 4;

    for (int i = 0; i < 4; i++) {
        readers[i] = fork();
        if (readers[i] == 0)
            _exit(!file_is_right(3000));
    }
    for (unsigned round = 0; running > 0; round++) {
        NEED(file_put(CLASS "policy", names[round % 3]));
        for (int i = 0; i < 4; i++)
            if (readers[i] && waitpid(readers[i], &status, WNOHANG) == readers[i]) {
                NEED(status == 0);
                readers[i] = 0;
                running--;
            }
    }
    NEED(file_put(CLASS "policy", "ondemand"));
    return true;
}
