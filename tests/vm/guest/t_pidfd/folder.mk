DIR := tests/vm/guest/t_pidfd
NAME := t_pidfd
SRCS := t_pidfd.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
