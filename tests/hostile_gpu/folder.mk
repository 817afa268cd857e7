# A GPU that lies, inside a machine: a transport, the liar, and kernel code that works with it.
DIR := tests/hostile_gpu
NAME := hostile_gpu
INSTALL := none
SRCS := machine.c drive.c misuse.c liar.c
NEEDS := lib/gpucmd modules/drivers/virtio
include tools/build/kmod.mk

# The same liar as a vhost-user back end, and a program that uses /dev/malv0 whatever comes.
SRCS_hostile_gpud := host/gpud/vhost_message.c host/gpud/guest_memory.c
DIR := tests/hostile_gpu
NAME := hostile_gpud
SRCS := backend.c liar.c
NEEDS := hostile_gpud
PROGRAM_PLACE := tests
TESTS += $(BUILD)/tests/$(NAME)
PROGRAM_LDFLAGS_$(NAME) :=
include tools/build/program.mk

DIR := tests/hostile_gpu
NAME := hostile_work
INSTALL := none
SRCS := work.c
NEEDS := lib/gpucmd
include tools/build/guest-program.mk
