# Readers of one file in several patterns at once; `make bench` and tests put it into machines, Linux's too.
DIR := user/bench-readahead
NAME := bench_readahead
INSTALL := none
SRCS := main.c patterns.c
NEEDS :=
include tools/build/guest-program.mk
