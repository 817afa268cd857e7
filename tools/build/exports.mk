# The tables of the nucleus that are made from lists: exports for modules, and functions for
# backtraces; and the public key for modules' signatures (kmod.mk uses the secret one). The nucleus is linked twice: first with SYMBOLS_EMPTY_OBJ, then with SYMBOLS_OBJ, which
# is made from the first link, $(BUILD)/gen/nucleus.first (image.mk's rule).
EXPORTS_OBJ := $(BUILD)/gen/exports.o $(BUILD)/gen/module_key.o
SYMBOLS_EMPTY_OBJ := $(BUILD)/gen/symbols-empty.o
SYMBOLS_OBJ := $(BUILD)/gen/symbols.o

$(BUILD)/gen/exports.c: kernel/exports tools/build/gen-exports
	@mkdir -p $(@D)
	$(Q)tools/build/gen-exports $< > $@
# The key is made once and stays until `make clean`.
$(MODULE_KEY): | $(KMODSIGN)
	@mkdir -p $(@D)
	$(Q)$(KMODSIGN) key $@
$(BUILD)/gen/module_key.c: $(MODULE_KEY)
	@mkdir -p $(@D)
	$(Q)$(KMODSIGN) public $< > $@
$(BUILD)/gen/symbols-empty.c: tools/build/gen-symbols
	@mkdir -p $(@D)
	$(Q)tools/build/gen-symbols < /dev/null > $@
$(BUILD)/gen/symbols.c: $(BUILD)/gen/nucleus.first tools/build/gen-symbols
	$(Q)nm -n $< | tools/build/gen-symbols > $@
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(Q)$(CC) $(CFLAGS_k) -c $< -o $@
DEPS += $(EXPORTS_OBJ:.o=.d) $(SYMBOLS_EMPTY_OBJ:.o=.d) $(SYMBOLS_OBJ:.o=.d)
