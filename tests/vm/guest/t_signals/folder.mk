DIR := tests/vm/guest/t_signals
NAME := t_signals
SRCS := t_signals.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
