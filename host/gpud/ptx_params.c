/* ptx_params.c: see ptx_params.h. */
#include "ptx_params.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "device.h"

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/* Behind blanks and comments. */
static const char *blanks_skip(const char *at)
{
    for (;;) {
        if (isspace((unsigned char)*at)) {
            at++;
        } else if (at[0] == '/' && at[1] == '/') {
            at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            at = end ? end + 2 : at + strlen(at);
        } else {
            return at;
        }
    }
}

/* Behind what is here: a string is one thing, whatever it says. */
static const char *thing_skip(const char *at)
{
    if (*at != '"')
        return blanks_skip(at + 1);
    at += 1 + strcspn(at + 1, "\"");
    return blanks_skip(*at ? at + 1 : at);
}

/* Whether the word is here, and not only the start of a longer one; then *at is behind it. */
static bool word_take(const char **at, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*at, word, length) != 0 || is_name((*at)[length]))
        return false;
    *at = blanks_skip(*at + length);
    return true;
}

bool ptx_is_text(const char *ptx)
{
    const char *at = blanks_skip(ptx);
    return word_take(&at, ".version");
}

/* Behind `.entry NAME`, or NULL. */
static const char *entry_find(const char *ptx, const char *name)
{
    for (const char *at = blanks_skip(ptx); *at; at = thing_skip(at))
        if (*at == '.' && word_take(&at, ".entry") && word_take(&at, name))
            return at;
        else if (!*at)
            break;
    return NULL;
}

/* The bytes of a fundamental type at *at, behind its dot; 0: it is another word. */
static uint32_t type_take(const char **at)
{
    static const struct {
        const char *name;
        uint8_t bytes;
    } types[] = {{".u64", 8}, {".s64", 8}, {".b64", 8}, {".f64", 8}, {".u32", 4},
                 {".s32", 4}, {".b32", 4}, {".f32", 4}, {".u16", 2}, {".s16", 2},
                 {".b16", 2}, {".f16", 2}, {".u8", 1},  {".s8", 1},  {".b8", 1}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (word_take(at, types[i].name))
            return types[i].bytes;
    return 0;
}

static const char *word_skip(const char *at)
{
    at += *at == '.';
    while (is_name(*at))
        at++;
    return blanks_skip(at);
}

/* The number behind `.align`. 0: it is none that can be. */
static uint32_t align_take(const char **at)
{
    char *end;
    unsigned long align = strtoul(*at, &end, 10);
    *at = blanks_skip(end);
    return align && align <= PTX_MOST_ALIGN && !(align & (align - 1)) ? (uint32_t)align : 0;
}

/* What is before a parameter's name: its type, and where it says so its alignment. Behind `.ptr` comes that of what
 * it points to. 0: no type. */
static uint32_t param_type_take(const char **at, uint32_t *align, bool *whole)
{
    uint32_t bytes = 0;
    while (**at == '.') {
        const char *before = *at;
        uint32_t type = type_take(at);
        if (type) {
            *whole = type == 8 && strncmp(before, ".f64", 4) != 0;
            *align = bytes ? 0 : *align > type ? *align : type; /* two types are none */
            bytes = type;
        } else if (word_take(at, ".align")) {
            uint32_t own = align_take(at);
            *align = bytes ? *align : own;
            if (!own)
                return 0;
        } else {
            *at = word_skip(*at);
            if (*at == before)
                return 0;
        }
    }
    return *align ? bytes : 0;
}

/* One `.param ... name[...]`, behind what ends at `end`; *at is then at the comma or the end. */
static uint32_t param_take(const char **at, uint32_t end, struct ptx_param *param)
{
    uint32_t align = 0;
    bool whole = false;
    if (!word_take(at, ".param"))
        return VGPGPU_ERR_UNSUPPORTED;
    uint32_t bytes = param_type_take(at, &align, &whole);
    *at = word_skip(*at); /* its name */
    uint64_t count = 1;
    if (**at == '[') {
        char *behind;
        count = strtoull(*at + 1, &behind, 10);
        *at = blanks_skip(behind);
        if (**at != ']')
            return VGPGPU_ERR_UNSUPPORTED;
        *at = blanks_skip(*at + 1);
        whole = false;
    }
    if (!bytes || !count)
        return VGPGPU_ERR_UNSUPPORTED;
    if (count > VGPGPU_MAX_VALUE / bytes)
        return VGPGPU_ERR_LIMIT;
    param->offset = (end + align - 1) & ~(align - 1);
    param->bytes = (uint32_t)(bytes * count);
    param->want = whole ? DEVICE_ARG_EITHER : DEVICE_ARG_VALUE;
    return VGPGPU_OK;
}

uint32_t ptx_params_find(const char *ptx, const char *name, struct ptx_param *params,
                         uint32_t *count)
{
    const char *at = entry_find(ptx, name);
    uint32_t end = 0;
    *count = 0;
    if (!at)
        return VGPGPU_ERR_INVALID;
    if (*at != '(')
        return VGPGPU_OK;
    at = blanks_skip(at + 1);
    while (*at != ')') {
        if (*count == VGPGPU_MAX_ARGS)
            return VGPGPU_ERR_LIMIT;
        struct ptx_param *param = &params[*count];
        uint32_t status = param_take(&at, end, param);
        if (status)
            return status;
        end = param->offset + param->bytes;
        ++*count;
        if (*at == ',')
            at = blanks_skip(at + 1);
        else if (*at != ')')
            return VGPGPU_ERR_UNSUPPORTED;
    }
    return VGPGPU_OK;
}
