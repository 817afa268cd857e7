/*
 * image.S: the shared object that vdso.c and vdso.lds make, as bytes for map.c.
 */
    .section .rodata.vdso, "a"
    .globl vdso_image, vdso_image_end
vdso_image:
    .incbin "vdso.so"
vdso_image_end:
    .section .note.GNU-stack, "", @progbits
