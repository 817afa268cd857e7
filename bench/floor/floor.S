/*
 * floor.S: the smallest PVH kernel: its first instructions send the mark that a machine sends with its
 * first program, a frame of uapi/hostctl.h, and end the machine. What QEMU and its firmware need for
 * it is the floor under every machine's start.
 */
    .section .note.Xen, "a", @note
    .long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start

    .text
    .code32
    .globl start
start:
    movw $0x2f8, %dx /* COM2, the control channel; its FIFO's 16 bytes are enough */
    movl $mark, %esi
    movl $mark_end - mark, %ecx
    rep outsb
    movw $0x501, %dx /* isa-debug-exit: QEMU ends with status 2 * value + 1 */
    xorl %eax, %eax
    outw %ax, %dx
1:  hlt
    jmp 1b

mark:
    .byte 'm', mark_end - mark - 2
    .ascii "first-user"
mark_end:

    .section .note.GNU-stack, "", @progbits
