# Pages of files and what is read ahead, with stand-ins for memory objects, frames and threads.
DIR := tests/unit/readahead
NAME := readahead
SRCS := readahead_test.c cache_test.c fill_test.c policy_test.c rig.c
COVERS := $(addprefix modules/linux/fs/,cache.c fill.c ahead_plain.c ahead_pool.c ahead_shadow.c) modules/mlaas/mem_readahead/pattern.c
EXTRA := -Itests/unit/nucleus/include -Ikernel/include
include tools/build/unit-test.mk
