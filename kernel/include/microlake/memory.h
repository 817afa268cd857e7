/*
 * memory.h: page frames, the kernel heap and kernel mappings.
 */
#pragma once

#include <microlake/types.h>

#define DIRECT_MAP_BASE 0xffff800000000000ul

/* All RAM is mapped at DIRECT_MAP_BASE, not executable. Any context. */
static inline void *phys_to_virt(paddr_t pa)
{
    return (void *)(pa + DIRECT_MAP_BASE);
}

/* Of an address of the direct map or of the kernel image. */
paddr_t virt_to_phys(const void *va);

#define FRAME_MAX_ORDER 18 /* 4 KiB << 18 = 1 GiB */

enum frame_flags {
    FRAME_ZERO = 1u << 0,    /* contents are zero */
    FRAME_NOWAIT = 1u << 1,  /* fail at once instead of reclaiming */
};

/*
 * Allocates 2^order contiguous frames, naturally aligned. Returns 0 when there is none (frame 0 is
 * never handed out). The first frame's reference count is 1. Any context with FRAME_NOWAIT, else
 * thread context.
 */
paddr_t frame_alloc(unsigned order, unsigned flags);

/* Frees what frame_alloc() gave, whole, with its order. Panics on a double free. Any context. */
void frame_free(paddr_t pa, unsigned order);

/* Reference counts of single frames (order 0): the last unref frees. Any context. */
void frame_ref(paddr_t pa);
void frame_unref(paddr_t pa);
unsigned frame_refs(paddr_t pa);

/* True when pa lies in RAM that the frame allocator manages. */
bool frame_is_ram(paddr_t pa);

struct memory_stats {
    uint64_t total;      /* bytes of RAM the machine has */
    uint64_t free;       /* bytes free, per-CPU caches included */
    uint64_t reclaimable; /* bytes in use that reclaimers say they could give back */
    uint64_t heap;       /* bytes in live heap objects, rounded to their size class */
    uint64_t metadata;   /* bytes of the frame table, page tables of the direct map and the image */
};
void memory_stats(struct memory_stats *out);

/* Kernel heap. Objects of 16 bytes to 2 MiB, aligned to 16. NULL: no memory. Any context. */
void *kmalloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *kzalloc(size_t size) __attribute__((malloc, alloc_size(1)));
void kfree(void *p); /* NULL is allowed */
char *kstrdup(const char *s);

/*
 * Maps physical pages into the kernel's own address range: device registers, or scattered frames
 * made contiguous. Not executable. Thread context. NULL: no memory.
 */
enum kmap_flags { KMAP_WRITE = 1u << 0, KMAP_DEVICE = 1u << 1 /* uncached */ };
void *kmap_range(paddr_t pa, size_t size, unsigned flags);
void *kmap_frames(const paddr_t *frames, size_t count, unsigned flags);
void kunmap(void *va, size_t size);

/* Freestanding string functions, as in C. Any context. */
void *memcpy(void *restrict d, const void *restrict s, size_t n);
void *memmove(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

/* Copies at most size - 1 bytes and ends with NUL; returns strlen(src). */
size_t strlcpy(char *dst, const char *src, size_t size);
