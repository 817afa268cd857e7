# Trains and runs small networks whose buffers do not fit into the GPU's quota; only tests and `make bench` put it
# into a machine.
DIR := user/bench-gpu-memory
NAME := gpu_memory_bench
INSTALL := none
SRCS := main.c net.c machine.c
NEEDS := user/bench-common user/libmalv
include tools/build/guest-program.mk
