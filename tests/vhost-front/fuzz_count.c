/*
 * fuzz_count.c: see fuzz.h. For each kind of request and command, what came of it, and what the
 * specification says may come of it; others are printed in parentheses. Left out there: ERR_NO_MEMORY, ERR_LOST and ERR_TIMEOUT, which no
 * request brings about by itself, and what PoCL and oneDNN have no reason for.
 */
#include <stdio.h>
#include <string.h>
#include "fuzz.h"

#define STATUSES (VGPGPU_ERR_TIMEOUT + 1u)
#define OK       (1u << VGPGPU_OK)
#define INVALID  (1u << VGPGPU_ERR_INVALID)
#define ID       (1u << VGPGPU_ERR_ID)
#define RANGE    (1u << VGPGPU_ERR_RANGE)
#define LIMIT    (1u << VGPGPU_ERR_LIMIT)
#define BUILD    (1u << VGPGPU_ERR_BUILD)
#define UNSUPP   (1u << VGPGPU_ERR_UNSUPPORTED)
#define EXEC     (1u << VGPGPU_ERR_EXEC)

struct row {
    const char *name;
    uint32_t documented;
    unsigned long counts[STATUSES];
    uint32_t rare; /* may come of it, too, but need not in a short run */
};

static struct row requests[] = {
    [0] = {"(none)", INVALID | UNSUPP, {0}, 0},
    [VGPGPU_CONTEXT_CREATE] = {"CONTEXT_CREATE", OK | INVALID | ID | RANGE, {0}, 0},
    [VGPGPU_CONTEXT_DESTROY] = {"CONTEXT_DESTROY", OK | INVALID | ID, {0}, 0},
    [VGPGPU_CONTEXT_LIMIT] = {"CONTEXT_LIMIT", OK | INVALID | ID, {0}, LIMIT},
    [VGPGPU_BUFFER_CREATE] = {"BUFFER_CREATE", OK | INVALID | ID | RANGE | LIMIT, {0}, 0},
    [VGPGPU_BUFFER_DESTROY] = {"BUFFER_DESTROY", OK | INVALID | ID, {0}, 0},
    [VGPGPU_PROGRAM_CREATE] = {"PROGRAM_CREATE", OK | INVALID | ID | LIMIT | BUILD | UNSUPP, {0}, 0},
    [VGPGPU_PROGRAM_DESTROY] = {"PROGRAM_DESTROY", OK | INVALID | ID, {0}, 0},
    [VGPGPU_KERNEL_CREATE] = {"KERNEL_CREATE", OK | INVALID | ID | LIMIT, {0}, 0},
    [VGPGPU_KERNEL_DESTROY] = {"KERNEL_DESTROY", OK | INVALID | ID, {0}, 0},
    [VGPGPU_QUERY] = {"QUERY", OK | INVALID | ID | UNSUPP, {0}, 0},
    [VGPGPU_SUB_BUFFER_CREATE] = {"SUB_BUFFER_CREAT", OK | INVALID | ID | RANGE, {0}, 0},
};

static struct row submissions = {"submission", OK | INVALID | LIMIT, {0}, 0};

static struct row commands[] = {
    [0] = {"(no command)", UNSUPP, {0}, INVALID},
    [VGPGPU_CMD_LAUNCH] = {"LAUNCH", OK | INVALID | ID | RANGE | LIMIT | EXEC, {0}, 0},
    [VGPGPU_CMD_COPY] = {"COPY", OK | INVALID | ID | RANGE, {0}, 0},
    [VGPGPU_CMD_FILL] = {"FILL", OK | INVALID | ID | RANGE, {0}, 0},
    [VGPGPU_CMD_BARRIER] = {"BARRIER", OK | INVALID, {0}, 0},
    [VGPGPU_CMD_OPERATION] = {"(no operation)", UNSUPP, {0}, INVALID},
    [VGPGPU_CMD_COPY_2D] = {"COPY_2D", OK | INVALID | ID | RANGE, {0}, 0},
    [VGPGPU_CMD_FILL_2D] = {"FILL_2D", OK | INVALID | ID | RANGE, {0}, 0},
    [VGPGPU_CMD_SIGNAL] = {"SIGNAL", OK | INVALID, {0}, 0},
};

