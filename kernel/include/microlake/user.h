/*
 * user.h: user mode as a personality sees it: registers, entries, and access to user memory.
 */
#pragma once

#include <microlake/types.h>

/* Saved user registers; they lie at the top of the thread's kernel stack. Order is the entry code's. */
struct user_regs {
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector; /* trap vector, or USER_VECTOR_SYSCALL */
    uint64_t error;  /* trap error code; system calls: the number (as Linux's orig_rax) */
    uint64_t rip, cs, rflags, rsp, ss;
};

#define USER_VECTOR_SYSCALL 0x100u

#define USER_ADDRESS_MIN 0x1000ul
#define USER_ADDRESS_END 0x00007ffffffff000ul /* first address that is not user space */

enum fault_access {
    FAULT_READ = 1u << 0,
    FAULT_WRITE = 1u << 1,
    FAULT_EXEC = 1u << 2,
};

/* A trap in user mode that the kernel could not resolve. */
struct user_fault {
    unsigned vector;  /* processor vector: 0 divide, 3 breakpoint, 6 opcode, 13 protection, 14 page.. */
    vaddr_t address;  /* page faults: the address; else rip */
    unsigned access;  /* page faults: enum fault_access */
    int status;       /* page faults: why it was not resolved: ERR_NOT_FOUND no mapping,
                         ERR_ACCESS protection, ERR_IO backing store, ERR_NO_MEMORY */
};

/*
 * What a personality does for its threads. All run in thread context of the thread concerned with
 * interrupts enabled, and may sleep.
 */
struct user_ops {
    void (*syscall)(struct user_regs *regs);
    void (*fault)(struct user_regs *regs, const struct user_fault *fault);
    void (*before_return)(struct user_regs *regs); /* user_work was set (signals, exit) */
    /* A copy between kernel and user memory needs a page and there is none. It may sleep; true: try
     * again; false: the copy is a fault. NULL: it always is. */
    bool (*starved)(void);
    void (*exited)(void *personality); /* thread_exit(): last call, drop what it holds */
};

/*
 * Copies between kernel and user memory of the current address space, faulting pages in. Returns OK
 * or ERR_FAULT. Thread context, may sleep.
 */
int user_read(void *dst, vaddr_t src, size_t size);
int user_write(vaddr_t dst, const void *src, size_t size);
int user_zero(vaddr_t dst, size_t size);

/* Copies a NUL-terminated string; returns its length, ERR_FAULT, or ERR_RANGE when it needs more than
 * size bytes with its NUL. */
long user_read_string(char *dst, vaddr_t src, size_t size);

/* Atomic operations on an aligned 32-bit word of user memory. ERR_FAULT as above. */
int user_load32(vaddr_t src, uint32_t *out);
int user_cmpxchg32(vaddr_t at, uint32_t expected, uint32_t desired, uint32_t *old);
int user_fetch_op32(vaddr_t at, unsigned op, uint32_t operand, uint32_t *old);
enum user_op32 { USER_OP_SET, USER_OP_ADD, USER_OP_OR, USER_OP_ANDN, USER_OP_XOR };
