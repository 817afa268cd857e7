DIR := tests/fuzz/erofs
NAME := fuzz_erofs
SRCS := fuzz_erofs.c
COVERS := tests/unit/erofs/sample.c
NEEDS := lib/erofs
include tools/build/unit-test.mk
