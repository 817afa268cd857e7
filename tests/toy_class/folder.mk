# A class of policies for tests in a machine: `mlctl load toy_class`.
DIR := tests/toy_class
NAME := toy_class
SRCS := main.c
NEEDS := modules/linux
INSTALL := none
include tools/build/kmod.mk
