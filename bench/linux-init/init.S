/*
 * init.S: the first program of the Linux that the start-up is compared with: its first instructions
 * end the machine through isa-debug-exit. No library, so nothing is counted but Linux.
 */
    .text
    .globl _start
_start:
    movl $172, %eax /* iopl(3): the right to use ports */
    movl $3, %edi
    syscall
    movw $0x501, %dx
    xorl %eax, %eax
    outw %ax, %dx
1:  movl $34, %eax /* pause() */
    syscall
    jmp 1b

    .section .note.GNU-stack, "", @progbits
