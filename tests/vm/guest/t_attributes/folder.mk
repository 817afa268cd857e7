DIR := tests/vm/guest/t_attributes
NAME := t_attributes
SRCS := t_attributes.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
