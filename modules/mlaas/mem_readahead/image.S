/*
 * image.S: the model that tools/train/mem_readahead.py has made.
 */
    .section .rodata
    .balign 16
    .globl readahead_model, readahead_model_end
readahead_model:
    .incbin "modules/mlaas/mem_readahead/mem_readahead.mlm"
readahead_model_end:
    .section .note.GNU-stack, "", @progbits
