/*
 * main.c: start of module hostrun; hostrun.h says what it does.
 */
#include <microlake/log.h>
#include <microlake/thread.h>

#include "hostrun.h"
#include "uapi/kmod.h"

static struct hostrun_reader reader; /* the thread's */

static void reader_run(void *context)
{
    static uint8_t bytes[HOSTRUN_MAX_PAYLOAD]; /* the thread's */

    (void)context;
    line_send(HOSTRUN_HELLO, 0, NULL, 0);
    for (;;)
        hostrun_feed(&reader, bytes, line_receive(bytes, sizeof(bytes)), request_take, NULL);
}

static int hostrun_init(void)
{
    struct thread *t;
    int r = line_start();

    if (r == ERR_NOT_FOUND) {
        log_debug("hostrun: there is no third serial port");
        return OK;
    }
    if (r == OK)
        r = thread_create("hostrun", reader_run, NULL, &t);
    if (r == OK)
        thread_unref(t);
    return r;
}

/* Its threads serve the host until the machine ends. */
KMOD_MANIFEST(.name = "hostrun", .version = "0.1.0", .needs = "linux", .init = hostrun_init,
              .exit = NULL);
