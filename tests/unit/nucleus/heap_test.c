/*
 * heap_test.c: the kernel heap over the real frame allocator, against a model of who owns what;
 * that everything comes back; and that a free which must not be ends in a panic.
 */
#include "frame_rig.h"

#include "kernel/mm/heap.c"

#define OBJECTS_MAX 6000
#define STEPS       100000
#define LARGEST     (PAGE_SIZE << HEAP_MAX_ORDER)

struct object {
    uint8_t *p;
    size_t size;
    uint8_t fill;
};

static struct object objects[OBJECTS_MAX];
static unsigned object_count;
static uint64_t model_bytes; /* rounded to what the heap says it rounds to */

static int setup(void **state)
{
    (void)state;
    memset(classes, 0, sizeof(classes));
    memset(magazines, 0, sizeof(magazines));
    live_bytes = 0;
    ready = false;
    object_count = 0;
    model_bytes = 0;
    log_forget();
    rig_start(&rig_layouts[0], 2, 0);
    return 0;
}

/* Empties the magazines, as if their CPUs had freed much more. */
static void magazines_drain(void)
{
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        for (unsigned c = 0; c < CLASSES; c++) {
            struct magazine *m = &magazines[cpu][c];
            struct magazine one = {0};

            while (m->count) { /* a drain leaves half of what is full */
                unsigned n = MIN(m->count, MAGAZINE_SIZE / 2u);

                one.count = MAGAZINE_SIZE / 2 + n;
                m->count -= n;
                memcpy(one.objects + MAGAZINE_SIZE / 2, m->objects + m->count, n * sizeof(void *));
                magazine_drain(&one, c);
            }
        }
    }
}

/* Nothing is in use any more, and nothing is lost. */
static int teardown(void **state)
{
    (void)state;
    assert_int_equal(heap_bytes(), 0);
    magazines_drain();
    for (unsigned c = 0; ready && c < CLASSES; c++)
        assert_true(list_empty(&classes[c].partial));
    rig_drain();
    rig_check_whole();
    rig_stop();
    return 0;
}

/* ---- the model --------------------------------------------------------------------------------
 */

static size_t size_rounded(size_t size)
{
    size_t rounded = PAGE_SIZE;

    for (unsigned c = 0; c < CLASSES; c++)
        if (size <= class_sizes[c])
            return class_sizes[c];
    while (rounded < size)
        rounded *= 2;
    return rounded;
}

static bool memory_is(const uint8_t *p, size_t size, uint8_t byte)
{
    return !size || (p[0] == byte && !memcmp(p, p + 1, size - 1));
}

static void object_add(uint8_t *p, size_t size)
{
    struct object *o = &objects[object_count++];

    assert_non_null(p);
    assert_int_equal((uint64_t)p % 16, 0);
    if (size > PAGE_SIZE / 2)
        assert_int_equal((uint64_t)p % PAGE_SIZE, 0);
    *o = (struct object){p, size, (uint8_t)random_below(256)};
    memset(p, o->fill, size);
    model_bytes += size_rounded(size);
}

/* Another object's bytes in it would show here. */
static void object_free(unsigned i)
{
    struct object o = objects[i];

    if (!memory_is(o.p, o.size, o.fill))
        fail_msg("%zu bytes at %p have changed", o.size, (void *)o.p);
    model_bytes -= size_rounded(o.size);
    objects[i] = objects[--object_count];
    kfree(o.p);
}

static size_t size_random(void)
{
    switch (random_below(16)) {
    case 0:
        return random_below(4) ? random_below(64 * 1024) : random_below(1 << 20);
    case 1:
    case 2:
        return class_sizes[random_below(CLASSES)];
    case 3:
    case 4:
        return random_below(2049);
    default:
        return random_below(200);
    }
}

static void step_alloc(void)
{
    size_t size = size_random();
    uint8_t *p = random_below(4) ? kmalloc(size) : kzalloc(size);

    if (p)
        object_add(p, size);
}

static void test_random_operations(void **state)
{
    (void)state;
    random_seed(1);
    for (unsigned step = 0; step < STEPS; step++) {
        bool growing = step / 10000 % 2 == 0;

        cpu_run_on((unsigned)random_below(cpu_count()));
        if (object_count < OBJECTS_MAX && (!object_count || random_below(20) < (growing ? 11 : 9)))
            step_alloc();
        else
            object_free((unsigned)random_below(object_count));
        assert_int_equal(heap_bytes(), model_bytes);
        if (step % 10000 == 0)
            rig_check();
    }
    while (object_count)
        object_free((unsigned)random_below(object_count));
}

/* ---- sizes ------------------------------------------------------------------------------------
 */

static void test_all_sizes(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 2100; size++)
        object_add(kmalloc(size), size);
    while (object_count)
        object_free(0);
    for (unsigned order = 0; order <= HEAP_MAX_ORDER; order++) {
        for (int more = -1; more <= 1; more++) {
            size_t size = (PAGE_SIZE << order) + (size_t)more;

            if (size > LARGEST)
                break;
            object_add(kmalloc(size), size);
            object_free(0);
        }
    }
    /* By way of a variable, so that the compiler does not see these sizes. */
    for (volatile size_t size = LARGEST + 1; size; size = size << 1 | 1) {
        assert_null(kmalloc(size));
        assert_null(kzalloc(size));
        if (size == SIZE_MAX)
            break;
    }
}

