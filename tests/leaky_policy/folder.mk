# A policy whose module takes memory and never gives it back, for tests/vm/mlctl.
DIR := tests/leaky_policy
NAME := leaky_policy
SRCS := main.c
NEEDS := modules/linux
INSTALL := none
include tools/build/kmod.mk
