DIR := tests/vm/guest/t_names
NAME := t_names
SRCS := t_names.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
