/*
 * stand_in.h: a stand-in for CUDA's driver, NVRTC and cuBLAS, on this host's processor, for tests of how gpud
 * uses them. It is no CUDA: it knows the functions that gpud opens, with what their manuals ask of a caller, and
 * a few kernels by name (kernels.c). What the real ones would let pass, or answer with a crash, ends the
 * process here with a line that begins "cuda stand-in:".
 *
 * Device memory has addresses that are no addresses of the process, as have registered pages: who uses one
 * without the driver crashes. Work is done by another thread, some time later.
 *
 * It starts only where the system gives what NVIDIA's driver needs (start.c): so gpud's sandbox is tried, too.
 *
 * CUDA_STAND_IN_VERSION in the environment is the driver's, 12040 when it is not there. With 13000
 * build/tests/gpud-cuda-driver takes the real NVRTC and cuBLAS of CUDA 13 where the host has them: CUDA C is compiled.
 *
 * CUDA_STAND_IN_FAIL in the environment, or stand_in_fail() (hooks.h), makes calls fail: "NAME:N:CODE", the N-th call of a function;
 * "random:SEED:N", one of N calls that may fail, with "out of memory" or what else their manuals name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "host/gpud/cuda_api.h"
#include "hooks.h"

enum {
    RESULT_INVALID = 1,
    RESULT_NOT_INITIALIZED = 3,
    RESULT_INVALID_PTX = 218,
    RESULT_OPERATING_SYSTEM = 304,
    RESULT_ILLEGAL_ADDRESS = 700,
    RESULT_OUT_OF_RESOURCES = 701,
    RESULT_ALREADY_REGISTERED = 712,
};

#define MAGIC_CONTEXT  0xc0de0001u
#define MAGIC_STREAM   0xc0de0002u
#define MAGIC_MODULE   0xc0de0003u
#define MAGIC_FUNCTION 0xc0de0004u
#define MAGIC_DEAD     0xdeadu
#define MOST_PARAMS    80u /* more than gpud gives a kernel */
#define MOST_BYTES     4096u /* of all parameters of a kernel */
#define CONTEXT_FILES  12u   /* descriptors that a context has open */

struct cuda_context_s {
    uint32_t magic;
    unsigned streams, modules, ranges; /* that live */
    int files[CONTEXT_FILES];
};

struct cuda_function_s {
    uint32_t magic;
    struct cuda_module_s *module;
    char name[128];
    char body[256]; /* as NVRTC left it, without blanks; "" */
    unsigned count, bytes; /* bytes: of all parameters, with the gaps between them */
    uint16_t sizes[MOST_PARAMS], offsets[MOST_PARAMS];
    unsigned most_items; /* of a group */
};

struct cuda_module_s {
    uint32_t magic;
    cuda_context context;
    unsigned count, in_work; /* in_work: launches that have not ended */
    struct cuda_function_s functions[8];
};

/* Work in a stream. */
struct op {
    struct op *next;
    cuda_result (*run)(struct op *op);
    cuda_stream stream;
    cuda_callback callback; /* instead of run */
    void *data;
    uint64_t target, source, target_pitch, source_pitch, width, rows;
    uint32_t value, unit;
    cuda_function function;
    unsigned items;
    uint8_t params[MOST_BYTES];
    struct gemm {
        bool turn_a, turn_b;
        int m, n, k, a_type, c_type, a_leading, b_leading, c_leading, count;
        float alpha, beta;
        long long a_step, b_step, c_step;
        uint64_t a, b, c;
    } gemm;
};

struct cuda_stream_s {
    uint32_t magic;
    cuda_context context;
    struct op *first, *last;
    unsigned pending;
    cuda_stream next; /* of all streams */
};

_Noreturn void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* driver.c: begins each call; `current`: it needs a context. Returns what the call must fail with. */
cuda_result call_begin(const char *name, bool current, bool may_fail);
cuda_context context_current(void);
bool in_callback(void);

/* Adds to what stand_in_counts() tells. */
void counts_add(const struct stand_in_counts *more);
void counts_take(const struct stand_in_counts *less);

/* start.c: whether the system gives what the driver asks for when it starts. */
bool driver_may_start(void);

/* The host's address of `bytes` of device memory; NULL: they are not all in one piece of it. */
uint8_t *memory_at(uint64_t place, uint64_t bytes);
/* The same, and it is the caller's error if they are not. */
uint8_t *memory_need(uint64_t place, uint64_t bytes, const char *what);

cuda_result cuMemHostGetDevicePointer_v2(cuda_pointer *out, void *memory, unsigned flags);

/* streams.c */
void stream_check(cuda_stream stream);
/* Until no stream of it has work: CUDA may do so in any call that gives memory or code back. */
void context_wait(cuda_context context);
void op_add(struct op *op, cuda_stream stream); /* takes the op over */
struct op *op_new(cuda_result (*run)(struct op *op));
void stick(cuda_result result); /* all calls fail from now on */
cuda_result stuck(void);

/* kernels.c: reads the text; false: it is no PTX. */
bool module_parse(struct cuda_module_s *module, const char *text, const char **why);
cuda_result kernel_run(struct op *op);
