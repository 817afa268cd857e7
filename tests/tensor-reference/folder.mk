# What tests of built-in operations hold results against.
DIR := tests/tensor-reference
SRCS := reference.c
NEEDS :=
include tools/build/library.mk
