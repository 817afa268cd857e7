/* stubs.S: calls that return twice or not at all. fuzz.h says what each does. */
#include <asm/unistd_64.h>

    .section .note.GNU-stack,"",@progbits
    .text

    .globl call_twice
call_twice:
    push %rbx
    push %r12
    mov %rdx, %rbx
    mov %rcx, %r12
    mov %rdi, %rax
    mov %rsi, %r11
    mov 0(%r11), %rdi
    mov 8(%r11), %rsi
    mov 16(%r11), %rdx
    mov 24(%r11), %r10
    mov 32(%r11), %r8
    mov 40(%r11), %r9
    syscall
    test %rax, %rax
    jz 1f
    pop %r12
    pop %rbx
    ret
1:  test %rbx, %rbx     /* the new one: its stack may be its maker's, still in use */
    jz thread_end
    mov %r12, %rdi
    and $-16, %rsp
    call *%rbx

    .globl thread_end
thread_end:
    xor %edi, %edi
    mov $__NR_exit, %eax
    syscall
    jmp thread_end

    .globl call_sigreturn
call_sigreturn:
    mov %rdi, %rsp
    mov $__NR_rt_sigreturn, %eax
    syscall
    jmp thread_end

    .globl signal_restorer
signal_restorer:
    mov $__NR_rt_sigreturn, %eax
    syscall
    ud2
