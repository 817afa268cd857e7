/*
 * floor.S: the smallest PVH kernel: its first instructions end the machine. What QEMU and its
 * firmware need for it is the floor under every machine's start.
 */
    .section .note.Xen, "a", @note
    .long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start

    .text
    .code32
    .globl start
start:
    movw $0x501, %dx /* isa-debug-exit: QEMU ends with status 2 * value + 1 */
    xorl %eax, %eax
    outw %ax, %dx
1:  hlt
    jmp 1b

    .section .note.GNU-stack, "", @progbits
