# 64 MiB to the device and back: in place, where nothing is copied, and through its own memory.
DIR := bench/copy-native
NAME := copy-native
SRCS := copy_native.c copies.c
NEEDS := bench/native tests/vhost-front
PROGRAM_PLACE := bench
PROGRAM_LDFLAGS_copy-native :=
include tools/build/program.mk
build/bench/copy-native: | $(BUILD)/host/gpud
BENCHES += $(BUILD)/bench/copy-native
