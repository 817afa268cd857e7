/*
 * open_test.c: the loader on good, cut, damaged and hostile files.
 */
#include "tests/unit/mlrt/samples.h"

/* A forest, a scale, a dense layer and neighbours: everything that the loader looks into. */
static void chain_make(struct arena *arena, struct chain *chain)
{
    random_seed(3);
    chain->inputs = 5;
    add_forest(arena, chain, 3, 4, true);
    add_scale(arena, chain, MLRT_RELU);
    add_dense(arena, chain, 4, MLRT_TANH);
    add_nearest(arena, chain, 2, 9, 3, false, false);
}

static struct packed file_make(struct arena *arena, bool integer)
{
    static struct chain chain;
    float in[5] = {1, 2, 3, 4, 5};
    memset(&chain, 0, sizeof(chain));
    chain_make(arena, &chain);
    return integer ? pack_integer_or_fail(arena, &chain, &(struct samples){in, 1, 1}, 16)
                   : pack_or_fail(arena, &chain);
}

static int status_of(const struct packed *packed, size_t size)
{
    struct mlrt_model model;
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, packed->bytes, size);
    int status = mlrt_open(&model, exact, size, MLRT_SCALAR);
    free(exact);
    return status;
}

static void test_every_truncation_is_refused(void **state)
{
    struct arena arena = {0};
    (void)state;
    struct packed packed = file_make(&arena, false);
    for (size_t size = 0; size < packed.size; size++) {
        assert_int_equal(status_of(&packed, size), size < 4 ? MLRT_NOT_ONE : MLRT_TRUNCATED);
    }
    assert_int_equal(status_of(&packed, packed.size), MLRT_OK);
    arena_free(&arena);
}

static void test_every_damaged_byte_is_noticed(void **state)
{
    struct arena arena = {0};
    (void)state;
    struct packed packed = file_make(&arena, true);
    for (size_t at = 0; at < packed.size; at++) {
        packed.bytes[at] ^= 0x10;
        assert_int_not_equal(status_of(&packed, packed.size), MLRT_OK);
        packed.bytes[at] ^= 0x10;
    }
    arena_free(&arena);
}

static void test_header_errors_are_told_apart(void **state)
{
    struct arena arena = {0};
    struct mlrt_model model;
    (void)state;
    struct packed packed = file_make(&arena, false);
    struct mlrt_header *header = (struct mlrt_header *)packed.bytes;
    header->magic++;
    assert_int_equal(status_of(&packed, packed.size), MLRT_NOT_ONE);
    header->magic--;
    header->version++;
    assert_int_equal(status_of(&packed, packed.size), MLRT_VERSION_NEW);
    header->version--;
    packed.bytes[packed.size - 1] ^= 1;
    assert_int_equal(status_of(&packed, packed.size), MLRT_CHECKSUM);
    packed.bytes[packed.size - 1] ^= 1;
    assert_int_equal(mlrt_open(&model, packed.bytes + 1, packed.size, MLRT_SCALAR), MLRT_ALIGNMENT);
    assert_int_equal(mlrt_open(&model, packed.bytes, packed.size, (enum mlrt_path)9), MLRT_NO_PATH);
    arena_free(&arena);
}

static struct mlrt_layer *layers_of(const struct packed *packed)
{
    return (struct mlrt_layer *)(packed->bytes + sizeof(struct mlrt_header));
}

static struct mlrt_header *header_of(const struct packed *packed)
{
    return (struct mlrt_header *)packed->bytes;
}

typedef void (*spoiler)(const struct packed *packed);

static void spoil_no_layers(const struct packed *p)
{
    header_of(p)->layer_count = 0;
}

static void spoil_many_layers(const struct packed *p)
{
    header_of(p)->layer_count = UINT32_MAX;
}

static void spoil_inputs(const struct packed *p)
{
    header_of(p)->inputs++;
}

static void spoil_outputs(const struct packed *p)
{
    header_of(p)->outputs--;
}

static void spoil_number_kind(const struct packed *p)
{
    header_of(p)->integer ^= 1;
}

static void spoil_fraction(const struct packed *p)
{
    header_of(p)->input_fraction = 25;
}

static void spoil_name(const struct packed *p)
{
    memset(header_of(p)->name, 'x', MLRT_NAME_BYTES);
}

static void spoil_reserved(const struct packed *p)
{
    header_of(p)->reserved_too[47] = 1;
}

static void spoil_kind(const struct packed *p)
{
    layers_of(p)[1].kind = MLRT_KINDS;
}

static void spoil_activation(const struct packed *p)
{
    layers_of(p)[1].activation = MLRT_ACTIVATIONS;
}

static void spoil_width(const struct packed *p)
{
    layers_of(p)[2].outputs = MLRT_WIDTH_MAX + 1;
}

static void spoil_chain(const struct packed *p)
{
    layers_of(p)[1].inputs = layers_of(p)[1].outputs = 2;
}

