DIR := tests/vm/guest/t_lost
NAME := t_lost
SRCS := t_lost.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
