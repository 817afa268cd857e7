# A folder of Micro-LAKE: part of the one nucleus image (image.mk links it).
SRCS_$(DIR) := $(addprefix $(DIR)/,$(SRCS))
NEEDS_$(DIR) := $(NEEDS)
NUCLEUS_SRCS += $(SRCS_$(DIR))
NUCLEUS_NEEDS += $(filter lib/%,$(NEEDS))
DEPS += $(call deps_of,$(call objects,k,$(SRCS_$(DIR))))
DIR :=
SRCS :=
NEEDS :=
LIBS :=
