/*
 * tensors_test.c: random built-in operations through gpud's decoding, its checks and oneDNN, on memory that
 * ends where it says: nothing beside a result's elements is written and nothing outside is touched; what is
 * right by the specification is done rightly, or refused as what the device does not have; what is not is an
 * error.
 *
 *     gpud_tensors [TRIALS [SEED]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "host/gpud/cpu_operation.h"
#include "host/gpud/matrix.h"
#include "host/gpud/submit_decode.h"
#include "tensors.h"

static unsigned long trials = 1500;
static struct trial trial;
static uint64_t trial_start; /* the seed from which this one alone comes again */

static const struct object_facts *facts_find(struct decoder *decoder, enum object_kind kind, uint32_t *id)
{
    static struct object_facts facts;
    (void)decoder;
    if (kind != OBJECT_BUFFER || !*id || *id > BUFFERS)
        return NULL;
    facts.buffer.device = &buffers[*id];
    facts.buffer.size = buffers[*id].size;
    return &facts;
}

static uint32_t command_make(uint8_t *out)
{
    struct vgpgpu_cmd_operation head = {.header = {.op = VGPGPU_CMD_OPERATION},
                                        .operation = trial.operation,
                                        .tensor_count = trial.count,
                                        .parameter_bytes = trial.parameter_bytes};
    uint32_t tensors = trial.count * (uint32_t)sizeof(trial.tensors[0]);
    head.header.bytes = (uint32_t)sizeof(head) + tensors + trial.parameter_bytes;
    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), trial.tensors, tensors);
    memcpy(out + sizeof(head) + tensors, trial.parameters, trial.parameter_bytes);
    return head.header.bytes;
}

/* As the device process does it. */
static uint32_t trial_run(void)
{
    static struct decoded decoded;
    static struct cpu_scratch scratch;
    void *memory[VGPGPU_MAX_TENSORS];
    struct cpu_plan *plan;
    struct decoder decoder = {.find = facts_find, .offset_align = 1, .out = &decoded};
    uint8_t *commands = malloc(sizeof(struct vgpgpu_cmd_operation) + sizeof(trial.tensors) + PARAMETERS);
    assert_non_null(commands);
    uint32_t status = submit_decode(&decoder, commands, command_make(commands));
    const struct device_operation *operation = &decoded.operations[0].operation;
    if (!status)
        status = cpu_plan_prepare(operation, &plan);
    if (!status) {
        for (unsigned i = 0; i < operation->tensor_count; i++)
            memory[i] = operation->buffers[i] ? operation->buffers[i]->memory + operation->tensors[i].offset : NULL;
        status = cpu_plan_run(plan, memory, &scratch);
        cpu_plan_release(plan);
    }
    free(commands);
    return status;
}

static _Noreturn void trial_fail(const char *why)
{
    trial_print(&trial);
    fprintf(stderr, "%s\nagain: gpud_tensors 1 %llu\n", why, (unsigned long long)trial_start);
    fail_msg("%s", why);
    abort();
}

static void on_fault(int number)
{
    trial_print(&trial);
    fprintf(stderr, "memory outside was touched; again: gpud_tensors 1 %llu\n", (unsigned long long)trial_start);
    signal(number, SIG_DFL);
    raise(number);
}

static void trial_step(void)
{
    trial_start = trial_seed;
    trial_make(&trial);
    bool right = trial_is_right(&trial);
    if (right)
        trial_fill(&trial);
    memory_keep();
    uint32_t status = trial_run();
    const char *wrong = outcome_judge(&trial, right, status);
    if (wrong)
        trial_fail(wrong);
}

static void outcomes_check(void)
{
    outcomes_print();
    for (uint16_t i = 1; i <= VGPGPU_LSTM && trials >= 1000; i++)
        assert_true(outcomes_done(i) > 0);
}

static void test_tensors(void **state)
{
    uint16_t operations[VGPGPU_OPERATION_ROOM];
    uint64_t first = trial_seed;
    (void)state;
    cpu_operations_list(operations);
    if (!operations[VGPGPU_GEMM])
        skip(); /* this host has no oneDNN */
    memory_open();
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    for (unsigned long i = 0; i < trials; i++)
        trial_step();
    outcomes_check();
    printf("%lu trials from seed %llu\n", trials, (unsigned long long)first);
}

/* No buffer here is so long. */
static void test_far_matrices(void **state)
{
    struct vgpgpu_tensor tensor = {
        .type = VGPGPU_F32, .rank = 2, .dimensions = {2, 8}, .strides = {1u << 30, 1}, .offset = 4ull * INT32_MAX};
    (void)state;
    assert_false(matrix_is_near(&tensor, 4));
    tensor.offset = 4ull * (INT32_MAX - (1u << 30) - 7);
    assert_true(matrix_is_near(&tensor, 4));
    tensor.offset += 4;
    assert_false(matrix_is_near(&tensor, 4));
    tensor.offset = 0;
    tensor.strides[0] = 1ull << 33;
    assert_false(matrix_is_near(&tensor, 4));
}

/* The library keeps what it has made, and its thread, whose stack the search for leaks cannot read. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_far_matrices), cmocka_unit_test(test_tensors)};
    if (argc > 1)
        trials = strtoul(argv[1], NULL, 0);
    if (argc > 2)
        trial_seed = strtoull(argv[2], NULL, 0);
    if (argc > 3 || !trials || !trial_seed) {
        fprintf(stderr, "usage: gpud_tensors [TRIALS [SEED]], both from 1\n");
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
