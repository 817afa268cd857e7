DIR := tests/vm/guest/t_futex
NAME := t_futex
SRCS := t_futex.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
