DIR := tests/vm/guest/t_vdso
NAME := t_vdso
SRCS := t_vdso.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
