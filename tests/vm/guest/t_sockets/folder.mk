DIR := tests/vm/guest/t_sockets
NAME := t_sockets
SRCS := t_sockets.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
