DIR := tests/vm/guest/t_proc
NAME := t_proc
SRCS := t_proc.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
