/*
 * calls.c: what single system calls, first touches of memory and processes cost.
 */
#include "costs.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u

/* Less than 2 MiB, so that each page is touched for itself and none comes with a large one. */
#define TOUCHED_PAGES 256u

static void call_getppid(void)
{
    getppid();
}

static void call_clock_gettime(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
}

static void call_sched_yield(void)
{
    sched_yield();
}

static volatile uint8_t *pages_map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        cost_fail("mmap");
    return at;
}

static void page_map_touch_unmap(void)
{
    volatile uint8_t *page = pages_map(PAGE);
    *page = 1;
    munmap((void *)page, PAGE);
}

static void pages_touch(void)
{
    double batches[BATCHES];
    for (unsigned i = 0; i < BATCHES; i++) {
        size_t bytes = TOUCHED_PAGES * (size_t)PAGE;
        volatile uint8_t *pages = pages_map(bytes);
        uint64_t start = ticks_now();
        for (size_t at = 0; at < bytes; at += PAGE)
            pages[at] = 1;
        batches[i] = (double)(ticks_now() - start) / TOUCHED_PAGES;
        munmap((void *)pages, bytes);
    }
    cost_print("page_first_touch", batches);
}

static int own_pipe[2];

static void pipe_write_read(void)
{
    char byte = 0;
    if (write(own_pipe[1], &byte, 1) != 1 || read(own_pipe[0], &byte, 1) != 1)
        cost_fail("pipe");
}

static void child_wait(pid_t child)
{
    int status;
    if (child < 0)
        cost_fail("fork");
    if (waitpid(child, &status, 0) != child || status)
        cost_fail("the child");
}

static void fork_exit_wait(void)
{
    pid_t child = fork();
    if (!child)
        _exit(0);
    child_wait(child);
}

static void fork_exec(const char *path, const char *argument)
{
    pid_t child = fork();
    if (!child) {
        execl(path, path, argument, (char *)NULL);
        _exit(127);
    }
    child_wait(child);
}

static void fork_exec_wait(void)
{
    fork_exec("/bin/true", NULL);
}

/* This program itself, a static glibc one, which ends as soon as main() runs. */
static void fork_exec_glibc_wait(void)
{
    fork_exec(OWN_PATH, END_AT_ONCE);
}

static void open_close(void)
{
    int fd = open(OWN_PATH, O_RDONLY);
    if (fd < 0 || close(fd))
        cost_fail(OWN_PATH);
}

static int own_file;

/* From the page cache: the file lies in memory. */
static void pread_page(void)
{
    static char page[PAGE];
    if (pread(own_file, page, PAGE, 0) != PAGE)
        cost_fail("pread");
}

void costs_of_calls(void)
{
    cost_of_calls("getppid", call_getppid, 1000);
    cost_of_calls("clock_gettime", call_clock_gettime, 1000);
    cost_of_calls("sched_yield", call_sched_yield, 1000);
    if (pipe(own_pipe))
        cost_fail("pipe");
    cost_of_calls("pipe_write_read", pipe_write_read, 1000);
    cost_of_calls("open_close", open_close, 1000);
    own_file = open(OWN_PATH, O_RDONLY);
    cost_of_calls("pread_page", pread_page, 1000);
    pages_touch();
    cost_of_calls("mmap_touch_munmap", page_map_touch_unmap, 200);
    cost_of_calls("fork_exit_wait", fork_exit_wait, 20);
    cost_of_calls("fork_exec_wait", fork_exec_wait, 20);
    cost_of_calls("fork_exec_glibc_wait", fork_exec_glibc_wait, 20);
}
