# A class of decisions with good, bad and hostile policies, and a pilot: for tests/vm/mlaas.
DIR := tests/mlaas_lab
NAME := mlaas_lab
SRCS := main.c policies.c
NEEDS := modules/linux modules/mlaas/core
INSTALL := none
include tools/build/kmod.mk
