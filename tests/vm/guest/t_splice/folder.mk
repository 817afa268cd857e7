DIR := tests/vm/guest/t_splice
NAME := t_splice
SRCS := t_splice.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
