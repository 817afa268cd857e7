/*
 * string.c: the freestanding string functions of memory.h. Any context.
 *
 * Copies and fills use the processor's string instructions, which are microcoded for long runs and
 * need no vector registers; by words, because emulators take them one element at a time. The loops below must stay loops: without the pragma the compiler would
 * turn them into calls of the very functions they make up.
 */
#include <microlake/memory.h>

#pragma GCC optimize("no-tree-loop-distribute-patterns")

void *memcpy(void *restrict d, const void *restrict s, size_t n)
{
    void *to = d;
    size_t words = n / 8, rest = n % 8;

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(s), "+c"(words)::"memory");
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(s), "+c"(rest)::"memory");
    return d;
}

void *memmove(void *d, const void *s, size_t n)
{
    /* Going up, a word is read before anything at or above it is written. */
    if ((uintptr_t)d - (uintptr_t)s >= n)
        return memcpy(d, s, n);

    uint8_t *to = (uint8_t *)d + n - 1;
    const uint8_t *from = (const uint8_t *)s + n - 1;
    __asm__ volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(n)::"memory", "cc");
    return d;
}

void *memset(void *d, int c, size_t n)
{
    void *to = d;
    size_t words = n / 8, rest = n % 8;
    uint64_t fill = (uint8_t)c * 0x0101010101010101ull;

    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(fill) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(fill) : "memory");
    return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (; n && *x == *y; n--, x++, y++) {
    }
    return n ? *x - *y : 0;
}

size_t strlen(const char *s)
{
    const char *end = s;

    while (*end)
        end++;
    return (size_t)(end - s);
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++) {
    }
    return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n && *a == *b; n--, a++, b++)
        if (!*a)
            return 0;
    return n ? (uint8_t)*a - (uint8_t)*b : 0;
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return (char *)s;
}

char *strrchr(const char *s, int c)
{
    const char *found = NULL;

    do {
        if (*s == (char)c)
            found = s;
    } while (*s++);
    return (char *)found;
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
    size_t length = strlen(src);

    if (size) {
        size_t n = MIN(length, size - 1);

        memcpy(dst, src, n);
        dst[n] = '\0';
    }
    return length;
}
