DIR := tests/vm/guest/t_vectors
NAME := t_vectors
SRCS := t_vectors.c
NEEDS :=
LIBS := -lm
INSTALL := none
include tools/build/guest-program.mk
