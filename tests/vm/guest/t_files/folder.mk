DIR := tests/vm/guest/t_files
NAME := t_files
SRCS := t_files.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
