# What the benchmarks run beside MaLV-OS: QEMU's floor, and first programs for Linux; and the archive
# with what only tests and benchmarks put into a machine.
$(BUILD)/bench/floor.elf: bench/floor/floor.S
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -nostdlib -static -no-pie -Wl,-N,-Ttext=0x100000,--section-start=.note.Xen=0x100100,-e,start,--build-id=none,--no-warn-rwx-segments -o $@ $<
$(BUILD)/bench/linux.cpio: bench/linux-init/init.S
	@mkdir -p $(@D)/linux-root
	$(Q)$(CC) -nostdlib -static -no-pie -s -Wl,--build-id=none -o $(@D)/linux-root/init $<
	$(Q)cd $(@D)/linux-root && echo init | cpio -o -H newc --quiet > ../linux.cpio
$(BUILD)/bench/linux-costs.cpio: $(BUILD)/guest/bench_costs $(BUILD)/guest/true
	@mkdir -p $(@D)/costs-root/bin
	$(Q)cp $^ $(@D)/costs-root/bin
	$(Q)cd $(@D)/costs-root && printf '%s\n' bin bin/bench_costs bin/true | cpio -o -H newc --quiet > ../linux-costs.cpio
$(BUILD)/bench/linux-sched.cpio: $(BUILD)/guest/bench_sched
	@mkdir -p $(@D)/sched-root/bin
	$(Q)cp $^ $(@D)/sched-root/bin
	$(Q)cd $(@D)/sched-root && printf '%s\n' bin bin/bench_sched | cpio -o -H newc --quiet > ../linux-sched.cpio
$(BUILD)/bench/linux-busybox.cpio: $(BUILD)/tools/busybox/busybox bench/linux-busybox/init bench/linux-busybox/idle
	@mkdir -p $(@D)/busybox-root/bin
	$(Q)cp $(BUILD)/tools/busybox/busybox $(@D)/busybox-root/bin
	$(Q)cp bench/linux-busybox/init bench/linux-busybox/idle $(@D)/busybox-root
	$(Q)cd $(@D)/busybox-root && printf '%s\n' bin bin/busybox init idle | cpio -o -H newc --quiet > ../linux-busybox.cpio
# A root over 9p; tools/setup --bench fetches the kernel's modules.
ifneq ($(wildcard $(BUILD)/tools/linux-9p/version),)
BENCHES += $(BUILD)/bench/linux-python.cpio
endif
$(BUILD)/bench/linux-python.cpio: $(BUILD)/tools/busybox/busybox bench/linux-python/init bench/linux-python/modules $(BUILD)/tools/linux-9p/version
	@mkdir -p $(@D)/python-root/bin $(@D)/python-root/root $(@D)/python-root/modules
	$(Q)cp $(BUILD)/tools/busybox/busybox $(@D)/python-root/bin
	$(Q)cp bench/linux-python/init $(@D)/python-root
	$(Q)cp $(BUILD)/tools/linux-9p/modules/*.ko $(@D)/python-root/modules
	$(Q)cp bench/linux-python/modules $(@D)/python-root/modules/list
	$(Q)cd $(@D)/python-root && find . -mindepth 1 | sort | cpio -o -H newc --quiet > ../linux-python.cpio
# An image on a disk; likewise.
ifneq ($(wildcard $(BUILD)/tools/linux-9p/modules/erofs.ko),)
BENCHES += $(BUILD)/bench/linux-readahead.cpio
endif
$(BUILD)/bench/linux-readahead.cpio: $(BUILD)/tools/busybox/busybox $(BUILD)/guest/bench_readahead bench/linux-readahead/init bench/linux-readahead/modules $(BUILD)/tools/linux-9p/version
	@mkdir -p $(@D)/readahead-root/bin $(@D)/readahead-root/root $(@D)/readahead-root/dev $(@D)/readahead-root/modules
	$(Q)cp $(BUILD)/tools/busybox/busybox $(BUILD)/guest/bench_readahead $(@D)/readahead-root/bin
	$(Q)cp bench/linux-readahead/init $(@D)/readahead-root
	$(Q)cp $(patsubst %,$(BUILD)/tools/linux-9p/modules/%.ko,$(shell cat bench/linux-readahead/modules)) $(@D)/readahead-root/modules
	$(Q)cp bench/linux-readahead/modules $(@D)/readahead-root/modules/list
	$(Q)cd $(@D)/readahead-root && find . -mindepth 1 | sort | cpio -o -H newc --quiet > ../linux-readahead.cpio
BENCHES += $(BUILD)/bench/floor.elf $(BUILD)/bench/linux.cpio $(BUILD)/bench/linux-costs.cpio $(BUILD)/bench/linux-sched.cpio \
  $(BUILD)/boot-test.cpio $(BUILD)/boot-busybox.cpio $(BUILD)/bench/linux-busybox.cpio
