# Policies of the class readahead that go wrong, each in a way of its own; t_readahead sets them.
DIR := tests/hostile_readahead
NAME := hostile_readahead
SRCS := main.c
NEEDS := modules/linux
INSTALL := none
include tools/build/kmod.mk
