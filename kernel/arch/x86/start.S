/*
 * start.S: from the loader to C. The PVH entry arrives in 32-bit protected mode without paging, with
 * EBX pointing at the start info (Xen's "x86/HVM direct boot ABI"); application CPUs arrive in real
 * mode at the trampoline. Both use the boot page tables: 1 GiB identity mapped, the same GiB at
 * DIRECT_MAP_BASE and at KERNEL_BASE. The final tables come in C.
 */
#define KERNEL_BASE 0xffffffff80000000
#define PHYS(x) ((x) - KERNEL_BASE)

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18          /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long PHYS(pvh_start)

    .section .text.start, "ax"
    .code32
    .globl pvh_start
pvh_start:
    cld
    mov %ebx, PHYS(pvh_start_info)
    mov $PHYS(boot_stack_top), %esp
    call load_long_mode
    lgdt PHYS(boot_gdt_pointer)
    ljmp $0x08, $PHYS(pvh_start64)

/* Turns paging and long mode on with the boot tables; clobbers eax, ecx, edx. */
load_long_mode:
    mov $PHYS(boot_pml4), %eax
    mov %eax, %cr3
    mov $0x20, %eax         /* CR4.PAE */
    mov %eax, %cr4
    mov $0xc0000080, %ecx   /* EFER: LME, NXE, SCE */
    rdmsr
    or $0x901, %eax
    wrmsr
    mov $0x80010021, %eax   /* CR0: PG, WP, NE, PE */
    mov %eax, %cr0
    ret

    .code64
pvh_start64:
    movabs $1f, %rax
    jmp *%rax
1:  lgdt boot_gdt_pointer_high
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    movabs $boot_stack_top, %rsp
    xor %ebp, %ebp
    push %rbp
    mov pvh_start_info(%rip), %edi
    call kernel_start
2:  hlt
    jmp 2b

/*
 * The trampoline is copied to a page below 1 MiB; code in it addresses itself through DS = CS.
 */
    .globl ap_trampoline, ap_trampoline_end
    .code16
    .balign 16
ap_trampoline:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl (ap_gdt_pointer - ap_trampoline)
    mov $0x11, %eax         /* CR0: PE, ET */
    mov %eax, %cr0
    ljmpl $0x18, $PHYS(ap_start32)
    .balign 8
ap_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long PHYS(boot_gdt)
ap_trampoline_end:

    .code32
ap_start32:
    mov $0x10, %eax
    mov %eax, %ds
    /* As load_long_mode, but without a stack: several CPUs may be here at the same time. */
    mov $PHYS(boot_pml4), %eax
    mov %eax, %cr3
    mov $0x20, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax
    wrmsr
    mov $0x80010021, %eax
    mov %eax, %cr0
    ljmp $0x08, $PHYS(ap_start64)

    .code64
ap_start64:
    movabs $1f, %rax
    jmp *%rax
1:  lgdt boot_gdt_pointer_high
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov kernel_root(%rip), %rax
    mov %rax, %cr3
    /* Each CPU takes the next prepared slot: its struct cpu and its stack. */
    mov $1, %eax
    lock xaddl %eax, ap_next_slot(%rip)
    movabs $ap_stacks, %rdx
    mov (%rdx,%rax,8), %rsp
    mov %eax, %edi
    xor %ebp, %ebp
    push %rbp
    call ap_main
2:  hlt
    jmp 2b

    .section .rodata
    .balign 8
    .globl boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff  /* 0x08 64-bit code */
    .quad 0x00cf93000000ffff  /* 0x10 data */
    .quad 0x00cf9b000000ffff  /* 0x18 32-bit code */
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long PHYS(boot_gdt)
boot_gdt_pointer_high:
    .word boot_gdt_end - boot_gdt - 1
    .quad boot_gdt

    .section .data
    .balign 4096
boot_pml4:
    .quad PHYS(boot_pdpt_low) + 3
    .fill 255, 8, 0
    .quad PHYS(boot_pdpt_low) + 3   /* DIRECT_MAP_BASE */
    .fill 254, 8, 0
    .quad PHYS(boot_pdpt_high) + 3
boot_pdpt_low:
    .quad PHYS(boot_pd) + 3
    .fill 511, 8, 0
boot_pdpt_high:
    .fill 510, 8, 0
    .quad PHYS(boot_pd) + 3
    .quad 0
boot_pd:
    .set page, 0
    .rept 512
    .quad page + 0x83
    .set page, page + 0x200000
    .endr
    .globl pvh_start_info, ap_next_slot
pvh_start_info:
    .long 0
ap_next_slot:
    .long 0

    .section .bss
    .balign 4096
    .globl boot_stack, boot_stack_top
boot_stack:
    .fill 16384, 1, 0
boot_stack_top:
