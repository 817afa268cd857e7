/*
 * poison_test.c: a request that gpud's front dies of costs the machine its contexts, not its device: two fronts
 * die with it, then it is refused, and one that a front cannot even read is given back. The gpud here has such faults.
 *
 *     gpud_poison [MACHINES [SEED]]      GPUD: another gpud than build/tests/gpud-fragile
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "tests/gpud-variants/fragile.h"

#define EMPTY       UINT32_MAX /* a reply's status: there was none */
#define WAIT_MS     60000
#define CHAINS      16u
#define CHAIN_BYTES 256u
#define CONTEXTS    8u
#define POISONS     5u /* of a machine: three deaths each, and a keeper bears 15 at a time */

static unsigned long machines = 12;
struct fuzz fuzz; /* not used here */

static unsigned deaths(void)
{
    return rig_log_count("its front was ended by signal 6");
}

/* The lost context ends; a new one works. */
static void machine_works(struct rig *rig)
{
    assert_int_equal(front_context_destroy(rig->front, 1), 0);
    assert_int_equal(front_context_create(rig->front, 1, rig->fence_guest), 0);
    memset(rig->fences, 0, sizeof(rig->fences));
    rig_batch(rig);
    assert_int_equal(rig_run(rig, 0), 0);
}

static void test_requests(void **state)
{
    static const struct {
        uint32_t type, status;
        unsigned deaths;
    } cases[] = {
        {VGPGPU_CONTEXT_CREATE, VGPGPU_ERR_LOST, 2},
        {VGPGPU_CONTEXT_DESTROY, VGPGPU_ERR_LOST, 2},
        {VGPGPU_BUFFER_CREATE, VGPGPU_ERR_LOST, 2},
        {FRAGILE_READ, EMPTY, 3},
    };
    struct rig rig;
    (void)state;
    rig_open(&rig);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct vgpgpu_buffer_create request = {
            .header = {.type = cases[i].type, .context = 1, .object = FRAGILE_OBJECT}};
        unsigned before = deaths();
        assert_int_equal(front_request(rig.front, &request, sizeof(request), NULL, NULL, 0), cases[i].status);
        assert_int_equal(deaths() - before, cases[i].deaths);
        machine_works(&rig);
    }
    assert_int_equal(rig_log_count("which 2 fronts have died with, is refused"), 3);
    rig_close(&rig);
}

/* Its chain comes back; what else was submitted has its fence. */
static void test_submission(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    const struct vgpgpu_submit wrong = {.context = FRAGILE_READ};
    unsigned before = deaths();
    rig_batch(&rig);
    rig_submit(&rig, 3);
    front_submit_raw(rig.front, &wrong, sizeof(wrong));
    rig_submit(&rig, 3);
    assert_int_equal(front_wait(rig.front, &rig.slots[3], rig.fences[3], 50, WAIT_MS), 0);
    for (uint16_t head; rig.front->queues[VGPGPU_QUEUE_SUBMIT].free_count < FRONT_QUEUE_SIZE;)
        assert_true(front_take(rig.front, VGPGPU_QUEUE_SUBMIT, WAIT_MS, &head, &(uint32_t){0}));
    assert_int_equal(deaths() - before, 3);
    assert_true(rig_log_has("a submission that 2 fronts have died with is refused"));
    machine_works(&rig);
    rig_close(&rig);
}

/* ---- Any requests, with such ones among them */

struct posted {
    bool fatal, unreadable;
    uint32_t bytes;
    uint16_t head; /* of its chain */
    const struct vgpgpu_reply *reply;
};

/* At most `*poisons` are fatal. */
static void request_make(struct vgpgpu_buffer_create *request, uint64_t fence_page, struct posted *posted,
                         unsigned *poisons)
{
    static const uint32_t types[] = {VGPGPU_CONTEXT_CREATE, VGPGPU_CONTEXT_DESTROY, VGPGPU_BUFFER_CREATE,
                                     VGPGPU_BUFFER_DESTROY};
    uint32_t kind = random_below(4), context = 2 + random_below(CONTEXTS);
    *posted = (struct posted){.fatal = *poisons && one_in(10), .bytes = kind == 2 ? 32 : kind ? 16 : 24};
    posted->unreadable = posted->fatal && one_in(3);
    posted->fatal &= posted->unreadable || kind != 3;
    *poisons -= posted->fatal;
    *request = (struct vgpgpu_buffer_create){.header = {.type = types[kind], .context = context}};
    if (kind == 0)
        ((struct vgpgpu_context_create *)(void *)request)->fence_page = fence_page + context * VGPGPU_PAGE;
    if (kind > 1)
        request->header.object = 1 + random_below(4);
    if (kind == 2) {
        request->size = VGPGPU_PAGE;
        request->flags = VGPGPU_BUFFER_DEVICE;
    }
    if (posted->unreadable)
        request->header.type = FRAGILE_READ;
    else if (posted->fatal)
        request->header.object = FRAGILE_OBJECT;
}

static void reply_check(const struct posted *posted, uint32_t written)
{
    if (posted->unreadable)
        assert_int_equal(written, 0);
    else if (posted->fatal)
        assert_int_equal(posted->reply->status, VGPGPU_ERR_LOST);
    else
        assert_true(written >= sizeof(*posted->reply) && posted->reply->status <= VGPGPU_ERR_TIMEOUT);
}

/* Several at once: each is answered once. */
static void requests_round(struct rig *rig, uint64_t room, uint64_t fence_page, unsigned *poisons)
{
    struct posted posted[CHAINS];
    for (unsigned i = 0; i < CHAINS; i++) {
        uint64_t guest = room + i * CHAIN_BYTES, reply = guest + CHAIN_BYTES / 2;
        request_make(front_at(rig->front, guest), fence_page, &posted[i], poisons);
        memset(front_at(rig->front, reply), 0xff, sizeof(struct vgpgpu_reply));
        posted[i].reply = front_at(rig->front, reply);
        const struct front_part parts[2] = {{guest, posted[i].bytes, false},
                                            {reply, sizeof(struct vgpgpu_reply), true}};
        posted[i].head = front_post(rig->front, VGPGPU_QUEUE_CONTROL, parts, 2);
    }
    for (unsigned answers = 0; answers < CHAINS; answers++) {
        uint16_t head;
        uint32_t written;
        unsigned i = 0;
        assert_true(front_take(rig->front, VGPGPU_QUEUE_CONTROL, WAIT_MS, &head, &written));
        while (i < CHAINS && posted[i].head != head)
            i++;
        assert_true(i < CHAINS);
        reply_check(&posted[i], written);
        posted[i].head = UINT16_MAX;
    }
}

static void test_any_requests(void **state)
{
    unsigned fatal = 0;
    (void)state;
    for (unsigned long machine = 0; machine < machines; machine++) {
        struct rig rig;
        unsigned poisons = POISONS;
        rig_open(&rig);
        uint64_t room = front_pages(rig.front, 1), fence_pages = front_pages(rig.front, 2 + CONTEXTS);
        for (unsigned round = 0; round < 20 && poisons; round++)
            requests_round(&rig, room, fence_pages, &poisons);
        machine_works(&rig);
        rig_close(&rig);
        fatal += POISONS - poisons;
    }
    print_message("%lu machines, %u requests that fronts died of, %u fronts\n", machines, fatal, deaths());
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_submission),
        cmocka_unit_test(test_any_requests),
    };
    rig_arguments(argc, argv, "MACHINES", &machines, &fuzz_seed);
    setenv("GPUD", "build/tests/gpud-fragile", 0);
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
