DIR := tests/unit/malv
NAME := malv_parts
SRCS := malv_test.c
COVERS := host/malv/bootline.c host/malv/frames.c host/malv/options.c host/malv/bind.c host/malv/report.c \
  host/malv/image.c
NEEDS :=
include tools/build/unit-test.mk
