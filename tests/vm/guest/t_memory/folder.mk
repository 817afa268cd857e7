DIR := tests/vm/guest/t_memory
NAME := t_memory
SRCS := t_memory.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
