# Built-in operations through libmalv; tests/vm/gpu runs it in a machine.
DIR := tests/malv-operations
NAME := malv_operations_test
INSTALL := none
SRCS := main.c
NEEDS := user/libmalv
include tools/build/guest-program.mk
