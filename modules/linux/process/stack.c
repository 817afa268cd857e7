/*
 * stack.c: what a program finds on its stack when it starts: argument count, pointers to arguments
 * and environment, the auxiliary vector, and the strings all these point to.
 */
#include <microlake/memory.h>
#include <microlake/random.h>
#include <microlake/user.h>

#include "modules/linux/cpuid.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/exec.h"
#include "modules/linux/process/rseq.h"
#include "modules/linux/signal/signal.h"
#include "modules/linux/vdso/vdso.h"

#define STACK_LEAST       (128ull << 10)
#define STACK_MOST        (64ull << 20) /* also where no limit is set */
#define STACK_RANDOM_BITS 18u
#define AUX_MAX           28u
#define RANDOM_SIZE       16u
static const char platform[] = "x86_64";

/* The block at the top of the stack while it is made; offsets count from its start. */
struct stack_block {
    uint8_t *bytes;
    size_t size;  /* a multiple of PAGE_SIZE */
    vaddr_t base; /* address of bytes[0] in the program */
    size_t used;  /* words written from the start of the vectors on */
    size_t at;    /* where the next word goes */
};

static void put_word(struct stack_block *b, uint64_t word)
{
    memcpy(b->bytes + b->at, &word, sizeof(word));
    b->at += sizeof(word);
}

static uint32_t hardware_capabilities(void)
{
    uint32_t r[4];

    cpuid_read(1, r);
    return r[CPUID_EDX];
}

/* Where the parts of the block lie, from its end down. */
struct stack_plan {
    size_t path, platform, random, strings; /* offsets */
    size_t vectors;                         /* offset of the argument count */
};

static size_t vectors_size(const struct exec_strings *s)
{
    return (1 + s->arguments + 1 + s->environment + 1 + 2 * AUX_MAX) * sizeof(uint64_t);
}

static void plan_block(const struct stack_facts *f, struct stack_block *b, struct stack_plan *plan)
{
    size_t path = strlen(f->path) + 1;
    size_t tail = path + sizeof(platform) + RANDOM_SIZE + f->strings->used;
    /* The last word of a Linux stack is zero. */
    size_t needed = sizeof(uint64_t) + tail + 32 + vectors_size(f->strings);

    b->size = ALIGN_UP(needed, PAGE_SIZE);
    plan->path = b->size - sizeof(uint64_t) - path;
    plan->strings = plan->path - f->strings->used;
    plan->platform = plan->strings - sizeof(platform);
    plan->random = ALIGN_DOWN(plan->platform - RANDOM_SIZE, 16);
    plan->vectors = ALIGN_DOWN(plan->random - vectors_size(f->strings), 16);
}

/* The pointers to `count` strings that lie one behind the other, and a zero. */
static size_t put_pointers(struct stack_block *b, unsigned count, size_t string)
{
    for (unsigned i = 0; i < count; i++) {
        put_word(b, b->base + string);
        string += strlen((const char *)b->bytes + string) + 1;
    }
    put_word(b, 0);
    return string;
}

/* One array and no calls: this runs once in most machines, and each call would be translated. */
static void put_auxiliary(struct stack_block *b, const struct stack_facts *f,
                          const struct stack_plan *plan, vaddr_t vdso)
{
    const struct elf_image *image = f->image;
    const uint64_t vector[][2] = {
        {LINUX_AT_SYSINFO_EHDR, vdso},
        {LINUX_AT_MINSIGSTKSZ, signal_frame_size()},
        {LINUX_AT_HWCAP, hardware_capabilities()},
        {LINUX_AT_PAGESZ, PAGE_SIZE},
        {LINUX_AT_CLKTCK, LINUX_TICKS_PER_SECOND},
        {image->table_address ? LINUX_AT_PHDR : LINUX_AT_IGNORE, f->bias + image->table_address},
        {LINUX_AT_PHENT, ELF_SEGMENT_HEADER_SIZE},
        {LINUX_AT_PHNUM, image->header.table_count},
        {LINUX_AT_BASE, f->interpreter},
        {LINUX_AT_FLAGS, 0},
        {LINUX_AT_ENTRY, f->bias + image->header.entry},
        {LINUX_AT_UID, f->credentials->user.real},
        {LINUX_AT_EUID, f->credentials->user.effective},
        {LINUX_AT_GID, f->credentials->group.real},
        {LINUX_AT_EGID, f->credentials->group.effective},
        {LINUX_AT_SECURE, f->secure},
        {LINUX_AT_RANDOM, b->base + plan->random},
        {LINUX_AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE},
        {LINUX_AT_RSEQ_ALIGN, RSEQ_ALIGN},
        {LINUX_AT_EXECFN, b->base + plan->path},
        {LINUX_AT_PLATFORM, b->base + plan->platform},
        {LINUX_AT_NULL, 0},
    };

    _Static_assert(ARRAY_SIZE(vector) <= AUX_MAX, "vectors_size() leaves too little room");
    memcpy(b->bytes + b->at, vector, sizeof(vector));
    b->at += sizeof(vector);
}

