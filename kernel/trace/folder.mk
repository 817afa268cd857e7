# Tracepoints and counters.
DIR := kernel/trace
SRCS := registry.c ring.c
HOT := ring.c
NEEDS :=
include tools/build/nucleus.mk
