/*
 * malv.h: the user ABI of the GPU, /dev/malv0.
 *
 * One context per open file: closing it, or the death of the process, releases everything in it.
 * Objects are small positive numbers of that context. Commands have the device's own layout
 * (virtio_gpgpu.h); the device checks them. Nothing here depends on the guest kernel being
 * Micro-LAKE. Every ioctl returns 0 or a negative errno:
 *   EINVAL  a field is malformed     ENOENT  no such object     ENOSPC  out of objects
 *   ENOMEM  no memory                E2BIG   over a limit       ENODEV  the device is gone
 *   EIO     the device failed the work   ETIME  its time limit ended it   ENOEXEC  does not build
 *   ETIMEDOUT  a wait ended first        EOPNOTSUPP  not on this back end
 *   ENOTTY  no such call             EFAULT  a bad address
 *   EINTR   a signal came while it waited; nothing was done
 * A field that is called reserved is 0 on the way in, else EINVAL. mmap gives EACCES for a fence page to write to, and
 * so does mprotect, later.
 */
#pragma once

#include <stdint.h>
#include "virtio_gpgpu.h"

#define MALV_DEVICE_PATH "/dev/malv0"
#define MALV_ABI_VERSION 1u

/* Linux's ioctl encoding, spelled out so that this header needs no other. */
#define MALV_IOC(nr, type) ((3u << 30) | ((uint32_t)sizeof(type) << 16) | ((uint32_t)'M' << 8) | (nr))

struct malv_info {
    uint32_t abi_version; /* out: MALV_ABI_VERSION */
    uint32_t reserved;    /* out: 0 */
    struct vgpgpu_config config; /* out: the device's configuration space */
};

/*
 * A flag of BUFFER_CREATE that the device does not know, instead of its own two: a managed buffer. It starts
 * zeroed in the machine's memory and moves to the device when a batch names it, and back when others need the
 * room there: all managed buffers that lie on the device are no more than its quota. Only commands reach it.
 * SUBMIT then looks at the commands; E2BIG: the managed buffers that the batch names are more than the quota.
 * After a failed batch the contents of what it names are undefined.
 */
#define MALV_BUFFER_MANAGED (1u << 16)

/*
 * For SUBMIT of a program with managed buffers, in the field `reserved` of struct vgpgpu_arg: what the kernel
 * does to a buffer. 0 may be anything. READ: it does not write, so the buffer need not be moved back.
 * OVERWRITE: it writes all of it and reads nothing, so the contents need not be moved to the device.
 */
enum malv_arg_hint { MALV_ARG_READ = 1, MALV_ARG_OVERWRITE = 2 };

/* Creates a buffer. GUEST buffers can be mapped: mmap(fd, offset = mmap_offset), MAP_SHARED. */
struct malv_buffer_create {
    uint64_t size;        /* in: bytes */
    uint32_t flags;       /* in: VGPGPU_BUFFER_GUEST, VGPGPU_BUFFER_DEVICE or MALV_BUFFER_MANAGED */
    uint32_t buffer;      /* out */
    uint64_t mmap_offset; /* out: GUEST only */
};

/* Builds a program. On ENOEXEC the log says why. */
struct malv_program_create {
    uint64_t source;  /* in: address */
    uint64_t options; /* in: address, may be 0 */
    uint64_t log;     /* in: address of log_bytes bytes for the NUL-terminated log, may be 0 */
    uint32_t source_bytes;
    uint32_t options_bytes;
    uint32_t log_bytes;
    uint32_t kind;    /* in: enum vgpgpu_program_kind */
    uint32_t program;  /* out */
    uint32_t reserved; /* in: 0 */
};

struct malv_kernel_create {
    uint32_t program;   /* in */
    uint32_t kernel;    /* out */
    uint32_t arg_count; /* out */
    uint32_t reserved;  /* in: 0 */
    char name[64]; /* in: NUL-terminated */
};

enum malv_object_kind { MALV_BUFFER = 1, MALV_PROGRAM = 2, MALV_KERNEL = 3 };

struct malv_destroy {
    uint32_t kind; /* enum malv_object_kind */
    uint32_t object;
};

