DIR := tests/vm/guest/t_pipes
NAME := t_pipes
SRCS := t_pipes.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
