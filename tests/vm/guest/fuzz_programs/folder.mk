DIR := tests/vm/guest/fuzz_programs
NAME := fuzz_programs
SRCS := main.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
