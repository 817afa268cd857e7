DIR := tests/vm/guest/t_oom
NAME := t_oom
SRCS := t_oom.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
