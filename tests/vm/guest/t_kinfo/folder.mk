DIR := tests/vm/guest/t_kinfo
NAME := t_kinfo
SRCS := t_kinfo.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