/*
 * A sub-buffer: a range of a buffer, or of a sub-buffer, under a number of its own. It is a buffer like any other, but
 * has no memory of its own: the buffer's lives until all its sub-buffers are destroyed too. EINVAL: the range leaves the
 * buffer, `offset` is not a multiple of offset_align, or the buffer is managed. EOPNOTSUPP: the device has none.
 * mmap_offset is that of the page in which it begins, which is `offset` % 4096 bytes before its first one, counted in the
 * buffer that is underneath all; whole pages are mapped.
 */
struct malv_sub_buffer {
    uint64_t offset;      /* in: bytes */
    uint64_t size;        /* in: bytes */
    uint64_t mmap_offset; /* out: of a GUEST buffer's */
    uint32_t buffer;      /* in */
    uint32_t sub_buffer;  /* out */
};

/* With a submission's queue: its commands between two barriers may run in any order. */
#define MALV_SUBMIT_UNORDERED (1u << 31)

/* And with it: the n values below the fence, fewer than 2^23, are the submission's too, for its SIGNALs; WAIT takes
 * them like fences. */
#define MALV_SUBMIT_SIGNALS(n) ((uint32_t)(n) << 8)

/* Submits commands to an in-order queue and does not wait. */
struct malv_submit {
    uint64_t commands; /* in: address */
    uint32_t command_bytes;
    uint32_t queue; /* in: 0..63, perhaps with MALV_SUBMIT_UNORDERED and MALV_SUBMIT_SIGNALS(n) */
    uint64_t fence; /* out: value to wait for on this queue */
};

/* Waits until a queue's fence is signalled. Returns the status of the first submission that failed. */
struct malv_wait {
    uint64_t fence;
    uint64_t timeout_ns; /* UINT64_MAX: no limit; 0: only look */
    uint32_t queue;
    uint32_t reserved;
};

/* A time limit of this file's own, before it has objects or submissions, once: what takes longer ends
 * with ETIME, and the file is lost (ENODEV); others go on. EINVAL: too late. E2BIG: too many such files. */
struct malv_limit {
    uint32_t time_ms; /* in: of one submission or one build; not 0 */
    uint32_t reserved;
};

/* Asks about an object, enum vgpgpu_query_what. Gives what there is from `offset` on. */
struct malv_query {
    uint64_t address; /* in: of `bytes` bytes */
    uint64_t offset;  /* in */
    uint64_t total;   /* out: how many bytes there are in all */
    uint32_t bytes;   /* in: room; out: how many came, perhaps fewer than there was room for */
    uint32_t what;    /* in */
    uint32_t object;  /* in */
    uint32_t reserved;
};

/*
 * poll() of the file says POLLIN from when this fence of the queue is signalled, or the device is gone, until another
 * fence of the queue is named, or 0: none. MALV_IOC_WAIT with a timeout of 0 tells which queue it is, and how its
 * work ended. Fences of other queues go on beside it. EINVAL: it was never submitted, or is lower than one that is
 * still waited for.
 */
struct malv_notify {
    uint64_t fence;
    uint32_t queue;
    uint32_t reserved;
};

#define MALV_IOC_INFO MALV_IOC(0x00, struct malv_info)
#define MALV_IOC_BUFFER_CREATE MALV_IOC(0x01, struct malv_buffer_create)
#define MALV_IOC_PROGRAM_CREATE MALV_IOC(0x02, struct malv_program_create)
#define MALV_IOC_KERNEL_CREATE MALV_IOC(0x03, struct malv_kernel_create)
#define MALV_IOC_DESTROY MALV_IOC(0x04, struct malv_destroy)
#define MALV_IOC_SUBMIT MALV_IOC(0x05, struct malv_submit)
#define MALV_IOC_WAIT MALV_IOC(0x06, struct malv_wait)
#define MALV_IOC_LIMIT MALV_IOC(0x07, struct malv_limit)
#define MALV_IOC_QUERY MALV_IOC(0x08, struct malv_query)
#define MALV_IOC_SUB_BUFFER MALV_IOC(0x0a, struct malv_sub_buffer)
#define MALV_IOC_NOTIFY MALV_IOC(0x09, struct malv_notify)

/* mmap offset of the fence page (read-only): struct vgpgpu_fence_slot[64], to spin without a call. */
#define MALV_MMAP_FENCES 0u
