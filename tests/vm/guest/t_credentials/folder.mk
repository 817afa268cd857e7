DIR := tests/vm/guest/t_credentials
NAME := t_credentials
SRCS := t_credentials.c files.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
