# 64 MiB to the device and back: in place, where nothing is copied, and through its own memory.
DIR := bench/copy-native
NAME := copy-native
SRCS := copy_native.c copies.c
include bench/native/bench.mk
