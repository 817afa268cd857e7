# A module that uses gpu_crc as others would; ktest's suite gpu_crc loads it and runs its cases.
DIR := tests/crc-consumer
NAME := crc_consumer
INSTALL := none
SRCS := main.c load.c
NEEDS := modules/gpu_crc tests/kernel lib/crc32c
include tools/build/kmod.mk
