DIR := tests/vm/guest/t_process
NAME := t_process
SRCS := t_process.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
