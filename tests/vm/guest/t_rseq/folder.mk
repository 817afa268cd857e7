DIR := tests/vm/guest/t_rseq
NAME := t_rseq
SRCS := t_rseq.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