static void test_zeroed(void **state)
{
    static const size_t sizes[] = {1, 16, 17, 100, 2048, 2049, 10000, 300000};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint8_t *p = kmalloc(sizes[i]);

        memset(p, 0xff, sizes[i]);
        kfree(p);
        assert_ptr_equal(kzalloc(sizes[i]), p); /* what was freed last is used first */
        assert_true(memory_is(p, sizes[i], 0));
        kfree(p);
    }
}

static void test_strings(void **state)
{
    char text[3000];
    char *copy;

    (void)state;
    for (unsigned length = 0; length < sizeof(text); length += 37) {
        memset(text, 'x', length);
        text[length] = '\0';
        copy = kstrdup(text);
        assert_ptr_not_equal(copy, text);
        assert_string_equal(copy, text);
        kfree(copy);
    }
    kfree(NULL);
}

/* ---- exhaustion -------------------------------------------------------------------------------
 */

static void test_exhaustion(void **state)
{
    static const size_t sizes[] = {16, 200, 512, 1500, 2048, 4096, 70000};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        void *first = NULL, **p;
        unsigned count = 0;

        while ((p = kmalloc(sizes[i]))) { /* a list through the objects */
            *p = first;
            first = p;
            count++;
        }
        assert_true(count * size_rounded(sizes[i]) > rig_managed_count() * PAGE_SIZE * 9 / 10);
        assert_null(kmalloc(sizes[i]));
        assert_int_equal(heap_bytes(), count * size_rounded(sizes[i]));
        for (; first; first = p) {
            p = *(void **)first;
            kfree(first);
        }
        magazines_drain();
    }
    assert_int_equal(rig_reclaims, 0); /* any context: it must not wait for reclaim */
}

static void test_injected_failures(void **state)
{
    (void)state;
    for (unsigned nth = 1; nth <= 3; nth++) {
        void *p;

        running_cpu->current->fail_allocation = nth;
        p = kmalloc(700);
        assert_int_equal(!p,
                         nth <= 2); /* of the heap's own, of the frame for its slab; of the next */
        running_cpu->current->fail_allocation = 0;
        kfree(p);
        magazines_drain();
    }
}

/* ---- what must not be freed -------------------------------------------------------------------
 */

static void give(uint64_t p, uint64_t unused)
{
    (void)unused;
    kfree((void *)p);
}

static void assert_bad(const char *part, void *p, long offset)
{
    assert_panics(part, give, (uint64_t)p + (uint64_t)offset, 0);
}

static void test_double_free(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CLASSES; c++) {
        void *p = kmalloc(class_sizes[c]), *beside = kmalloc(class_sizes[c]);

        kfree(p);
        assert_bad("twice", p, 0);
        cpu_run_on(1);
        assert_bad("twice", p, 0);
        magazines_drain();
        assert_bad("twice", p, 0); /* it is back in its slab, which `beside` keeps */
        kfree(beside);
        magazines_drain();
        assert_bad("did not give", p, 0); /* the slab is gone */
        cpu_run_on(0);
    }
    for (unsigned order = 0; order <= HEAP_MAX_ORDER; order++) {
        void *p = kmalloc(PAGE_SIZE << order);

        kfree(p);
        assert_bad("did not give", p, 0);
    }
}

/* The order of frees is anybody's: one object freed out of turn is not a double free. */
static void test_out_of_order(void **state)
{
    void *p[40];

    (void)state;
    for (unsigned i = 0; i < 40; i++)
        p[i] = kmalloc(96);
    for (unsigned i = 0; i < 40; i += 2)
        kfree(p[i]);
    for (unsigned i = 0; i < 40; i++) {
        if (i % 2)
            kfree(p[i]);
        else
            assert_bad("twice", p[i], 0);
    }
}

static void test_wild_free(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CLASSES; c++) {
        uint8_t *p = kmalloc(class_sizes[c]);
        unsigned found;
        struct slab *s = slab_of(p, &found);

        assert_int_equal(found, c);
        assert_bad("did not give", p, 1);
        assert_bad("did not give", p, 8);
        assert_bad("did not give", s, 0);
        if (class_sizes[c] <= SLAB_HEADER)
            assert_bad("did not give", s, SLAB_HEADER - class_sizes[c]);
        /* Behind the last object there may be room that looks like one more. */
        if ((uint64_t)s + (PAGE_SIZE << slab_order(c)) >
            (uint64_t)s + SLAB_HEADER + s->capacity * class_sizes[c])
            assert_bad("did not give", s, SLAB_HEADER + (long)s->capacity * class_sizes[c]);
        /* Never handed out: the last of the slab. */
        assert_bad("twice", s, SLAB_HEADER + (long)(s->capacity - 1) * class_sizes[c]);
        kfree(p);
    }
}

static void test_foreign_free(void **state)
{
    uint8_t *large = kmalloc(5 * PAGE_SIZE), *frame = phys_to_virt(frame_alloc(1, 0));

    (void)state;
    assert_bad("did not give", large, 16);
    assert_bad("did not give", large, PAGE_SIZE);
    assert_bad("did not give", frame, 0);
    assert_bad("did not give", &large, 0); /* not in the direct map */
    assert_bad("did not give", (void *)16, 0);
    assert_bad("did not give", large, 1l << 44); /* frame numbers have 32 bits */
    assert_bad("did not give", (void *)direct_map, 0);
    kfree(large);
    frame_free(virt_to_phys(frame), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_random_operations), CASE(test_all_sizes),    CASE(test_zeroed),
        CASE(test_strings),           CASE(test_exhaustion),   CASE(test_injected_failures),
        CASE(test_double_free),       CASE(test_out_of_order), CASE(test_wild_free),
        CASE(test_foreign_free),
    };

    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
