# The rarer commands through libmalv: rows, batches without an order, questions, times, time limits; tests/vm/gpu
# runs it in a machine.
DIR := tests/malv-commands
NAME := malv_commands_test
INSTALL := none
SRCS := main.c
NEEDS := user/libmalv
include tools/build/guest-program.mk
