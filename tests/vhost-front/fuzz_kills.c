/*
 * fuzz_kills.c: see fuzz.h. A device process or a front is killed while requests and submissions of all kinds are in
 * work: each chain is given back once, each request has a status, and after a reset all is as ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <string.h>
#include <time.h>
#include "fuzz.h"

#define POSTED      6u           /* requests in work at the kill */
#define REQUEST_ROOM (64u << 10) /* what is longer is left out */
#define LATE_MS     5000u
#define APART_S     1.2          /* from one front's death to the next: a keeper has its limit */

unsigned kills_of_fronts, kills_lost;

static struct {
    uint32_t bytes;
    _Alignas(8) uint8_t request[REQUEST_ROOM];
} posted[POSTED];

static struct vgpgpu_reply *reply_of(unsigned which)
{
    return front_at(fuzz.rig.front, fuzz.rig.front->request_guest + which * VGPGPU_PAGE);
}

static void request_put(unsigned which)
{
    static _Alignas(8) uint8_t request[FUZZ_REQUEST_BYTES];
    struct front *front = fuzz.rig.front;
    uint64_t guest = front->request_guest + FUZZ_REQUEST_OFFSET + which * REQUEST_ROOM;
    size_t bytes = control_make(request);
    if (bytes > REQUEST_ROOM)
        bytes = sizeof(struct vgpgpu_request);
    posted[which].bytes = (uint32_t)bytes;
    memcpy(posted[which].request, request, bytes);
    memcpy(front_at(front, guest), request, bytes);
    reply_of(which)->status = UINT32_MAX;
    struct front_part parts[2] = {{guest, (uint32_t)bytes, false},
                                  {front->request_guest + which * VGPGPU_PAGE, VGPGPU_PAGE, true}};
    front_post(front, VGPGPU_QUEUE_CONTROL, parts, 2);
}

/* Requests in order, each with its answer; those of a former front's contexts nobody follows. */
static void answers_check(bool front_died)
{
    for (unsigned i = 0; i < POSTED; i++) {
        uint32_t status = reply_of(i)->status;
        assert_true(status <= VGPGPU_ERR_TIMEOUT);
        if (!front_died)
            model_check(posted[i].request, posted[i].bytes, status);
    }
}

void kill_step(void)
{
    static double last = -APART_S;
    bool front_dies = one_in(2) && rig_seconds() - last > APART_S;
    unsigned gone = rig_log_count("the device process is gone");
    for (unsigned i = 0; i < 20; i++)
        submit_step();
    for (unsigned i = 0; i < POSTED; i++)
        request_put(i);
    nanosleep(&(struct timespec){.tv_nsec = random_below(one_in(4) ? 2000000 : 150000)}, NULL);
    bool killed = rig_kill(front_dies ? "gpud-front" : "gpud-device");
    if (front_dies) {
        kills_of_fronts += killed;
        last = rig_seconds();
    }
    fuzz.lossy = true;
    ring_settle(VGPGPU_QUEUE_CONTROL);
    ring_settle(VGPGPU_QUEUE_SUBMIT);
    answers_check(front_dies);
    for (unsigned i = 0; i < 60 && !front_dies; i++)
        one_in(2) ? control_step() : submit_step();
    fuzz.lossy = false;
    machine_start_over();
    if (killed && !front_dies) /* the front may not have looked yet, if the process was a context's own */
        for (unsigned waited = 0; rig_log_count("the device process is gone") == gone && waited < LATE_MS; waited += 10)
            poll(NULL, 0, 10);
    kills_lost += rig_log_count("the device process is gone") - gone;
}
