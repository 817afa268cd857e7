DIR := tests/vm/guest/t_switch
NAME := t_switch
SRCS := t_switch.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
