DIR := tests/vm/guest/t_mapped
NAME := t_mapped
SRCS := t_mapped.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
