/*
 * ptx_test.c: what gpud reads out of PTX, of PTX as NVRTC makes it: parameters of every type and size. Where
 * there is no NVRTC on this host it is skipped. It needs no GPU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host/gpud/cuda_api.h"
#include "host/gpud/device.h"
#include "host/gpud/ptx_params.h"

/* Parameters as C++ has them, and their sizes; 0 ends. Whole ones of 8 bytes may be buffers. */
static const struct {
    const char *name, *params;
    uint8_t sizes[12];
} kernels[] = {
    {"none", "", {0}},
    {"pointers", "const float *__restrict__ a, float *b, void **c", {8, 8, 8, 0}},
    {"numbers", "char a, unsigned char b, short c, int d, unsigned e, float f, long long g, double h, bool i",
     {1, 1, 2, 4, 4, 4, 8, 8, 1, 0}},
    {"structures", "struct three a, struct wide b, struct mixed c, const struct wide d", {12, 32, 24, 32, 0}},
    {"grid", "const __grid_constant__ struct wide a, int b", {32, 4, 0}},
    {"enumeration", "enum color a, int (*b)(int)", {4, 8, 0}},
    {"vectors", "float4 a, int2 b, double2 c, uchar4 d", {16, 8, 16, 4, 0}},
    {"large", "struct large a", {0}},
};

static const char types[] = "struct three { int x, y, z; };\nstruct wide { double a, b, c; char d; };\n"
                            "struct mixed { char a; long long b; short c; };\nstruct large { char bytes[300]; };\n"
                            "enum color { RED, GREEN };\n";

static char *source_make(void)
{
    char *text = calloc(1, 8192);
    strcpy(text, types);
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
        sprintf(text + strlen(text), "extern \"C\" __global__ void __launch_bounds__(128) %s(%s) { __syncthreads(); }\n",
                kernels[i].name, kernels[i].params);
    return text;
}

static char *ptx_make(const char *option)
{
    const char *options[2] = {"--gpu-architecture=compute_80", option};
    char *source = source_make(), *ptx;
    nvrtc_program program;
    size_t bytes;
    assert_int_equal(nvrtc.create(&program, source, "program.cu", 0, NULL, NULL), 0);
    cuda_result result = nvrtc.compile(program, option ? 2 : 1, options);
    if (result) {
        assert_int_equal(nvrtc.log_bytes(program, &bytes), 0);
        char *log = calloc(1, bytes + 1);
        nvrtc.log(program, log);
        fail_msg("%s", log);
    }
    assert_int_equal(nvrtc.ptx_bytes(program, &bytes), 0);
    ptx = calloc(1, bytes + 1);
    assert_int_equal(nvrtc.ptx(program, ptx), 0);
    nvrtc.destroy(&program);
    free(source);
    return ptx;
}

static void kernel_check(const char *ptx, unsigned index)
{
    struct ptx_param params[VGPGPU_MAX_ARGS];
    uint32_t count, want = 0;
    uint32_t status = ptx_params_find(ptx, kernels[index].name, params, &count);
    if (strcmp(kernels[index].name, "large") == 0) {
        assert_int_equal(status, VGPGPU_ERR_LIMIT);
        return;
    }
    if (status)
        fail_msg("%s: status %u of\n%s", kernels[index].name, status, ptx);
    while (kernels[index].sizes[want])
        want++;
    assert_int_equal(count, want);
    for (uint32_t i = 0; i < count; i++) {
        if (params[i].bytes != kernels[index].sizes[i])
            fail_msg("%s: parameter %u has %u bytes", kernels[index].name, i, params[i].bytes);
        if (strcmp(kernels[index].name, "pointers") == 0)
            assert_int_equal(params[i].want, DEVICE_ARG_EITHER);
    }
}

static void test_ptx_of_nvrtc(void **state)
{
    static const char *const options[] = {NULL, "-lineinfo", "-G", "--std=c++20"};
    (void)state;
    if (!nvrtc_load())
        skip(); /* no NVRTC on this host */
    for (unsigned i = 0; i < 4; i++) {
        char *ptx = ptx_make(options[i]);
        for (unsigned kernel = 0; kernel < sizeof(kernels) / sizeof(kernels[0]); kernel++)
            kernel_check(ptx, kernel);
        free(ptx);
    }
}

/* The compiler keeps what it has made. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ptx_of_nvrtc)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
