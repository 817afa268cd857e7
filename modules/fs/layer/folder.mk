DIR := modules/fs/layer
NAME := layer
SRCS := main.c node.c look.c change.c content.c
NEEDS := modules/linux
include tools/build/kmod.mk
