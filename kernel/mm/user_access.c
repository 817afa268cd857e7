/*
 * user_access.c: copies between the kernel and the current address space. The raw loops are in
 * entry.S, where a fault that cannot be resolved ends them; the range is checked here.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/user.h>
#include "mm.h"

long user_copy_raw(void *dst, const void *src, size_t n);
long user_zero_raw(void *dst, size_t n);
long user_string_raw(char *dst, const char *src, size_t max);
long user_load32_raw(const uint32_t *src, uint32_t *out);
long user_cmpxchg32_raw(uint32_t *at, uint32_t expected, uint32_t desired, uint32_t *old);

static bool have_smap;

void user_access_init(void)
{
    have_smap = cr4_read() & CR4_SMAP;
}

void cpu_user_access_begin(void)
{
    if (have_smap)
        __asm__ volatile("stac" ::: "memory");
}

void cpu_user_access_end(void)
{
    if (have_smap)
        __asm__ volatile("clac" ::: "memory");
}

static bool range_ok(vaddr_t at, size_t size)
{
    return at < USER_ADDRESS_END && size <= USER_ADDRESS_END - at;
}

#define GUARDED(call)                                                                              \
    ({                                                                                             \
        long result_;                                                                              \
        cpu_user_access_begin();                                                                   \
        result_ = (call);                                                                          \
        cpu_user_access_end();                                                                     \
        result_;                                                                                   \
    })

int user_read(void *dst, vaddr_t src, size_t size)
{
    if (!range_ok(src, size))
        return ERR_FAULT;
    return GUARDED(user_copy_raw(dst, (const void *)src, size)) ? ERR_FAULT : OK;
}

int user_write(vaddr_t dst, const void *src, size_t size)
{
    if (!range_ok(dst, size))
        return ERR_FAULT;
    return GUARDED(user_copy_raw((void *)dst, src, size)) ? ERR_FAULT : OK;
}

int user_zero(vaddr_t dst, size_t size)
{
    if (!range_ok(dst, size))
        return ERR_FAULT;
    return GUARDED(user_zero_raw((void *)dst, size)) ? ERR_FAULT : OK;
}

long user_read_string(char *dst, vaddr_t src, size_t size)
{
    size_t room;
    long length;

    if (src >= USER_ADDRESS_END)
        return ERR_FAULT;
    room = MIN(size, USER_ADDRESS_END - src);
    length = GUARDED(user_string_raw(dst, (const char *)src, room));
    if (length < 0)
        return ERR_FAULT;
    if ((size_t)length < room)
        return length;
    return room < size ? ERR_FAULT : ERR_RANGE;
}

static bool word_ok(vaddr_t at)
{
    return !(at & 3) && range_ok(at, 4);
}

int user_load32(vaddr_t src, uint32_t *out)
{
    if (!word_ok(src))
        return ERR_FAULT;
    return GUARDED(user_load32_raw((const uint32_t *)src, out)) ? ERR_FAULT : OK;
}

int user_cmpxchg32(vaddr_t at, uint32_t expected, uint32_t desired, uint32_t *old)
{
    if (!word_ok(at))
        return ERR_FAULT;
    return GUARDED(user_cmpxchg32_raw((uint32_t *)at, expected, desired, old)) ? ERR_FAULT : OK;
}

static uint32_t op32_apply(unsigned op, uint32_t value, uint32_t operand)
{
    switch (op) {
    case USER_OP_SET:
        return operand;
    case USER_OP_ADD:
        return value + operand;
    case USER_OP_OR:
        return value | operand;
    case USER_OP_ANDN:
        return value & ~operand;
    default:
        return value ^ operand;
    }
}

int user_fetch_op32(vaddr_t at, unsigned op, uint32_t operand, uint32_t *old)
{
    uint32_t value, seen;
    int r = user_load32(at, &value);

    if (op > USER_OP_XOR)
        return ERR_INVALID;
    while (r == OK) {
        r = user_cmpxchg32(at, value, op32_apply(op, value, operand), &seen);
        if (r != OK || seen == value)
            break;
        value = seen;
    }
    if (r == OK)
        *old = value;
    return r;
}
