DIR := host/kmodpack
NAME := kmodpack
SRCS := main.c object.c pack.c
NEEDS := host/files lib/kmodfile
include tools/build/host-program.mk
