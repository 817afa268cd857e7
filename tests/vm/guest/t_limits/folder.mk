DIR := tests/vm/guest/t_limits
NAME := t_limits
SRCS := t_limits.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
