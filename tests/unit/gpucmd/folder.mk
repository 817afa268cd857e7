DIR := tests/unit/gpucmd
NAME := gpucmd
SRCS := gpucmd_test.c
NEEDS := lib/gpucmd
include tools/build/unit-test.mk

DIR := tests/unit/gpucmd
NAME := gpucmd_names
SRCS := names_test.c
NEEDS := lib/gpucmd
include tools/build/unit-test.mk
