# Launch latency through gpud, without a machine, beside PoCL called directly.
DIR := bench/launch-native
NAME := launch-native
SRCS := launch_native.c direct.c
NEEDS := bench/native tests/vhost-front
LIBS := -lOpenCL
PROGRAM_PLACE := bench
PROGRAM_LDFLAGS_launch-native :=
include tools/build/program.mk
build/bench/launch-native: | $(BUILD)/host/gpud
BENCHES += $(BUILD)/bench/launch-native
