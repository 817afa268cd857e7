/*
 * space.c: module space on the build machine: the low 2 GiB, where sign-extended addresses reach.
 */
#include "stand_ins.h"

#include <sys/mman.h>

#include "kernel/mm/module_space.h"

size_t space_pages_live;
unsigned space_mixed;

void *module_space_alloc(size_t pages)
{
    if (!allocation_may())
        return NULL;
    void *p = mmap(NULL, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    memset(p, 0xa5, pages * PAGE_SIZE); /* what is not filled shows */
    space_pages_live += pages;
    return p;
}

/* The kernel's protection bits have Linux's values. */
int module_space_protect(void *va, size_t pages, unsigned prot)
{
    space_mixed += (prot & PROT_WRITE) && (prot & PROT_EXEC);
    if (!allocation_may())
        return ERR_NO_MEMORY;
    assert_int_equal(mprotect(va, pages * PAGE_SIZE, (int)prot), 0);
    return OK;
}

void module_space_publish(void *va, size_t pages)
{
    (void)va, (void)pages;
}

void module_space_free(void *va, size_t pages)
{
    assert_int_equal(munmap(va, pages * PAGE_SIZE), 0);
    space_pages_live -= pages;
}
