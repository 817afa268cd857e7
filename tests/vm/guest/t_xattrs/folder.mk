DIR := tests/vm/guest/t_xattrs
NAME := t_xattrs
SRCS := t_xattrs.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
