DIR := tests/vm/guest/t_opens
NAME := t_opens
SRCS := t_opens.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
