# What a decision of the class readahead costs, for machines that count instructions.
$(call objects,h,$(addprefix bench/readahead-decision/,main.c pattern_guest.c plain_guest.c readers_guest.c)): EXTRA_CFLAGS := -Ikernel/include
$(call objects,h,bench/readahead-decision/main.c): modules/mlaas/mem_readahead/mem_readahead.mlm
DIR := bench/readahead-decision
NAME := readahead_decision
INSTALL := none
SRCS := main.c pattern_guest.c plain_guest.c readers_guest.c
NEEDS := lib/mlrt
include tools/build/guest-program.mk