static void spoil_offset(const struct packed *p)
{
    layers_of(p)[2].offset += MLRT_ALIGN;
}

static void spoil_offset_far(const struct packed *p)
{
    layers_of(p)[2].offset = UINT64_MAX - 63;
}

static void spoil_bytes(const struct packed *p)
{
    layers_of(p)[3].bytes++;
}

static void spoil_tree_count(const struct packed *p)
{
    layers_of(p)[0].params[FOREST_TREE_COUNT] = UINT32_MAX;
}

static void spoil_unused_param(const struct packed *p)
{
    layers_of(p)[1].params[7] = 1;
}

static void spoil_neighbours(const struct packed *p)
{
    layers_of(p)[3].params[NEAREST_K] = 10;
}

static struct mlrt_tree *trees_of(const struct packed *p)
{
    return packed_array(p, 0, FOREST_TREES);
}

static struct mlrt_node *nodes_of(const struct packed *p)
{
    return packed_array(p, 0, FOREST_NODES);
}

static void spoil_tree_first(const struct packed *p)
{
    trees_of(p)[1].first = 60;
}

static void spoil_tree_shared(const struct packed *p)
{
    trees_of(p)[1].first = 0;
    trees_of(p)[2].node_count = 60;
    trees_of(p)[2].first = 0;
}

static void spoil_tree_empty(const struct packed *p)
{
    trees_of(p)[1].node_count = 0;
}

static void spoil_tree_output(const struct packed *p)
{
    trees_of(p)[1].output = 3;
}

static void spoil_node_feature(const struct packed *p)
{
    nodes_of(p)[0].feature_distance = 1 << MLRT_FEATURE_BITS | 5;
}

static void spoil_node_circle(const struct packed *p)
{
    nodes_of(p)[0].feature_distance &= MLRT_LEAF;
}

static void spoil_node_child(const struct packed *p)
{
    nodes_of(p)[6].feature_distance = 8 << MLRT_FEATURE_BITS;
}

static void spoil_leaf_row(const struct packed *p)
{
    nodes_of(p)[14].feature_distance = 32 << MLRT_FEATURE_BITS | MLRT_LEAF;
}

static void spoil_label(const struct packed *p)
{
    ((uint32_t *)packed_array(p, 3, NEAREST_TARGETS))[8] = 2;
}

static void spoil_shift(const struct packed *p)
{
    layers_of(p)[2].params[header_of(p)->integer ? DENSE_OUT_SHIFT : 7] = MLRT_SHIFT_MAX + 1;
}

static void spoil_scale_shift(const struct packed *p)
{
    if (header_of(p)->integer) {
        ((uint32_t *)packed_array(p, 1, SCALE_SHIFT))[2] = 49;
    } else {
        spoil_kind(p);
    }
}

static const spoiler spoilers[] = {
    spoil_no_layers,  spoil_many_layers,  spoil_inputs,       spoil_outputs,     spoil_number_kind,
    spoil_fraction,   spoil_name,         spoil_reserved,     spoil_kind,        spoil_activation,
    spoil_width,      spoil_chain,        spoil_offset,       spoil_offset_far,  spoil_bytes,
    spoil_tree_count, spoil_unused_param, spoil_neighbours,   spoil_tree_first,  spoil_tree_shared,
    spoil_tree_empty, spoil_tree_output,  spoil_node_feature, spoil_node_circle, spoil_node_child,
    spoil_leaf_row,   spoil_label,        spoil_shift,        spoil_scale_shift,
};

/* Whoever makes a hostile file gives it the right checksum. */
static void test_contradictions_are_found(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2 * sizeof(spoilers) / sizeof(spoilers[0]); i++) {
        struct arena arena = {0};
        struct packed packed = file_make(&arena, i % 2);
        spoilers[i / 2](&packed);
        mlrt_seal(packed.bytes, packed.size);
        if (status_of(&packed, packed.size) != MLRT_MALFORMED) {
            fail_msg("spoiler %u of %s was not found", i / 2, i % 2 ? "integer" : "float");
        }
        arena_free(&arena);
    }
}

static void test_every_status_has_words(void **state)
{
    (void)state;
    for (int status = MLRT_NOT_FINITE; status <= MLRT_OK; status++) {
        assert_string_not_equal(mlrt_error_text(status), "unknown error");
    }
    assert_string_equal(mlrt_error_text(1), "unknown error");
}

const struct CMUnitTest open_tests[] = {
    cmocka_unit_test(test_every_truncation_is_refused),
    cmocka_unit_test(test_every_damaged_byte_is_noticed),
    cmocka_unit_test(test_header_errors_are_told_apart),
    cmocka_unit_test(test_contradictions_are_found),
    cmocka_unit_test(test_every_status_has_words),
};
const size_t open_test_count = sizeof(open_tests) / sizeof(open_tests[0]);
