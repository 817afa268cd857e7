/*
 * tty_test.c: the line discipline and the queue of bytes, with random bytes, settings and readers,
 * under the sanitizers. What each key does is t_terminals' business, which runs on Linux too.
 *
 * Called as PROGRAM [SEED [ITERATIONS]].
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "modules/linux/tty/bytes.h"
#include "modules/linux/tty/line.h"
#include "tests/fuzz/fuzz.h"

#define LIMIT 5000u

static struct fuzz_plan plan;

/* What the code gets of the kernel. */
void *kmalloc(size_t size);
void *kzalloc(size_t size);
void kfree(void *p);

void *kmalloc(size_t size)
{
    return malloc(size);
}

void *kzalloc(size_t size)
{
    return calloc(1, size);
}

void kfree(void *p)
{
    free(p);
}

/* What came out of a line's port. */
struct seen {
    struct line *line;
    uint64_t echoed; /* the sum of its bytes */
    unsigned signals, stops;
};

static void see_echo(void *context, const uint8_t *bytes, size_t count)
{
    struct seen *seen = context;

    assert_true(count <= LINE_COOKED_MAX);
    for (size_t i = 0; i < count; i++)
        seen->echoed += bytes[i]; /* touched: the sanitizer looks */
}

static void see_signal(void *context, int signal)
{
    struct seen *seen = context;

    assert_true(signal == 2 || signal == 3 || signal == 20);
    assert_true(seen->line->termios.local & LINUX_ISIG);
    seen->signals++;
}

static void see_stop(void *context, bool stop)
{
    struct seen *seen = context;

    seen->line->stopped = stop;
    seen->stops++;
}

static void line_check(const struct line *l)
{
    uint32_t count = l->head - l->tail;

    assert_true(count <= LINE_SIZE);
    assert_true(l->done - l->tail <= count);
    assert_true(line_count(l) <= count);
}

/* Mostly text, often keys that mean something. */
static uint8_t byte_random(void)
{
    static const uint8_t keys[] = "\003\034\177\025\004\021\023\032\022\027\026\n\r\t\b\xff";

    switch (fuzz_below(4)) {
    case 0:
        return keys[fuzz_below(sizeof(keys) - 1)];
    case 1:
        return (uint8_t)fuzz_next();
    default:
        return (uint8_t)('a' + fuzz_below(26));
    }
}

static void settings_random(struct line *l)
{
    struct linux_termios t = l->termios;

    t.input ^= (uint32_t)(fuzz_next() & fuzz_next());
    t.output ^= (uint32_t)(fuzz_next() & fuzz_next());
    t.local ^= (uint32_t)(fuzz_next() & fuzz_next());
    if (fuzz_below(4) == 0)
        t.chars[fuzz_below(LINUX_TERMIOS_CHARS)] = (uint8_t)fuzz_next();
    line_set_termios(l, &t);
}

/* What one read takes is counted before, and with ICANON it is a part of one line. */
static void take_random(struct line *l)
{
    uint8_t out[300];
    size_t size = 1 + fuzz_below(sizeof(out)), n;
    uint32_t before = line_count(l);
    bool ended, ready = line_ready(l, 1), canonical = l->termios.local & LINUX_ICANON;

    n = line_take(l, out, size, &ended);
    assert_true(n <= size && line_count(l) == before - n);
    assert_true(ready || (n == 0 && !ended));
    if (!canonical)
        assert_true(n == MIN(size, before) && !ended);
    else if (ready)
        assert_true(ended || n == size);
}

static void step_random(struct line *l, const struct line_port *port)
{
    uint8_t bytes[600], out[64];
    size_t count = 1 + fuzz_below(sizeof(bytes)), used;

    for (size_t i = 0; i < count; i++)
        bytes[i] = byte_random();
    switch (fuzz_below(8)) {
    case 0:
        settings_random(l);
        break;
    case 1:
        assert_true(line_cook(l, bytes, count, out, sizeof(out), &used) <= sizeof(out));
        assert_true(used <= count && used > 0);
        break;
    case 2:
    case 3:
    case 4:
        take_random(l);
        break;
    case 5:
        if (fuzz_below(16) == 0)
            line_flush(l);
        break;
    default:
        assert_true(line_receive(l, bytes, count, port) <= count);
    }
    line_check(l);
}

