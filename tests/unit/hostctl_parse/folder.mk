DIR := tests/unit/hostctl_parse
NAME := hostctl_parse
SRCS := parse_test.c
COVERS := modules/drivers/hostctl/parse.c
include tools/build/unit-test.mk
