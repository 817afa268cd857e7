# Measures how threads get the CPU; only `make bench` and tests put it into a machine.
DIR := user/bench-sched
NAME := bench_sched
INSTALL := none
SRCS := main.c work.c latency.c server.c arrivals.c adversary.c
NEEDS := user/bench-bare
LIBS := -lm
include tools/build/guest-program.mk
