DIR := modules/mlaas/features
NAME := features
SRCS := main.c ring.c capture.c store.c files.c recorder.c
NEEDS := modules/linux
HOT := ring.c capture.c
include tools/build/kmod.mk
