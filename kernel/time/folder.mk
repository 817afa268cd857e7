# The clock and one-shot timers.
DIR := kernel/time
SRCS := time.c timer.c
NEEDS :=
include tools/build/nucleus.mk
