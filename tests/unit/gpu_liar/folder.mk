# The driver virtio_gpgpu and kernel/gpu under sanitizers, with the device that lies (tests/hostile_gpu) and the kernel
# code that works with it: in one thread, with a time that jumps to whatever is waited for.
DIR := tests/unit/gpu_liar
NAME := gpu_liar
SRCS := gpu_liar_test.c world.c ../nucleus/stand_ins.c ../../hostile_gpu/drive.c ../../hostile_gpu/liar.c ../../hostile_gpu/misuse.c
COVERS := $(addprefix kernel/gpu/,context.c device.c fence.c memory.c object.c residency.c submit.c table.c) \
  $(addprefix modules/drivers/virtio/,device.c main.c queue.c) \
  $(addprefix modules/drivers/virtio_gpgpu/,control.c event.c main.c objects.c submit.c)
NEEDS := lib/gpucmd lib/vring
EXTRA := $(STAND_INS) -DKMOD_INTERFACE=0 -include tests/unit/gpu_liar/manifest.h
include tools/build/unit-test.mk
