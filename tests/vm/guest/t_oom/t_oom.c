/*
 * t_oom.c: who ends when memory runs out. It takes all that there is: in a small machine only.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

#define PAGE  4096ul
#define CHUNK (1ul << 20)

static unsigned long memory_kib(void)
{
    char line[128];
    unsigned long kib = 0;
    FILE *info = fopen("/proc/meminfo", "r");

    while (info && fgets(line, sizeof(line), info))
        if (sscanf(line, "MemTotal: %lu kB", &kib) == 1)
            break;
    if (info)
        fclose(info);
    return kib;
}

static void adjust(const char *text)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        _exit(errno == ENOMEM ? 1 : 3); /* others have it all already: this one gives way at once */
    close(fd);
}

/* Takes memory until there is no more; with `most` bytes, waits. */
static pid_t start_adjusted(unsigned long most, const char *adjustment)
{
    pid_t child = fork();

    if (child != 0)
        return child;
    adjust(adjustment);
    for (unsigned long taken = 0; taken < most; taken += CHUNK) {
        char *at = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (at == MAP_FAILED)
            _exit(1);
        for (unsigned long i = 0; i < CHUNK; i += PAGE)
            at[i] = 1;
    }
    pause();
    _exit(2);
}

static pid_t start_taker(unsigned long most)
{
    return start_adjusted(most, "0");
}

static bool was_killed(pid_t child)
{
    int status;

    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGKILL;
}

static unsigned kills;

/* A taker ended: it was killed, or its next mmap() was refused, which needs a little memory too, as fork() does. */
static bool gave_way(pid_t child)
{
    int status;

    if (child < 0)
        return errno == ENOMEM;
    if (waitpid(child, &status, 0) != child)
        return false;
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == 1;
    kills++;
    return WTERMSIG(status) == SIGKILL;
}

static void test_largest_ends(void)
{
    pid_t small = start_taker(2 * CHUNK), large;
    int status;

    for (int round = 0; round < 3; round++) {
        large = start_taker(-1ul);
        CHECK(gave_way(large));
        CHECK(waitpid(small, &status, WNOHANG) == 0); /* it had less */
    }
    CHECK(kill(small, SIGKILL) == 0 && was_killed(small));
    CHECK(kills > 0);
}

/* Several at once: all of them end, one after the other, and nobody else. */
static void test_several(void)
{
    pid_t takers[4];

    for (int i = 0; i < 4; i++)
        takers[i] = start_taker(-1ul);
    for (int i = 0; i < 4; i++)
        CHECK(gave_way(takers[i]));
}

/* Who is said to be spared outlives who has less; who is said to go first does. */
static void test_adjusted(void)
{
    pid_t spared, first;
    int status;

    adjust("-1000"); /* this process is not what is tested */
    spared = start_adjusted(4 * CHUNK, "-1000");
    for (int round = 0; round < 3; round++) {
        CHECK(gave_way(start_taker(-1ul)));
        CHECK(waitpid(spared, &status, WNOHANG) == 0);
    }
    first = start_adjusted(2 * CHUNK, "1000");
    for (int round = 0; round < 20 && waitpid(first, &status, WNOHANG) == 0; round++)
        CHECK(gave_way(start_taker(-1ul)));
    CHECK(waitpid(first, NULL, WNOHANG) == -1 && WIFSIGNALED(status));
    CHECK(kill(spared, SIGKILL) == 0 && was_killed(spared));
    adjust("0");
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"largest_ends", test_largest_ends},
        {"several", test_several},
        {"adjusted", test_adjusted},
    };

    if (memory_kib() > 256 * 1024) {
        fprintf(stderr, "t_oom: this machine has too much memory to take all of it\n");
        return 2;
    }
    return RUN_TESTS(tests, argc, argv);
}
