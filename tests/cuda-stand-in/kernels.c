/*
 * kernels.c: see stand_in.h. PTX is read for what its kernels are called and take; what a kernel does is here,
 * by its name and, where there are several of that name, by a piece of its body, which NVRTC's stand-in leaves
 * in the PTX without blanks. A kernel that is not here does nothing.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "stand_in.h"

/* ---- PTX */

struct reader {
    const char *at;
    char token[300];
    bool is_string;
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '.' || c == '%';
}

static void blanks_skip(struct reader *reader)
{
    for (;;) {
        const char *at = reader->at;
        if (isspace((unsigned char)*at)) {
            reader->at++;
        } else if (at[0] == '/' && at[1] == '/') {
            reader->at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            reader->at = end ? end + 2 : at + strlen(at);
        } else {
            return;
        }
    }
}

/* The next word, string or mark. False: there is none. */
static bool token_next(struct reader *reader)
{
    size_t count = 0;
    blanks_skip(reader);
    reader->is_string = *reader->at == '"';
    if (!*reader->at)
        return false;
    if (reader->is_string) {
        for (reader->at++; *reader->at && *reader->at != '"'; reader->at++)
            if (count < sizeof(reader->token) - 1)
                reader->token[count++] = *reader->at;
        reader->at += *reader->at == '"';
    } else if (is_word(*reader->at)) {
        do {
            if (count < sizeof(reader->token) - 1)
                reader->token[count++] = *reader->at;
            reader->at++;
        } while (is_word(*reader->at) && *reader->at != '.');
    } else {
        reader->token[count++] = *reader->at++;
    }
    reader->token[count] = 0;
    return true;
}

static bool token_is(const struct reader *reader, const char *text)
{
    return !reader->is_string && strcmp(reader->token, text) == 0;
}

static unsigned type_bytes(const char *token)
{
    static const char *const types[] = {".u64", ".s64", ".b64", ".f64", ".u32", ".s32", ".b32", ".f32",
                                        ".u16", ".s16", ".b16", ".f16", ".u8",  ".s8",  ".b8"};
    for (unsigned i = 0; i < 15; i++)
        if (strcmp(token, types[i]) == 0)
            return i < 4 ? 8 : i < 8 ? 4 : i < 12 ? 2 : 1;
    return 0;
}

/* `.param [.align N] TYPE [.ptr ... [.align M]] name [ [N] ]`, up to the comma or the end. */
static bool param_parse(struct reader *reader, uint16_t *bytes, unsigned *align)
{
    unsigned unit = 0;
    *align = 1;
    unsigned long count = 1;
    if (!token_is(reader, ".param"))
        return false;
    while (token_next(reader) && !token_is(reader, ",") && !token_is(reader, ")")) {
        if (token_is(reader, ".align") && token_next(reader) && !unit)
            *align = (unsigned)strtoul(reader->token, NULL, 10);
        else if (type_bytes(reader->token) && (unit = type_bytes(reader->token)) > *align)
            *align = unit;
        else if (token_is(reader, "[") && token_next(reader))
            count = strtoul(reader->token, NULL, 10);
    }
    if (!unit || !count || count > MOST_BYTES / unit || !*align || *align > 128 || (*align & (*align - 1)))
        return false;
    *bytes = (uint16_t)(unit * count);
    return true;
}

static bool params_parse(struct reader *reader, struct cuda_function_s *function)
{
    if (!token_next(reader))
        return false;
    while (!token_is(reader, ")")) {
        unsigned at = function->count, align;
        if (at == MOST_PARAMS || !param_parse(reader, &function->sizes[at], &align))
            return false;
        function->offsets[at] = (uint16_t)((function->bytes + align - 1) / align * align);
        function->bytes = function->offsets[at] + function->sizes[at];
        function->count++;
        if (function->bytes > MOST_BYTES || (token_is(reader, ",") && !token_next(reader)))
            return false;
    }
    return true;
}

/* Behind `.entry`. */
static bool entry_parse(struct cuda_module_s *module, struct reader *reader, const char **why)
{
    *why = "an entry that is none, or too many, or of another's name";
    if (module->count == 8 || !token_next(reader) || !is_word(reader->token[0]) || reader->is_string)
        return false;
    for (unsigned i = 0; i < module->count; i++)
        if (strcmp(module->functions[i].name, reader->token) == 0)
            return false;
    struct cuda_function_s *function = &module->functions[module->count++];
    function->magic = MAGIC_FUNCTION;
    function->module = module;
    function->most_items = 1024;
    strncpy(function->name, reader->token, sizeof(function->name) - 1);
    *why = "parameters";
    if (!token_next(reader) || (token_is(reader, "(") && !params_parse(reader, function)))
        return false;
    *why = "no body";
    while (!token_is(reader, "{")) {
        if (token_is(reader, ".maxntid") && token_next(reader))
            function->most_items = (unsigned)strtoul(reader->token, NULL, 10);
        if (!token_next(reader))
            return false;
    }
    unsigned open = 1;
    while (open && token_next(reader)) {
        if (reader->is_string && strncmp(reader->token, "body=", 5) == 0)
            memcpy(function->body, reader->token + 5, strnlen(reader->token + 5, sizeof(function->body) - 1));
        open += token_is(reader, "{");
        open -= token_is(reader, "}");
    }
    return !open;
}