static void fill_block(struct stack_block *b, const struct stack_facts *f,
                       const struct stack_plan *plan, vaddr_t vdso)
{
    size_t string;

    memcpy(b->bytes + plan->path, f->path, strlen(f->path) + 1);
    memcpy(b->bytes + plan->strings, f->strings->text, f->strings->used);
    memcpy(b->bytes + plan->platform, platform, sizeof(platform));
    random_bytes(b->bytes + plan->random, RANDOM_SIZE);
    b->at = plan->vectors;
    put_word(b, f->strings->arguments);
    string = put_pointers(b, f->strings->arguments, plan->strings);
    put_pointers(b, f->strings->environment, string);
    put_auxiliary(b, f, plan, vdso);
}

/* The block's pages become the top of the stack; below them lies fresh memory. */
static int map_stack(struct mm *mm, const struct stack_block *b, unsigned prot)
{
    struct memobj *object;
    vaddr_t at;
    int r = memobj_create_anon(b->size, &object);

    if (r != OK)
        return r;
    r = memobj_write(object, 0, b->bytes, b->size);
    if (r == OK)
        r = aspace_map(mm->as, b->base, b->size, prot, MAP_FIXED | MAP_PRIVATE, object, 0, &at);
    memobj_unref(object);
    if (r == OK)
        r = aspace_map(mm->as, mm->stack_start, b->base - mm->stack_start, prot,
                       MAP_FIXED | MAP_PRIVATE, NULL, 0, &at);
    return r;
}

/* RLIMIT_STACK at the time of exec, and room for what is on it already. */
static uint64_t stack_size(const struct stack_facts *facts, uint64_t used)
{
    uint64_t size = MAX(MIN(facts->stack_limit, STACK_MOST), STACK_LEAST);

    return ALIGN_UP(MAX(size, used + STACK_LEAST), PAGE_SIZE);
}

int stack_build(struct mm *mm, const struct stack_facts *facts, vaddr_t *stack_pointer)
{
    unsigned prot = PROT_READ | PROT_WRITE | (facts->image->executable_stack ? PROT_EXEC : 0u);
    struct stack_block b = {0};
    struct stack_plan plan;
    int r;

    plan_block(facts, &b, &plan);
    /* The kernel's pages lie a page above the stack. */
    mm->stack_end =
        USER_ADDRESS_END - PAGE_SIZE - vdso_size() - mm_random_pages(STACK_RANDOM_BITS);
    mm->stack_start = mm->stack_end - stack_size(facts, b.size);
    b.base = mm->stack_end - b.size;
    b.bytes = kzalloc(b.size);
    if (!b.bytes)
        return ERR_NO_MEMORY;
    r = vdso_map(mm);
    if (r == OK) {
        fill_block(&b, facts, &plan, mm->vdso);
        r = map_stack(mm, &b, prot);
    }
    if (r == OK) {
        const char *text = facts->strings->text;
        size_t bytes = 0;

        for (unsigned i = 0; i < facts->strings->arguments; i++)
            bytes += strlen(text + bytes) + 1;
        mm->arguments = b.base + plan.strings;
        mm->arguments_end = mm->arguments + bytes;
        mm->environment_end = mm->arguments + facts->strings->used;
        *stack_pointer = b.base + plan.vectors;
    }
    kfree(b.bytes);
    return r;
}
