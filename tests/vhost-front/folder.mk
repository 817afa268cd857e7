# The front end that tests and benchmarks use to speak to gpud without a machine, and gpud's tests.
DIR := tests/vhost-front
SRCS := front.c front_requests.c
NEEDS :=
include tools/build/library.mk
SRCS_tests/vhost-front += host/gpud/vhost_message.c

DIR := tests/vhost-front
NAME := gpud_test
SRCS := gpud_test.c rig.c
NEEDS := tests/vhost-front
include tools/build/unit-test.mk
build/tests/gpud_test: | $(BUILD)/host/gpud

DIR := tests/vhost-front
NAME := gpud_sandbox
SRCS := sandbox_test.c rig.c
NEEDS := tests/vhost-front
include tools/build/unit-test.mk
build/tests/gpud_sandbox: | $(BUILD)/host/gpud

DIR := tests/vhost-front
NAME := gpud_leftovers
SRCS := leftovers_test.c
NEEDS := tests/vhost-front
include tools/build/unit-test.mk
build/tests/gpud_leftovers: | $(BUILD)/host/gpud

DIR := tests/vhost-front
NAME := gpud_limits
SRCS := limits_test.c rig.c
NEEDS := tests/vhost-front
include tools/build/unit-test.mk
build/tests/gpud_limits: | $(BUILD)/host/gpud

DIR := tests/vhost-front
NAME := gpud_bad_requests
SRCS := bad_requests_test.c rig.c
NEEDS := tests/vhost-front
include tools/build/unit-test.mk
build/tests/gpud_bad_requests: | $(BUILD)/host/gpud

DIR := tests/vhost-front
NAME := gpud_operations
SRCS := operations_test.c tensor_rig.c rig.c
NEEDS := tests/vhost-front lib/gpucmd
LIBS := -lm
include tools/build/unit-test.mk
build/tests/gpud_operations: | $(BUILD)/host/gpud

DIR := tests/vhost-front
NAME := gpud_networks
SRCS := networks_test.c tensor_rig.c rig.c
NEEDS := tests/vhost-front lib/gpucmd
LIBS := -lm
include tools/build/unit-test.mk
build/tests/gpud_networks: | $(BUILD)/host/gpud

DIR := tests/vhost-front
NAME := gpud_bad_operations
SRCS := bad_operations_test.c rig.c
NEEDS := tests/vhost-front lib/gpucmd
include tools/build/unit-test.mk
build/tests/gpud_bad_operations: | $(BUILD)/host/gpud

DIR := tests/vhost-front
NAME := gpud_fuzz
SRCS := gpud_fuzz.c rig.c
NEEDS := tests/vhost-front
include tools/build/unit-test.mk
build/tests/gpud_fuzz: | $(BUILD)/tests/gpud-asan
