DIR := tests/unit/treap
NAME := treap
SRCS := treap_test.c
NEEDS := lib/treap
include tools/build/unit-test.mk
