/*
 * gpu.c: finds a gpud, or starts one for this machine and waits until it is ready.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gpu.h"
#include "locate.h"
#include "message.h"

/* The first use of an OpenCL device may compile its built-in library. */
#define READY_MS 30000
#define ANSWER_MS 5000
#define GRACE_MS 1000

static bool folder_make(struct gpu *gpu)
{
    const char *base = getenv("TMPDIR");
    /* A socket's path is at most 107 bytes long. */
    if (!base || !*base || strlen(base) > sizeof(gpu->folder) - 16)
        base = "/tmp";
    snprintf(gpu->folder, sizeof(gpu->folder), "%s/malv-XXXXXX", base);
    if (!mkdtemp(gpu->folder)) {
        message("can't make a temporary folder in %s", base);
        gpu->folder[0] = '\0';
        return false;
    }
    snprintf(gpu->socket, sizeof(gpu->socket), "%s/gpu.sock", gpu->folder);
    return true;
}

enum readiness { READY, DIED, TOO_SLOW, CANCELLED };

/* gpud writes to its ready descriptor; the end of file comes when it has died. */
static enum readiness ready_wait(struct child *gpud, int ready_fd, int cancel_fd)
{
    struct pollfd fds[] = {{.fd = ready_fd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
    char byte;
    if (poll(fds, 2, READY_MS) == 0)
        return TOO_SLOW;
    if (fds[0].revents)
        return read(ready_fd, &byte, 1) == 1 ? READY : DIED;
    /* The signal may be the one that says that gpud has ended. */
    return child_ended(gpud) ? DIED : CANCELLED;
}

/* Asks for the features, as a vhost-user front end does first. False, with errno: it is no gpud. */
static bool gpud_answers(int fd)
{
    static const uint32_t question[] = {1 /* GET_FEATURES */, 1 /* version */, 0 /* no payload */};
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    uint32_t answer[5] = {0};
    if (send(fd, question, sizeof(question), MSG_NOSIGNAL) != sizeof(question))
        return false;
    if (poll(&ready, 1, ANSWER_MS) != 1) {
        errno = ETIMEDOUT;
        return false;
    }
    if (recv(fd, answer, sizeof(answer), MSG_WAITALL) == sizeof(answer) && answer[0] == question[0])
        return true;
    errno = EPROTO;
    return false;
}

static bool socket_connects(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(address.sun_path, path);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

/* Connects QEMU's end of the device, which is this side's too: it hangs up when nobody serves the device any more.
 * False, with errno. */
static bool line_connect(struct gpu *gpu, const char *path)
{
    gpu->line_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return gpu->line_fd >= 0 && socket_connects(gpu->line_fd, path);
}

enum finding { FOUND, NOT_THERE, WRONG };

static enum finding gpu_find(struct gpu *gpu)
{
    const char *wanted = getenv("GPUD_SOCKET");
    const char *path = wanted && *wanted ? wanted : GPU_SHARED_SOCKET;
    if (line_connect(gpu, path) && gpud_answers(gpu->line_fd))
        return FOUND;
    int why = errno;
    gpu_line_close(gpu);
    if (path != wanted)
        return NOT_THERE;
    message("nobody serves a GPU at %s, which GPUD_SOCKET names: %s", path, strerror(why));
    return WRONG;
}

/* Who is connected needs them no more. */
static void gpu_hide(struct gpu *gpu)
{
    if (!gpu->folder[0])
        return;
    unlink(gpu->socket);
    rmdir(gpu->folder);
    gpu->folder[0] = '\0';
}

static bool gpu_start_own(struct gpu *gpu, const char *device, int cancel_fd)
{
    static char program[PATH_MAX];
    char number[16];
    int ready[2];
    if (!locate_beside("gpud", program) || access(program, X_OK)) {
        message("%s is missing; `make` builds it, --gpu off runs without a GPU", program);
        return false;
    }
    if (!folder_make(gpu) || pipe2(ready, O_CLOEXEC))
        return false;
    snprintf(number, sizeof(number), "%d", ready[1]);
    char *words[] = {program,      "--socket", gpu->socket, "--device", (char *)(uintptr_t)device,
                     "--ready-fd", number,     NULL};
    bool started = child_start(&gpu->gpud, words, &ready[1], 1, false);
    close(ready[1]);
    enum readiness result = started ? ready_wait(&gpu->gpud, ready[0], cancel_fd) : CANCELLED;
    close(ready[0]);
    if (result == READY && !line_connect(gpu, gpu->socket))
        result = DIED;
    gpu_hide(gpu);
    if (result == DIED) {
        child_end(&gpu->gpud, GRACE_MS);
        message("the GPU did not start, gpud's line above says why; --gpu off runs without one");
    }
    if (result == TOO_SLOW)
        message("gpud was not ready within %d s; --gpu off runs without a GPU", READY_MS / 1000);
    return result == READY;
}

bool gpu_start(struct gpu *gpu, const char *device, int cancel_fd)
{
    enum finding finding = strcmp(device, "auto") == 0 ? gpu_find(gpu) : NOT_THERE;
    return finding == NOT_THERE ? gpu_start_own(gpu, device, cancel_fd) : finding == FOUND;
}

void gpu_line_close(struct gpu *gpu)
{
    if (gpu->line_fd >= 0)
        close(gpu->line_fd);
    gpu->line_fd = -1;
}

void gpu_stop(struct gpu *gpu)
{
    gpu_line_close(gpu); /* with QEMU's, that is the machine's end to whoever served it */
    child_end(&gpu->gpud, GRACE_MS);
    gpu_hide(gpu);
}
