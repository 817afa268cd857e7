# Threads, waiting, and the mechanism of scheduling.
DIR := kernel/thread
SRCS := thread.c pass.c sched.c judge.c round_robin.c wait.c spinlock.c
HOT := sched.c judge.c wait.c spinlock.c
NEEDS :=
include tools/build/nucleus.mk
