/*
 * main.c: fuzz_walk [SECONDS | held]: uses a tree whose server lies, in all the ways there are. Whatever the
 * answers, each call must come back, and a look at a mapped page must give bytes or SIGBUS.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define LISTS_MAX 50 /* reads of one folder: some never end */

static sigjmp_buf no_page;
static unsigned calls, good, faults;

static void faulted(int signal)
{
    (void)signal;
    siglongjmp(no_page, 1);
}

static long count(long result)
{
    calls++;
    good += result >= 0;
    return result;
}

/* A path of up to four made-up parts. The first letter says what the server makes of each. */
static void path_make(char *path, size_t size)
{
    static const char *const parts[] = {"file", "gate", "hold", "f2", "g2", "h2", "..", "bin", "f3", "g3"};
    size_t used = 0;

    for (int i = 1 + rand() % 4; i > 0; i--)
        used += (size_t)snprintf(path + used, size - used, "/%s%d", parts[rand() % 6], rand() % 50);
    if (rand() % 8 == 0)
        snprintf(path + used, size - used, "/%s", parts[6 + rand() % 4]);
}

static void file_map(int fd)
{
    volatile char *at = mmap(NULL, 65536, PROT_READ | (rand() % 2 ? PROT_WRITE : 0), MAP_PRIVATE, fd,
                             rand() % 3 * 4096);

    if (at == MAP_FAILED)
        return;
    for (volatile int i = 0; i < 16; i++) {
        if (sigsetjmp(no_page, 1) == 0)
            (void)at[i * 4096];
        else
            faults++;
    }
    munmap((void *)at, 65536);
}

static void file_use(const char *path)
{
    static char bytes[70000];
    /* Where the server says that it is a pipe, opening would wait for its other end. */
    int fd = (int)count(open(path, O_NONBLOCK | (rand() % 2 ? O_RDONLY : O_RDWR | O_CREAT), 0600));
    struct stat facts;

    if (fd < 0)
        return;
    count(read(fd, bytes, (size_t)(rand() % 70000)));
    count(pread(fd, bytes, 4096, rand() % 200000));
    count(write(fd, bytes, (size_t)(rand() % 9000)));
    count(lseek(fd, rand() % 3 ? 0 : -1, SEEK_END));
    count(fstat(fd, &facts));
    count(ftruncate(fd, rand() % 100000));
    count(fsync(fd));
    file_map(fd);
    for (int i = 0; i < LISTS_MAX && syscall(SYS_getdents64, fd, bytes, sizeof(bytes)) > 0; i++)
        continue;
    close(fd);
}

static void names_use(const char *path, const char *other)
{
    char text[5000];
    struct stat facts;
    struct statfs space;

    count(stat(path, &facts));
    count(lstat(path, &facts));
    count(readlink(path, text, sizeof(text)));
    count(access(path, R_OK));
    count(statfs(path, &space));
    count(mkdir(path, 0700));
    count(symlink(other, path));
    count(link(path, other));
    count(rename(path, other));
    count(unlink(path));
    count(rmdir(other));
    count(chmod(path, 0600));
    count(setxattr(path, "user.one", text, (size_t)(rand() % 5000), 0));
    count(getxattr(path, "user.one", text, (size_t)(rand() % 5000)));
    count(listxattr(path, text, (size_t)(rand() % 5000)));
    count(removexattr(path, "user.one"));
    count(truncate(other, rand()));
    count(chdir(path));
    count(getcwd(text, sizeof(text)) ? 0 : -1);
    count(chdir("/"));
}

static void program_run(const char *path)
{
    pid_t child = fork();

    if (child == 0) {
        alarm(2);
        execl(path, "program", (char *)NULL);
        _exit(1);
    }
    waitpid(child, NULL, 0);
}

/* Programs that wait for an answer that never comes must end all the same, often enough for each of the
 * client's slots to come back several times. */
static int ends_held(void)
{
    static const int signals[] = {SIGKILL, SIGTERM, SIGINT};

    for (int i = 0; i < 30; i++) {
        int status, number = signals[i % 3];
        char byte, path[20];
        pid_t child = fork();

        snprintf(path, sizeof(path), "/file%d", i);
        if (child == 0) {
            int fd = open(path, O_RDONLY | O_NONBLOCK);

            _exit(fd < 0 ? 1 : read(fd, &byte, 1) == 1 ? 2 : 3);
        }
        usleep(50000);
        kill(child, number);
        if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
            WTERMSIG(status) != number) {
            printf("FAIL programs that wait for ever end: number %d ended with %x\n", i, status);
            return 1;
        }
    }
    printf("ok programs that wait for ever end\n");
    return 0;
}

int main(int argc, char **argv)
{
    time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
    struct sigaction action = {.sa_handler = faulted};

    if (argc > 1 && strcmp(argv[1], "held") == 0)
        return ends_held();
    sigaction(SIGBUS, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (fork() == 0)
        srand(1); /* two at once */
    while (time(NULL) < end) {
        char path[300], other[300];

        path_make(path, sizeof(path));
        path_make(other, sizeof(other));
        names_use(path, other);
        file_use(path);
        if (rand() % 4 == 0)
            program_run(path);
    }
    if (getpid() != 1)
        return 0;
    wait(NULL);
    printf("# %u calls, %u of them succeeded, %u pages were not to be had\n", calls, good, faults);
    printf(good > 0 && good < calls ? "ok a lying server is survived\n"
                                    : "FAIL a lying server: all calls ended the same way\n");
    return good == 0 || good == calls;
}
