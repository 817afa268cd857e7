DIR := tests/vm/guest/t_events
NAME := t_events
SRCS := t_events.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