#define OPERATION OK | INVALID | ID | RANGE | LIMIT | UNSUPP
static struct row operations[] = {
    [0] = {"", 0, {0}, 0},
    [VGPGPU_GEMM] = {"GEMM", OPERATION, {0}, 0},
    [VGPGPU_CONV2D] = {"CONV2D", OPERATION, {0}, 0},
    [VGPGPU_POOL2D] = {"POOL2D", OPERATION, {0}, 0},
    [VGPGPU_SOFTMAX] = {"SOFTMAX", OPERATION, {0}, 0},
    [VGPGPU_REDUCE] = {"REDUCE", OPERATION, {0}, 0},
    [VGPGPU_LAYER_NORM] = {"LAYER_NORM", OPERATION, {0}, 0},
    [VGPGPU_BATCH_NORM] = {"BATCH_NORM", OPERATION, {0}, 0},
    [VGPGPU_ELEMENTWISE] = {"ELEMENTWISE", OPERATION, {0}, 0},
    [VGPGPU_LSTM] = {"LSTM", OPERATION, {0}, 0},
};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

void count_request(const void *request, size_t bytes, uint32_t status)
{
    uint32_t type = 0;
    if (bytes >= sizeof(struct vgpgpu_request))
        memcpy(&type, request, sizeof(type));
    requests[type < COUNT(requests) ? type : 0].counts[status]++;
}

void count_command(const struct vgpgpu_command *command, uint32_t status)
{
    const struct vgpgpu_cmd_operation *operation = (const void *)command;
    if (command->op == VGPGPU_CMD_OPERATION && operation->operation < COUNT(operations) &&
        operation->operation)
        operations[operation->operation].counts[status]++;
    else
        commands[command->op < COUNT(commands) ? command->op : 0].counts[status]++;
}

void count_submission(uint32_t status)
{
    submissions.counts[status]++;
}

static unsigned long row_sum(const struct row *row)
{
    unsigned long sum = 0;
    for (unsigned i = 0; i < STATUSES; i++)
        sum += row->counts[i];
    return sum;
}

static unsigned long rows_sum(const struct row *rows, size_t count)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += row_sum(&rows[i]);
    return sum;
}

unsigned long counts_sum(void)
{
    return rows_sum(requests, COUNT(requests)) + rows_sum(&submissions, 1) +
           rows_sum(commands, COUNT(commands)) + rows_sum(operations, COUNT(operations));
}

static unsigned long rows_of(const struct row *rows, size_t count, uint32_t status)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += rows[i].counts[status];
    return sum;
}

unsigned long counts_of(uint32_t status)
{
    return rows_of(requests, COUNT(requests), status) + submissions.counts[status] +
           rows_of(commands, COUNT(commands), status) + rows_of(operations, COUNT(operations), status);
}

unsigned counts_undocumented;

static unsigned row_print(const struct row *row)
{
    unsigned missing = 0;
    printf("%-16s", row->name);
    for (unsigned i = 0; i < STATUSES; i++) {
        bool lacks = (row->documented >> i & 1) && !row->counts[i];
        bool exceeds = !(row->documented >> i & 1) && row->counts[i] && !(row->rare >> i & 1);
        printf(lacks ? "      NONE" : exceeds ? " (%7lu)" : " %9lu", row->counts[i]);
        missing += lacks;
        counts_undocumented += exceeds;
    }
    printf("\n");
    return missing;
}

static unsigned rows_print(const struct row *rows, size_t count)
{
    unsigned missing = 0;
    for (size_t i = 0; i < count; i++)
        if (rows[i].documented)
            missing += row_print(&rows[i]);
    return missing;
}

unsigned counts_print(void)
{
    printf("%-16s        OK   INVALID        ID     RANGE     LIMIT NO_MEMORY     BUILD UNSUPPORT"
           "      EXEC      LOST   TIMEOUT\n",
           "");
    return rows_print(requests, COUNT(requests)) + rows_print(&submissions, 1) +
           rows_print(commands, COUNT(commands)) + rows_print(operations, COUNT(operations));
}
