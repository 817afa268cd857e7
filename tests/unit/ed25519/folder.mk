DIR := tests/unit/ed25519
NAME := ed25519
SRCS := ed25519_test.c
NEEDS := lib/ed25519 lib/ed25519_sign
include tools/build/unit-test.mk
