DIR := modules/linux
NAME := linux
SRCS := main.c entry.c syscall_table.c sys_machine.c sys_module.c \
  process/process.c process/exit.c process/wait.c process/clone.c process/exec.c process/elf_load.c \
  process/stack.c process/vector.c process/sys_process.c process/sys_sched.c process/rseq.c process/credentials.c \
  process/sys_credentials.c process/job.c process/pidfd.c process/limits.c process/unshare.c process/policy.c process/run.c \
  mm/mm.c mm/limits.c mm/sys_lock.c mm/sys_mm.c mm/sys_advice.c mm/oom.c mm/trim.c mm/futex.c mm/futex_waitv.c \
  signal/signal.c signal/queue.c signal/frame.c signal/sys_signal.c \
  tty/tty.c tty/tty_ioctl.c tty/control.c tty/line.c tty/line_edit.c tty/line_out.c tty/bytes.c \
  tty/pty.c tty/console.c \
  event/eventfd.c event/timerfd.c event/signalfd.c event/epoll.c \
  net/socket.c net/packet.c net/flight.c net/transfer.c net/address.c net/inet.c net/sys_socket.c net/option.c net/message.c \
  time/clock.c time/timer.c time/cpu_limit.c time/usage.c vdso/map.c vdso/image.S \
  fs/node.c fs/path.c fs/path_arg.c fs/file.c fs/fd_table.c fs/bootfs.c fs/tmpfs.c fs/devfs.c \
  fs/node_change.c fs/permission.c fs/seal.c fs/node_facts.c fs/mount.c fs/seat.c fs/sys_mount.c fs/window.c fs/xattr.c fs/missing.c fs/sys_xattr.c fs/sys_open.c \
  fs/sys_splice.c \
  fs/cache.c fs/fill.c fs/ahead.c fs/ahead_plain.c fs/ahead_pool.c fs/ahead_shadow.c fs/foreign.c fs/foreign_file.c fs/foreign_xattr.c \
  fs/devices.c fs/stream.c fs/pipe.c fs/poll.c fs/pseudo.c \
  proc/entry.c proc/process.c proc/links.c proc/status.c proc/memory.c proc/machine.c proc/cpu.c \
  fs/sys_file.c fs/sys_io.c fs/sys_path.c fs/sys_attr.c fs/lock.c fs/sys_stat.c
NEEDS := lib/elf
include tools/build/kmod.mk

# The shared object that programs find in their memory: user-mode code, linked by itself and then put
# into the module as bytes.
VDSO_FLAGS := $(COMMON) -fPIC -ffreestanding -fvisibility=hidden -fno-stack-protector -mno-sse -shared -nostdlib \
  -Wl,-T,modules/linux/vdso/vdso.lds -Wl,-soname,linux-vdso.so.1 -Wl,--hash-style=both -Wl,-z,defs \
  -Wl,-z,max-page-size=4096 -Wl,--build-id=none -Wl,--eh-frame-hdr
$(BUILD)/gen/vdso.so: modules/linux/vdso/vdso.c modules/linux/vdso/vvar.h modules/linux/vdso/vdso.lds modules/linux/folder.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -g -MMD -MP,$(VDSO_FLAGS)) -s -o $@ $<
$(BUILD)/obj/k/modules/linux/vdso/image.S.o: $(BUILD)/gen/vdso.so
