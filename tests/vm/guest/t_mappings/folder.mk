DIR := tests/vm/guest/t_mappings
NAME := t_mappings
SRCS := t_mappings.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
