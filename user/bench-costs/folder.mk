# Measures what operations cost a program; only `make bench` puts it into a machine.
DIR := user/bench-costs
NAME := bench_costs
INSTALL := none
SRCS := main.c calls.c threads.c
NEEDS := user/bench-bare
include tools/build/guest-program.mk
