DIR := tests/vm/guest/t_stores
NAME := t_stores
SRCS := t_stores.c
NEEDS := lib/mlrt lib/tensorfile
INSTALL := none
include tools/build/guest-program.mk
