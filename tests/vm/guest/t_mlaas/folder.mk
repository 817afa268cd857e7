DIR := tests/vm/guest/t_mlaas
NAME := t_mlaas
SRCS := t_mlaas.c choices.c modules.c files.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
