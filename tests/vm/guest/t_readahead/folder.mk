DIR := tests/vm/guest/t_readahead
NAME := t_readahead
SRCS := t_readahead.c policies.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
