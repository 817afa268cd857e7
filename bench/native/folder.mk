# What the benchmarks of gpud without a machine share.
DIR := bench/native
SRCS := native.c
NEEDS := tests/vhost-front
include tools/build/library.mk
