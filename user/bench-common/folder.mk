# What the benchmarks of the GPU in a machine share.
DIR := user/bench-common
SRCS := bench.c
NEEDS := user/libmalv
include tools/build/library.mk
