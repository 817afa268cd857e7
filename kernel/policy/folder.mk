# Decisions that modules may take, and their containment.
DIR := kernel/policy
SRCS := policy.c call.c guard.c
NEEDS :=
include tools/build/nucleus.mk
