/*
 * entry.S: ways into the kernel and out of it. The frame pushed here is struct user_regs (user.h).
 * Offsets into struct cpu are checked in cpu.c.
 */
#define CPU_KERNEL_RSP %gs:16
#define CPU_USER_RSP   %gs:24
#define REG_CS 144      /* offsetof(struct user_regs, cs) */

    .macro push_registers
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    .endm

    .macro pop_registers
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    .endm

    .text
/* ---- system calls ---- */
    .globl syscall_entry
    .balign 16
syscall_entry:
    swapgs
    mov %rsp, CPU_USER_RSP
    mov CPU_KERNEL_RSP, %rsp
    push $0x1b              /* ss */
    push CPU_USER_RSP
    push %r11               /* rflags */
    push $0x23              /* cs */
    push %rcx               /* rip */
    push %rax               /* the number */
    push $0x100             /* USER_VECTOR_SYSCALL */
    push_registers
    mov %rsp, %rdi
    xor %ebp, %ebp
    sti
    call syscall_dispatch   /* interrupts are off on return */
    test %eax, %eax
    jz return_iret
    pop_registers
    mov 16(%rsp), %rcx      /* rip */
    mov 32(%rsp), %r11      /* rflags */
    mov 40(%rsp), %rsp
    swapgs
    sysretq

/* ---- traps and interrupts ---- */
/* Exceptions 0..31: 8 bytes each. The processor pushes an error code itself for some of them. */
    .balign 8
    .globl trap_stubs
trap_stubs:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .balign 8
    .if (0x60227d00 >> \n) & 1
    push $\n
    jmp trap_common
    .else
    push $\n
    jmp trap_no_error
    .endif
    .endr
trap_no_error:
    pushq (%rsp)            /* the vector below; its old place is the error code's */
    movq $0, 8(%rsp)
    jmp trap_common

/* Double faults and NMIs have stacks of their own and may come with either GS. */
    .globl trap_8, trap_2
trap_8:
    push $8
    jmp trap_paranoid
trap_2:
    push $0
    push $2
trap_paranoid:
    push_registers
    cld
    mov $0xc0000101, %ecx
    rdmsr
    mov %edx, %r15d
    test %edx, %edx
    js 1f
    swapgs
1:  mov %rsp, %rdi
    mov %rsp, %rbp
    call trap_paranoid_dispatch
    test %r15d, %r15d
    js 2f
    swapgs
2:  pop_registers
    add $16, %rsp
    iretq

/* Interrupt vectors 32..255: 8 bytes each, the vector is computed from the number pushed. */
    .balign 8
    .globl irq_stubs
irq_stubs:
    .set v, 32
    .rept 224
    .balign 8
    push $(v - 144)         /* fits a sign-extended byte: two bytes long */
    jmp irq_common
    .set v, v + 1
    .endr
irq_common:
    addq $144, (%rsp)
    pushq (%rsp)            /* vector below, error code slot above */
    jmp trap_common

    .balign 16
trap_common:
    push_registers
    cld
    testb $3, REG_CS(%rsp)
    jz 1f
    swapgs
    xor %ebp, %ebp
    mov $0x10, %eax         /* GDT_KERNEL_DATA: as system calls have it, where traps leave nothing in SS; */
    mov %eax, %ss           /* an emulator would translate the kernel anew for each */
1:  mov %rsp, %rdi
    call trap_dispatch      /* interrupts are off on return */
    testb $3, REG_CS(%rsp)
    jz 2f
return_iret:
    pop_registers
    add $16, %rsp
    swapgs
    iretq
2:  pop_registers
    add $16, %rsp
    iretq

/* user_enter(regs): never returns. */
    .globl user_enter
user_enter:
    cli
    mov %rdi, %rsp
    jmp return_iret

/* ---- switching ---- */
/* context_switch(uint64_t *save_rsp, uint64_t load_rsp) */
    .globl context_switch
    .balign 16
context_switch:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .globl thread_first_entry
thread_first_entry:
    xor %ebp, %ebp
    push %rbp
    call thread_main
    ud2

/* ---- guarded calls: guard_save(struct guard *) returns 0; guard_resume comes back with rsi ---- */
    .globl guard_save, guard_resume
guard_save:
    mov %rbx, 0(%rdi)
    mov %rbp, 8(%rdi)
    mov %r12, 16(%rdi)
    mov %r13, 24(%rdi)
    mov %r14, 32(%rdi)
    mov %r15, 40(%rdi)
    lea 8(%rsp), %rax
    mov %rax, 48(%rdi)
    mov (%rsp), %rax
    mov %rax, 56(%rdi)
    xor %eax, %eax
    ret
guard_resume:               /* rdi: the guard, rsi: what guard_save() returns now */
    mov 0(%rdi), %rbx
    mov 8(%rdi), %rbp
    mov 16(%rdi), %r12
    mov 24(%rdi), %r13
    mov 32(%rdi), %r14
    mov 40(%rdi), %r15
    mov 48(%rdi), %rsp
    mov %rsi, %rax
    cld
    sti
    jmp *56(%rdi)

/* ---- user memory: a fault between start and end continues at the fixup with CF-free -1 ---- */
    .globl user_access_start, user_access_end, user_access_fault
user_access_start:
    .globl user_copy_raw    /* (dst, src, n): 0 or -1 */
user_copy_raw:
    mov %rdx, %rcx
    cmp $64, %rcx
    jb 1f
    mov %rcx, %rdx
    shr $3, %rcx
    rep movsq
    mov %rdx, %rcx
    and $7, %ecx
1:  rep movsb
    xor %eax, %eax
    ret
    .globl user_zero_raw    /* (dst, n) */
user_zero_raw:
    mov %rsi, %rcx
    xor %eax, %eax
    rep stosb
    ret
    .globl user_string_raw  /* (dst, src, max): length, -1 on a fault, max when there is no NUL */
user_string_raw:
    xor %eax, %eax
1:  cmp %rdx, %rax
    jae 2f
    mov (%rsi,%rax), %cl
    mov %cl, (%rdi,%rax)
    test %cl, %cl
    jz 2f
    inc %rax
    jmp 1b
2:  ret
    .globl user_load32_raw  /* (src, out) */
user_load32_raw:
    mov (%rdi), %ecx
    mov %ecx, (%rsi)
    xor %eax, %eax
    ret
    .globl user_cmpxchg32_raw /* (at, expected, desired, old) */
user_cmpxchg32_raw:
    mov %rcx, %r8
    mov %esi, %eax
    lock cmpxchg %edx, (%rdi)
    mov %eax, (%r8)
    xor %eax, %eax
    ret
user_access_end:
user_access_fault:
    mov $-1, %rax
    ret
