/*
 * vector.c: see vector.h. While a user thread is in the kernel its vector registers are live in the
 * processor; cpu_vector_begin() puts them into thread->vector_state, cpu_vector_end() loads that.
 */
#include "modules/linux/process/vector.h"

#include <microlake/cpu.h>
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/abi/signal.h"
#include "modules/linux/cpuid.h"

#define FXSAVE_SIZE       512u
#define XSAVE_HEADER_SIZE 64u
#define MXCSR_OFFSET      24u

/* The XSAVE header, behind the FXSAVE area. */
struct xsave_header {
    uint64_t present; /* parts that are not in their initial state */
    uint64_t compacted;
    uint64_t reserved[6];
};
_Static_assert(sizeof(struct xsave_header) == XSAVE_HEADER_SIZE, "XSAVE header layout");

static size_t state_size = FXSAVE_SIZE;
static uint64_t state_parts; /* XCR0; 0: the processor has no XSAVE */
static uint32_t mxcsr_mask;

void vector_setup(void)
{
    uint32_t r[4], low, high;

    mxcsr_mask = 0xffbf; /* without DAZ, which the oldest processors lack */
    cpuid_read(1, r);
    if (!(r[CPUID_ECX] & (1u << 27))) /* OSXSAVE: the kernel uses it */
        return;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    state_parts = low | (uint64_t)high << 32;
    cpuid_read(0xd, r);
    state_size = r[CPUID_EBX];
    mxcsr_mask = 0xffff;
}

bool vector_has_xsave(void)
{
    return state_parts != 0;
}

size_t vector_size(void)
{
    return state_size;
}

static void describe(uint8_t *state)
{
    struct linux_fpstate_info info = {0};

    if (vector_has_xsave()) {
        info.magic = LINUX_FP_MAGIC1;
        info.extended_size = (uint32_t)state_size + sizeof(uint32_t);
        info.features = state_parts;
        info.state_size = (uint32_t)state_size;
    }
    memcpy(state + LINUX_FPSTATE_INFO_OFFSET, &info, sizeof(info));
}

int vector_write_user(vaddr_t at)
{
    uint32_t magic = LINUX_FP_MAGIC2;
    uint8_t *copy = kmalloc(state_size);
    int r;

    if (!copy)
        return ERR_NO_MEMORY;
    cpu_vector_begin();
    memcpy(copy, thread_current()->vector_state, state_size);
    cpu_vector_end();
    describe(copy);
    r = user_write(at, copy, state_size);
    if (r == OK && vector_has_xsave())
        r = user_write(at + state_size, &magic, sizeof(magic));
    kfree(copy);
    return r;
}

/* Loading must not fault whatever a program wrote. */
static void sanitize(uint8_t *state)
{
    uint32_t mxcsr;

    memcpy(&mxcsr, state + MXCSR_OFFSET, sizeof(mxcsr));
    mxcsr &= mxcsr_mask;
    memcpy(state + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
    if (vector_has_xsave()) {
        struct xsave_header *header = (struct xsave_header *)(void *)(state + FXSAVE_SIZE);
        uint64_t present = header->present & state_parts;

        *header = (struct xsave_header){.present = present};
    }
}

/* A program may have built a frame with the old 512 bytes only. */
static bool has_extended_state(const uint8_t *state)
{
    struct linux_fpstate_info info;

    memcpy(&info, state + LINUX_FPSTATE_INFO_OFFSET, sizeof(info));
    return info.magic == LINUX_FP_MAGIC1 && info.state_size == state_size;
}

int vector_read_user(vaddr_t at)
{
    uint8_t *copy = kzalloc(state_size);
    int r;

    if (!copy)
        return ERR_NO_MEMORY;
    r = user_read(copy, at, FXSAVE_SIZE);
    if (r == OK && vector_has_xsave()) {
        if (has_extended_state(copy))
            r = user_read(copy + FXSAVE_SIZE, at + FXSAVE_SIZE, state_size - FXSAVE_SIZE);
        else
            copy[FXSAVE_SIZE] = 3; /* x87 and SSE; the rest in its initial state */
    }
    if (r == OK) {
        sanitize(copy);
        cpu_vector_begin();
        memcpy(thread_current()->vector_state, copy, state_size);
        cpu_vector_end();
    }
    kfree(copy);
    return r;
}

void vector_reset(void)
{
    static const uint32_t mxcsr = 0x1f80;  /* all exceptions masked */
    static const uint16_t control = 0x37f; /* x87: the same, extended precision */
    uint8_t *state;

    cpu_vector_begin();
    state = thread_current()->vector_state;
    memset(state, 0, state_size);
    memcpy(state, &control, sizeof(control));
    memcpy(state + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
    cpu_vector_end();
}

void vector_copy_to(struct thread *child)
{
    cpu_vector_begin();
    memcpy(child->vector_state, thread_current()->vector_state, state_size);
    cpu_vector_end();
}