bool module_parse(struct cuda_module_s *module, const char *text, const char **why)
{
    struct reader reader = {.at = text};
    bool version = false, target = false;
    while (token_next(&reader)) {
        *why = "a line for a preprocessor";
        if (token_is(&reader, "#") && !isdigit((unsigned char)reader.at[strspn(reader.at, " ")]))
            return false; /* but for one that says where a line is from */
        version |= token_is(&reader, ".version");
        target |= token_is(&reader, ".target");
        if (token_is(&reader, ".entry") && !entry_parse(module, &reader, why))
            return false;
    }
    *why = "no version or no target";
    return version && target;
}

/* ---- What kernels do */

static const uint8_t *param_at(const struct op *op, unsigned index)
{
    return op->params + op->function->offsets[index];
}

static uint64_t number(const struct op *op, unsigned index)
{
    uint64_t value = 0;
    unsigned bytes = op->function->sizes[index];
    memcpy(&value, param_at(op, index), bytes < 8 ? bytes : 8);
    return value;
}

/* What the parameter points to, or NULL. */
static void *pointer(const struct op *op, unsigned index, uint64_t bytes)
{
    return op->function->count > index ? memory_at(number(op, index), bytes) : NULL;
}

#define CELLS(op, count)                                                                           \
    volatile int *c = pointer(op, 0, (count) * sizeof(int));                                      \
    if (!c)                                                                                        \
    return RESULT_ILLEGAL_ADDRESS

static cuda_result put_char(struct op *op)
{
    char *c = pointer(op, 0, 1);
    if (!c)
        return RESULT_ILLEGAL_ADDRESS;
    *c = (char)number(op, 1);
    return 0;
}

static cuda_result put_seven(struct op *op)
{
    char *c = pointer(op, 0, 1);
    if (!c)
        return RESULT_ILLEGAL_ADDRESS;
    *c = 7;
    return 0;
}

static cuda_result put_77(struct op *op)
{
    CELLS(op, 1);
    c[0] = 77;
    return 0;
}

static cuda_result put_int(struct op *op)
{
    CELLS(op, 1);
    c[0] = (int)number(op, 1);
    return 0;
}

static cuda_result put_second(struct op *op)
{
    CELLS(op, 2);
    c[1] = (int)number(op, 1);
    return 0;
}

static cuda_result add_ints(struct op *op)
{
    CELLS(op, op->items);
    for (unsigned i = 0; i < op->items; i++)
        c[i] += (int)number(op, 1);
    return 0;
}

static cuda_result add_sevens(struct op *op)
{
    float *x = pointer(op, 0, op->items * sizeof(float));
    if (!x)
        return RESULT_ILLEGAL_ADDRESS;
    for (unsigned i = 0; i < op->items; i++)
        x[i] += 7.0f;
    return 0;
}

static cuda_result twice(struct op *op)
{
    CELLS(op, op->items);
    for (unsigned i = 0; i < op->items; i++)
        c[i] *= 2;
    return 0;
}

static cuda_result count_up(struct op *op)
{
    CELLS(op, 1);
    c[0]++;
    return 0;
}

static cuda_result advance(struct op *op)
{
    CELLS(op, 1);
    if (c[0] == (int)number(op, 1))
        c[0]++;
    return 0;
}

static cuda_result spin(struct op *op)
{
    CELLS(op, 1);
    int most = op->function->count > 1 ? (int)number(op, 1) : 30000000;
    for (int i = 0; i < most; i++)
        c[0] = i;
    return 0;
}

static cuda_result forever(struct op *op)
{
    CELLS(op, 3);
    c[2] = 1;
    while (!c[0])
        c[1] = (int)((unsigned)c[1] + 1); /* for ever is longer than an int */
    return 0;
}

static cuda_result fault(struct op *op)
{
    (void)op;
    return RESULT_ILLEGAL_ADDRESS;
}

static cuda_result stray(struct op *op)
{
    return memory_at(number(op, 0), 4) ? 0 : RESULT_ILLEGAL_ADDRESS;
}

/* All parameters behind the first one, without gaps, to where that points. */
static cuda_result echo(struct op *op)
{
    const struct cuda_function_s *function = op->function;
    unsigned bytes = 0;
    for (unsigned i = 1; i < function->count; i++)
        bytes += function->sizes[i];
    uint8_t *out = pointer(op, 0, bytes);
    if (!out)
        return RESULT_ILLEGAL_ADDRESS;
    for (unsigned i = 1; i < function->count; out += function->sizes[i++])
        memcpy(out, param_at(op, i), function->sizes[i]);
    return 0;
}

static const struct {
    const char *name, *body;
    cuda_result (*run)(struct op *op);
} known[] = {
    {"put", "c[0]=(char)v", put_char}, {"put", "c[0]=7", put_seven},
    {"put", "out[0]=77", put_77},      {"put", "c[1]=v", put_second},
    {"put", "[0]=v", put_int},         {"add", "+=7.0f", add_sevens},
    {"add", "", add_ints},             {"twice", "", twice},
    {"count", "", count_up},           {"some", "", count_up},
    {"advance", "", advance},          {"spin", "", spin},
    {"forever", "", forever},          {"fault", "", fault},
    {"stray", "", stray},              {"echo", "", echo},
};

cuda_result kernel_run(struct op *op)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(op->function->name, known[i].name) == 0 && strstr(op->function->body, known[i].body))
            return known[i].run(op);
    return 0;
}
