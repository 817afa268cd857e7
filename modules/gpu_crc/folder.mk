DIR := modules/gpu_crc
NAME := gpu_crc
SRCS := main.c request.c keeper.c device.c processor.c
NEEDS := lib/gpucmd lib/crc32c
HOT := processor.c
include tools/build/kmod.mk
