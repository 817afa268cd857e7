DIR := tests/vm/guest/t_mounts
NAME := t_mounts
SRCS := t_mounts.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
