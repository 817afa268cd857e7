DIR := tests/vm/guest/t_inet
NAME := t_inet
SRCS := t_inet.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
