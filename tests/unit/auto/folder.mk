DIR := tests/unit/auto
NAME := auto
SRCS := auto_test.c
COVERS := modules/mlaas/auto/bandit.c
LIBS := -lm
include tools/build/unit-test.mk
