/*
 * start.c: what a driver asks of the system when it starts, as traces of NVIDIA's and the rules that others' sandboxes
 * have for it tell: a thread that is named by way of /proc, a socket without a name in the file system, memory of a
 * descriptor, much more address space than there is memory, facts in /proc and /sys. It does not start without.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include "stand_in.h"

#define SPACE (256ull << 30) /* bytes of addresses */

static bool missed(const char *what)
{
    fprintf(stderr, "cuda stand-in: the driver does not start: %s: %s\n", what, strerror(errno));
    return false;
}

/* The body of a thread; `out` is a bool. */
static void *thread_name(void *out)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%ld/comm", syscall(SYS_gettid));
    FILE *comm = fopen(path, "w"); /* which cuts what is there */
    *(bool *)out = comm && fputs("cuda-EvtHandlr", comm) >= 0;
    if (comm && fclose(comm))
        *(bool *)out = false;
    if (!*(bool *)out)
        missed("a thread's name");
    return NULL;
}

static bool thread_start(void)
{
    pthread_t thread;
    bool named = false;
    if (pthread_create(&thread, NULL, thread_name, &named))
        return missed("a thread");
    pthread_join(thread, NULL);
    return named;
}

/* Others who know of it could ask for the device's memory. It stays. */
static bool socket_open(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int one = 1, fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "cuda-stand-in-%d", (int)getpid());
    return (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) == 0 &&
            bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 16) == 0) ||
           missed("its socket");
}

static bool memory_open(void)
{
    int fd = memfd_create("cuda-stand-in", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 1 << 20) < 0)
        return missed("memory of a descriptor");
    void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    void *space = mmap(NULL, SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || space == MAP_FAILED)
        return missed("address space");
    munmap(memory, 1 << 20);
    return munmap(space, SPACE) == 0;
}

/* What is not there need not be; what is must be open to it. */
static bool facts_read(void)
{
    static const char *const paths[] = {
        "/proc/self/maps",      "/proc/self/status",      "/proc/self/exe",
        "/proc/cpuinfo",        "/proc/meminfo",          "/proc/devices",
        "/proc/modules",        "/proc/version",          "/proc/filesystems",
        "/proc/driver/nvidia",  "/proc/driver/nvidia-uvm", "/proc/sys/vm/mmap_min_addr",
        "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/bus/pci/devices",
        "/sys/module",          "/dev/nvidiactl",         "/dev/nvidia-uvm",
        "/dev/nvidia-uvm-tools", "/etc/nvidia"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT && errno != ENXIO)
            return missed(paths[i]);
        if (fd >= 0)
            close(fd);
    }
    return true;
}

bool driver_may_start(void)
{
    return thread_start() && socket_open() && memory_open() && facts_read();
}
