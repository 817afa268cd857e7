# Measures what operations cost a program; only `make bench` puts it into a machine.
DIR := user/bench-costs
NAME := bench_costs
INSTALL := none
SRCS := main.c calls.c threads.c bare.c
NEEDS :=
include tools/build/guest-program.mk
