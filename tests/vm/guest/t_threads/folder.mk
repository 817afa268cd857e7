DIR := tests/vm/guest/t_threads
NAME := t_threads
SRCS := t_threads.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
