# A folder under lib/: compiled into whoever names it in NEEDS, in that one's flavor.
SRCS_$(DIR) := $(addprefix $(DIR)/,$(SRCS))
NEEDS_$(DIR) := $(NEEDS)
DEPS += $(call deps_of,$(foreach f,k h s,$(call objects,$(f),$(SRCS_$(DIR)))))
$(call objects,k,$(addprefix $(DIR)/,$(HOT))): EXTRA_CFLAGS := -O2
DIR :=
HOT :=
SRCS :=
NEEDS :=
LIBS :=
