# Launch latency through gpud, without a machine, beside PoCL called directly.
DIR := bench/launch-native
NAME := launch-native
SRCS := launch_native.c direct.c
LIBS := -lOpenCL
include bench/native/bench.mk
