/*
 * notify.c: poll() on fences: of several queues, asleep and already signalled, taken back, closed while waited for.
 */
#include <poll.h>

#include "malvdev_test.h"

#define FOR_EVER UINT64_MAX
#define LONG     (200u << 20) /* rounds: some tenths of a second */

static int notify(int fd, uint32_t queue, uint64_t fence)
{
    struct malv_notify n = {.fence = fence, .queue = queue};

    return ioctl(fd, MALV_IOC_NOTIFY, &n);
}

/* What poll() says within so many ms; 0: nothing. */
static int polled(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, ms) == 1 ? p.revents : 0;
}

static void nonsense(int fd)
{
    struct malv_notify odd = {.reserved = 1};

    CHECK_ERRNO(ioctl(fd, MALV_IOC_NOTIFY, &odd), EINVAL);
    CHECK_ERRNO(notify(fd, 64, 0), EINVAL);
    CHECK_ERRNO(notify(fd, 3, 1), EINVAL); /* never submitted */
    CHECK(notify(fd, 3, 0) == 0);
    CHECK(polled(fd, 0) == 0);
}

void case_notify(void)
{
    struct alive before = alive_now();
    int fd = device_open();
    uint32_t kernel = kernel_build(fd, spin_source, "spin");
    uint32_t id = buffer_create(fd, 4096, VGPGPU_BUFFER_GUEST, NULL);
    uint64_t slow, later, quick = launch_submit(fd, kernel, id, 1, 1);

    CHECK(fence_wait(fd, 0, quick, FOR_EVER) == 0);
    CHECK(polled(fd, 0) == 0); /* nobody has asked */
    nonsense(fd);
    CHECK(notify(fd, 0, quick) == 0 && polled(fd, 0) == POLLIN); /* signalled long ago */
    CHECK(notify(fd, 0, 0) == 0 && polled(fd, 0) == 0);

    slow = launch_submit(fd, kernel, id, LONG, 1);
    CHECK(notify(fd, 0, slow) == 0 && polled(fd, 0) == 0);
    quick = fill_submit(fd, 5, id, 1); /* another queue beside it */
    CHECK(notify(fd, 5, quick) == 0 && polled(fd, -1) == POLLIN);
    CHECK(fence_wait(fd, 5, quick, 0) == 0);
    CHECK(notify(fd, 5, 0) == 0);
    CHECK(polled(fd, -1) == POLLIN && fence_wait(fd, 0, slow, 0) == 0);
    CHECK(polled(fd, 0) == POLLIN); /* until another one is asked for */

    slow = launch_submit(fd, kernel, id, LONG, 1);
    later = launch_submit(fd, kernel, id, LONG, 1);
    CHECK(notify(fd, 0, slow) == 0 && notify(fd, 0, later) == 0);
    CHECK(polled(fd, -1) == POLLIN && fence_wait(fd, 0, later, 0) == 0);

    slow = launch_submit(fd, kernel, id, LONG, 1);
    CHECK(notify(fd, 0, slow) == 0);
    close(fd); /* nobody hears of it any more */
    alive_check(&before);
}
