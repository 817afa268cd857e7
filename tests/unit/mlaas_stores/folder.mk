DIR := tests/unit/mlaas_stores
NAME := mlaas_stores
SRCS := stores_test.c
COVERS := modules/mlaas/features/ring.c modules/mlaas/features/capture.c modules/mlaas/models/fit.c modules/mlaas/batch/crossing.c
NEEDS := lib/mlrt
EXTRA := -Ikernel/include -DOUTSIDE_KERNEL
LIBS := -lpthread -lm
include tools/build/unit-test.mk
