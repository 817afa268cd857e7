# The nucleus's own tests, run inside a machine: `malv run --kernel-test SUITE`.
DIR := tests/kernel
NAME := ktest
INSTALL := none
SRCS := ktest.c memory.c threads.c time.c policies.c decisions.c modules.c aspaces.c exhaustion.c ports.c ports_handles.c ports_ends.c costs.c gpu.c gpu_crc.c gpu_costs.c gpu_memory.c deaths.c traces.c \
  crew.c storms.c cycles.c malformed.c soak.c soak_threads.c soak_memory.c
NEEDS := lib/gpucmd lib/kmodfile
include tools/build/kmod.mk
