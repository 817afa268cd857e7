DIR := tests/vm/guest/t_wait
NAME := t_wait
SRCS := t_wait.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
