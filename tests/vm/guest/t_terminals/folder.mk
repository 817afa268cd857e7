DIR := tests/vm/guest/t_terminals
NAME := t_terminals
SRCS := t_terminals.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