static void test_random_use(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < plan.iterations; i++) {
        struct line l;
        struct seen seen = {.line = &l};
        const struct line_port port = {see_echo, see_signal, see_stop, &seen};

        fuzz_seed(plan.seed, i);
        assert_int_equal(line_init(&l), 0);
        for (unsigned step = 0; step < 200; step++)
            step_random(&l, &port);
        line_free(&l);
    }
}

/* A raw line is a pipe: what goes in comes out. */
static void test_raw_is_exact(void **state)
{
    struct seen seen;
    struct line l;
    const struct line_port port = {see_echo, see_signal, see_stop, &seen};
    struct linux_termios raw;
    uint64_t in = 0, out = 0;

    (void)state;
    assert_int_equal(line_init(&l), 0);
    raw = l.termios;
    raw.input = raw.output = raw.local = 0;
    line_set_termios(&l, &raw);
    fuzz_seed(plan.seed, 0);
    while (out < 200000) {
        uint8_t bytes[700];
        size_t n = fuzz_below(sizeof(bytes));
        bool ended;

        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)((in + i) * 31);
        in += line_receive(&l, bytes, n, &port);
        n = line_take(&l, bytes, 1 + fuzz_below(sizeof(bytes)), &ended);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], (uint8_t)((out + i) * 31));
        out += n;
    }
    line_free(&l);
}

/* However full it gets, a line can be ended, erased and read. */
static void test_full_line_can_end(void **state)
{
    struct seen seen = {0};
    struct line l;
    const struct line_port port = {see_echo, see_signal, see_stop, &seen};
    uint8_t bytes[2 * LINE_SIZE];
    bool ended;

    (void)state;
    seen.line = &l;
    assert_int_equal(line_init(&l), 0);
    memset(bytes, 'x', sizeof(bytes));
    assert_int_equal(line_receive(&l, bytes, sizeof(bytes), &port), sizeof(bytes));
    assert_false(line_ready(&l, 1));
    assert_int_equal(line_receive(&l, (const uint8_t *)"\177\177yz\n", 5, &port), 5);
    assert_int_equal(line_receive(&l, bytes, 1, &port), 0);
    assert_int_equal(line_take(&l, bytes, sizeof(bytes), &ended), LINE_SIZE);
    assert_true(ended && bytes[LINE_SIZE - 1] == '\n' && bytes[LINE_SIZE - 2] == 'z');
    assert_int_equal(line_receive(&l, bytes, 1, &port), 1);
    line_free(&l);
}

static void test_queue_is_a_queue(void **state)
{
    struct byte_queue q;
    uint64_t in = 0, out = 0;

    (void)state;
    byte_queue_init(&q);
    fuzz_seed(plan.seed, 1);
    while (out < 300000) {
        uint8_t bytes[3000];
        size_t n = fuzz_below(sizeof(bytes)), count, there = byte_queue_count(&q);
        const uint8_t *from;

        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)((in + i) * 7);
        count = byte_queue_put(&q, bytes, n, LIMIT);
        assert_int_equal(count, MIN(n, LIMIT - there));
        in += count;
        while (fuzz_below(4) && (from = byte_queue_peek(&q, &count))) {
            count = 1 + fuzz_below(count);
            for (size_t i = 0; i < count; i++)
                assert_int_equal(from[i], (uint8_t)((out + i) * 7));
            byte_queue_drop(&q, count);
            out += count;
        }
        assert_int_equal(byte_queue_count(&q), in - out);
    }
    byte_queue_clear(&q);
    assert_int_equal(byte_queue_count(&q), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_use),
        cmocka_unit_test(test_raw_is_exact),
        cmocka_unit_test(test_full_line_can_end),
        cmocka_unit_test(test_queue_is_a_queue),
    };

    plan = fuzz_plan_read(argc, argv, 300);
    return cmocka_run_group_tests_name("tty", tests, NULL, NULL);
}
