/*
 * types.h: the words every header of Micro-LAKE uses. Any context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t paddr_t; /* physical address */
typedef uint64_t vaddr_t; /* virtual address of user space, never dereferenced directly */

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ul
#define PAGE_MASK  (PAGE_SIZE - 1)

#define ALIGN_UP(x, a)   (((x) + (a)-1) & ~((uint64_t)(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((uint64_t)(a)-1))
#define ARRAY_SIZE(a)    (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)        ((a) < (b) ? (a) : (b))
#define MAX(a, b)        ((a) > (b) ? (a) : (b))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define __printf(f, a) __attribute__((format(printf, f, a)))
#define __noreturn     __attribute__((noreturn))

#define NS_PER_US  1000ul
#define NS_PER_MS  1000000ul
#define NS_PER_SEC 1000000000ul

/*
 * The one list of results inside Micro-LAKE: 0 or a negative code. The Linux personality translates
 * to errno at its boundary and nowhere else.
 */
enum status {
    OK = 0,
    ERR_NO_MEMORY = -1,
    ERR_INVALID = -2,     /* an argument makes no sense */
    ERR_NOT_FOUND = -3,   /* no such name, object or mapping */
    ERR_EXISTS = -4,      /* the name or place is taken */
    ERR_BUSY = -5,        /* in use: cannot be removed or replaced now */
    ERR_ACCESS = -6,      /* rights do not allow it */
    ERR_FAULT = -7,       /* a user address is not accessible */
    ERR_RANGE = -8,       /* outside the object */
    ERR_TIMED_OUT = -9,
    ERR_INTERRUPTED = -10, /* the thread was asked to stop waiting */
    ERR_UNSUPPORTED = -11,
    ERR_BAD_FORMAT = -12, /* foreign bytes are not what they claim to be */
    ERR_AGAIN = -13,      /* would block */
    ERR_LIMIT = -14,      /* a quota or table is full */
    ERR_LOST = -15,       /* the device or the peer is gone */
    ERR_IO = -16,         /* the device failed the work */
    ERR_BUILD = -17,      /* a program does not compile */
};

/* A short name for a status, e.g. "no memory". Any context. */
const char *status_name(int status);
