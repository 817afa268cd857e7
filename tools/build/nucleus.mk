# A folder of Micro-LAKE: part of the one nucleus image (image.mk links it). HOT lists the sources that
# are compiled for speed; all others for size.
SRCS_$(DIR) := $(addprefix $(DIR)/,$(SRCS))
NEEDS_$(DIR) := $(NEEDS)
NUCLEUS_SRCS += $(SRCS_$(DIR))
NUCLEUS_NEEDS += $(filter lib/%,$(NEEDS))
DEPS += $(call deps_of,$(call objects,k,$(SRCS_$(DIR))))
$(call objects,k,$(addprefix $(DIR)/,$(HOT))): EXTRA_CFLAGS := -O2
DIR :=
HOT :=
SRCS :=
NEEDS :=
LIBS :=
