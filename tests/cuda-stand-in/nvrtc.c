/*
 * nvrtc.c: the stand-in for NVRTC: finds the kernels of a text, `__global__ void NAME(...) {...}` or OpenCL C's
 * `kernel void`, so that gpud's tests need one text only, and writes PTX that says what they take.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "stand_in.h"

#define MAGIC_PROGRAM 0xc0de0005u
#define PTX_BYTES     (64u << 10)

struct nvrtc_program_s {
    uint32_t magic;
    char *source, *ptx;
    const char *log;
};

cuda_result nvrtcCreateProgram(nvrtc_program *out, const char *source, const char *name, int headers,
                               const char *const *texts, const char *const *names);
cuda_result nvrtcCreateProgram(nvrtc_program *out, const char *source, const char *name, int headers,
                               const char *const *texts, const char *const *names)
{
    if (!name || headers || texts || names)
        wrong("nvrtcCreateProgram: not what gpud gives");
    *out = calloc(1, sizeof(**out));
    **out = (struct nvrtc_program_s){.magic = MAGIC_PROGRAM, .source = strdup(source), .log = ""};
    counts_add(&(struct stand_in_counts){.programs = 1});
    return 0;
}

static void program_check(nvrtc_program program)
{
    if (program->magic != MAGIC_PROGRAM)
        wrong("a program that is none");
}

cuda_result nvrtcDestroyProgram(nvrtc_program *program);
cuda_result nvrtcDestroyProgram(nvrtc_program *program)
{
    program_check(*program);
    (*program)->magic = MAGIC_DEAD;
    counts_take(&(struct stand_in_counts){.programs = 1});
    free((*program)->source);
    free((*program)->ptx);
    free(*program);
    *program = NULL;
    return 0;
}

static bool has(const char *text, size_t length, const char *word)
{
    size_t bytes = strlen(word);
    for (size_t i = 0; i + bytes <= length; i++)
        if (strncmp(text + i, word, bytes) == 0)
            return true;
    return false;
}

static const char *type_of(const char *param, size_t length)
{
    if (memchr(param, '*', length))
        return ".u64";
    if (has(param, length, "double"))
        return ".f64";
    if (has(param, length, "long"))
        return ".u64";
    return has(param, length, "char") ? ".u8" : has(param, length, "short") ? ".u16"
                                            : has(param, length, "float")   ? ".f32"
                                                                            : ".u32";
}

/* Appends one kernel, whose name is at `at`. Returns behind it, or NULL. */
static const char *kernel_write(char *ptx, const char *at)
{
    size_t name = strcspn(at, " (");
    const char *open = strchr(at, '('), *close = open ? strchr(open, ')') : NULL;
    const char *body = close ? strchr(close, '{') : NULL;
    if (!body || name > 100 || strlen(ptx) > PTX_BYTES - 2048)
        return NULL;
    sprintf(ptx + strlen(ptx), ".visible .entry %.*s(", (int)name, at);
    for (const char *param = open + 1, *end; param < close; param = end + 1) {
        end = param + strcspn(param, ",)");
        if (has(param, (size_t)(end - param), "local ") || strlen(ptx) > PTX_BYTES - 1024)
            return NULL;
        if (!has(param, (size_t)(end - param), "void") || memchr(param, '*', (size_t)(end - param)))
            sprintf(ptx + strlen(ptx), "%s.param %s p%d", param == open + 1 ? "" : ", ",
                    type_of(param, (size_t)(end - param)), (int)(param - open));
    }
    strcat(ptx, ") { .pragma \"body=");
    size_t used = strlen(ptx), limit = used + 250, depth = 1;
    for (body++; *body && depth; body++) {
        depth += *body == '{';
        depth -= *body == '}';
        if (!isspace((unsigned char)*body) && *body != '"' && used < limit && depth)
            ptx[used++] = *body;
    }
    strcpy(ptx + used, "\"; ret; }\n");
    return depth ? NULL : body;
}

/* The next kernel's name, or NULL. */
static const char *kernel_find(const char *at)
{
    const char *a = strstr(at, "__global__ void "), *b = strstr(at, "kernel void ");
    const char *first = a && (!b || a < b) ? a : b;
    return first ? strstr(first, "void ") + 5 : NULL;
}

cuda_result nvrtcCompileProgram(nvrtc_program program, int count, const char *const *options);
cuda_result nvrtcCompileProgram(nvrtc_program program, int count, const char *const *options)
{
    program_check(program);
    if (count < 1 || strcmp(options[0], "--gpu-architecture=compute_80") != 0)
        wrong("nvrtcCompileProgram without an architecture first");
    for (int i = 0; i < count; i++)
        if (options[i][0] != '-')
            return 5;
    program->log = "it does not build";
    char *ptx = program->ptx = calloc(1, PTX_BYTES);
    strcpy(ptx, ".version 8.4\n.target sm_80\n.address_size 64\n// made by the stand-in for NVRTC\n");
    const char *at = kernel_find(program->source);
    if (!at || strstr(program->source, "nonsense") || strstr(program->source, "nowhere"))
        return 6;
    for (; at; at = kernel_find(at))
        if (!(at = kernel_write(ptx, at)))
            return 6;
    program->log = "";
    return 0;
}

cuda_result nvrtcGetProgramLogSize(nvrtc_program program, size_t *bytes);
cuda_result nvrtcGetProgramLogSize(nvrtc_program program, size_t *bytes)
{
    program_check(program);
    *bytes = strlen(program->log) + 1;
    return 0;
}

cuda_result nvrtcGetProgramLog(nvrtc_program program, char *log);
cuda_result nvrtcGetProgramLog(nvrtc_program program, char *log)
{
    program_check(program);
    memcpy(log, program->log, strlen(program->log) + 1);
    return 0;
}

cuda_result nvrtcGetPTXSize(nvrtc_program program, size_t *bytes);
cuda_result nvrtcGetPTXSize(nvrtc_program program, size_t *bytes)
{
    program_check(program);
    if (!program->ptx || *program->log)
        return 3;
    *bytes = strlen(program->ptx) + 1;
    return 0;
}

cuda_result nvrtcGetPTX(nvrtc_program program, char *ptx);
cuda_result nvrtcGetPTX(nvrtc_program program, char *ptx)
{
    program_check(program);
    memcpy(ptx, program->ptx, strlen(program->ptx) + 1);
    return 0;
}
