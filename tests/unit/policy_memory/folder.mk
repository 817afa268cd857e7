# The rig takes policy_memory.c in (rig.c).
DIR := tests/unit/policy_memory
NAME := policy_memory
SRCS := ledger_test.c random_test.c rig.c
EXTRA := -Ikernel/include
include tools/build/unit-test.mk
