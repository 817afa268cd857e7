# The clock and one-shot timers.
DIR := kernel/time
SRCS := time.c timer.c
NEEDS := lib/treap
include tools/build/nucleus.mk
