DIR := tests/vm/guest/fuzz_walk
NAME := fuzz_walk
SRCS := main.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
