# libmalv for the programs of this tree, which link its sources, and for programs of others: libmalv.so.1
# and libmalv.a. `make install-libmalv PREFIX=/usr` installs it, DESTDIR in front as usual.
LIBMALV_SRCS := device.c buffer.c program.c batch.c operations.c queue.c transfer.c names.c error.c

DIR := user/libmalv
SRCS := $(LIBMALV_SRCS)
NEEDS := lib/gpucmd
include tools/build/library.mk

DIR := user/libmalv
NAME := malv
MAJOR := 1
SRCS := $(LIBMALV_SRCS)
NEEDS := lib/gpucmd
include tools/build/shared-library.mk

.PHONY: install-libmalv
install-libmalv: $(BUILD)/lib/libmalv.so.1 $(BUILD)/lib/libmalv.a
	$(Q)tools/install-libmalv "$(DESTDIR)" "$(or $(PREFIX),/usr/local)"
