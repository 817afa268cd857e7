DIR := tests/fuzz/frames
NAME := fuzz_frames
SRCS := fuzz_frames.c
COVERS := modules/drivers/hostctl/parse.c host/malv/frames.c
include tools/build/unit-test.mk
