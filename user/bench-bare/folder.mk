# How a benchmark answers that is a Linux's first program.
DIR := user/bench-bare
SRCS := bare.c
NEEDS := lib/uart
include tools/build/library.mk
