/*
 * qemu.c: says in QEMU's options what the machine is.
 *
 * microvm without ACPI, PIT and PIC: the guest finds its devices on the kernel command line and its
 * time in the local APIC. Or q35, a PC as it comes. The serial lines are the console (COM1), the
 * control channel (COM2) and the owner's requests (COM3); a write to port 0x501 ends the machine. Guest memory is a shared
 * memfd, so that gpud works in it.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bootline.h"
#include "kvm.h"
#include "message.h"
#include "qemu.h"
#include "terminal.h"
#include "uapi/hostctl.h"
#include "uapi/hostrun.h"
#include "uapi/virtio_gpgpu.h"

#define MIB (1024ull * 1024)

/*
 * The first device on microvm's virtio-mmio bus takes the last of its transports, the next one that
 * before it. QEMU could append the options that say so itself, but they would stand behind the
 * command's words.
 */
#define TRANSPORTS           8u
#define TRANSPORT_BASE       0xfeb00000u
#define TRANSPORT_SIZE       512u
#define TRANSPORT_FIRST_LINE 5u
#define ROOT_TAG             "root"
#define PATIENCE_MORE        90u /* seconds */

#define WORDS_MAX 160
#define TEXT_MAX  (192 * 1024) /* bound paths are up to 8 KiB each, escaped */

/* QEMU's words; their text lies in `text`. */
struct word_list {
    char *words[WORDS_MAX + 1];
    unsigned count;
    char text[TEXT_MAX];
    size_t used;
    bool full;
};

__attribute__((format(printf, 2, 3))) static void word_add(struct word_list *list,
                                                           const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = sizeof(list->text) - list->used;
    int length = vsnprintf(list->text + list->used, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room || list->count == WORDS_MAX) {
        list->full = true;
        return;
    }
    list->words[list->count++] = list->text + list->used;
    list->words[list->count] = NULL;
    list->used += (size_t)length + 1;
}

static bool is_q35(const struct run_options *options)
{
    return !strcmp(options->machine, "q35");
}

static void add_machine_type(struct word_list *list, const struct run_options *options)
{
    word_add(list, "-M");
    if (is_q35(options)) {
        word_add(list, "q35,memory-backend=ram"); /* with its own firmware */
        return;
    }
    word_add(list, "microvm,acpi=off,pit=off,pic=off,rtc=on,isa-serial=off,auto-kernel-cmdline=off,"
                   "x-option-roms=off,memory-backend=ram");
    word_add(list, "-bios");
    word_add(list, "qboot.rom");
}

static bool uses_kvm(const struct run_options *options)
{
    return !options->icount && strcmp(options->accel, "tcg") && !kvm_missing();
}

/* Where the host answers requests, a machine that waits for it must not jump to its next timer: what
 * should end after a minute would end at once. */
static bool waits_for_host(const struct run_options *options)
{
    return options->root || options->bind_count > 0;
}

/* QEMU reads two commas as one. */
static void escape_commas(const char *path, char *out, size_t size)
{
    size_t used = 0;
    for (; *path && used + 2 < size; path++) {
        if (*path == ',')
            out[used++] = ',';
        out[used++] = *path;
    }
    out[used] = '\0';
}

static void add_gdb(struct word_list *list, const char *where)
{
    char escaped[2 * PATH_MAX];
    escape_commas(where, escaped, sizeof(escaped));
    word_add(list, "-gdb");
    if (strchr(where, '/'))
        word_add(list, "unix:%s,server=on,wait=off", escaped);
    else
        word_add(list, "tcp:127.0.0.1:%s", escaped);
}

static void add_board(struct word_list *list, const struct run_options *options)
{
    bool kvm = uses_kvm(options);
    add_machine_type(list, options);
    word_add(list, "-object");
    word_add(list, "memory-backend-memfd,id=ram,share=on,size=%lluM",
             (unsigned long long)(options->memory / MIB));
    word_add(list, "-m");
    word_add(list, "%lluM", (unsigned long long)(options->memory / MIB));
    word_add(list, "-smp");
    word_add(list, "%u", options->cpus);
    word_add(list, "-accel");
    word_add(list, kvm ? "kvm" : options->icount ? "tcg,thread=single" : "tcg,thread=multi");
    if (options->icount) {
        word_add(list, "-icount");
        word_add(list, "shift=0,sleep=%s", waits_for_host(options) ? "on" : "off");
    }
    word_add(list, "-cpu");
    word_add(list, kvm ? "host" : "max");
    word_add(list, "-nodefaults");
    word_add(list, "-no-user-config");
    word_add(list, "-no-reboot");
    word_add(list, "-display");
    word_add(list, "none");
    if (options->gdb)
        add_gdb(list, options->gdb);
}

static void add_gpu(struct word_list *list, const struct machine *machine)
{
    word_add(list, "-chardev");
    word_add(list, "socket,id=gpu,fd=%d", machine->gpu_fd);
    word_add(list, "-device");
    word_add(
        list,
        "vhost-user-test-device%s,chardev=gpu,virtio-id=%u,num_vqs=%u,vq_size=128,config_size=%zu",
        is_q35(machine->options) ? "-pci" : "", VGPGPU_DEFAULT_VIRTIO_ID, VGPGPU_QUEUE_COUNT,
        sizeof(struct vgpgpu_config));
}

/* How the names of QEMU's virtio devices end for the machine's bus. */
static const char *virtio_bus(const struct run_options *options)
{
    return is_q35(options) ? "pci,disable-legacy=on" : "device";
}

/* A folder over 9p. Files keep the modes and links that they have; what the machine makes belongs to
 * who runs it. */
static void add_folder(struct word_list *list, const struct run_options *options, const char *tag,
                       const char *path, bool read_only)
{
    char escaped[2 * PATH_MAX];
    escape_commas(path, escaped, sizeof(escaped));
    word_add(list, "-fsdev");
    word_add(list, "local,id=%s,path=%s,security_model=none,multidevs=remap%s", tag, escaped,
             read_only ? ",readonly=on" : "");
    word_add(list, "-device");
    word_add(list, "virtio-9p-%s,fsdev=%s,mount_tag=%s", virtio_bus(options), tag, tag);
}

/* Nothing writes to an image: several machines may have it at once. */
static void add_image(struct word_list *list, const struct run_options *options, const char *path)
{
    char escaped[2 * PATH_MAX];
    escape_commas(path, escaped, sizeof(escaped));
    word_add(list, "-blockdev");
    word_add(list, "driver=raw,node-name=root,read-only=on,file.driver=file,file.filename=%s",
             escaped);
    word_add(list, "-device");
    word_add(list, "virtio-blk-%s,drive=root,serial=" ROOT_TAG, virtio_bus(options));
}

static void add_root(struct word_list *list, const struct run_options *options)
{
    if (options->root_is_image)
        add_image(list, options, options->root);
    else
        add_folder(list, options, ROOT_TAG, options->root, options->read_only);
}

static void add_binds(struct word_list *list, const struct run_options *options)
{
    for (unsigned i = 0; i < options->bind_count; i++) {
        char tag[16];
        snprintf(tag, sizeof(tag), "bind%u", i);
        add_folder(list, options, tag, options->binds[i].host, options->binds[i].read_only);
    }
}

/* Random bytes of the host's: where start-up is not a matter of single milliseconds. */
static bool has_rng(const struct run_options *options)
{
    return options->root || is_q35(options);
}

static void add_rng(struct word_list *list, const struct run_options *options)
{
    word_add(list, "-device");
    word_add(list, "virtio-rng-%s", virtio_bus(options));
}

/* How many virtio devices the machine has. */
static unsigned devices_count(const struct machine *machine)
{
    return (machine->gpu_fd >= 0) + !!machine->options->root + has_rng(machine->options) +
           machine->options->bind_count;
}

/* The faster line, where there is a place for it. */
static bool has_port(const struct machine *machine)
{
    return is_q35(machine->options) || devices_count(machine) < TRANSPORTS;
}

static void add_port(struct word_list *list, const struct machine *machine)
{
    word_add(list, "-device");
    word_add(list, "virtio-serial-%s,max_ports=2", virtio_bus(machine->options));
    word_add(list, "-chardev");
    word_add(list, "socket,id=port,fd=%d", machine->port_fd);
    word_add(list, "-device");
    word_add(list, "virtserialport,nr=1,chardev=port,name=" HOSTCTL_PORT_NAME);
}

static void add_owner(struct word_list *list, const struct machine *machine)
{
    word_add(list, "-chardev");
    word_add(list, "socket,id=owner,fd=%d", machine->owner_fd);
    word_add(list, "-device");
    word_add(list, "isa-serial,chardev=owner,iobase=0x%x,irq=%u", HOSTRUN_PORT, HOSTRUN_LINE);
}

static void add_devices(struct word_list *list, const struct machine *machine)
{
    word_add(list, "-device");
    word_add(list, "isa-debug-exit,iobase=0x501,iosize=2");
    word_add(list, "-chardev");
    word_add(list, "socket,id=console,fd=%d", machine->console_fd);
    word_add(list, "-device");
    word_add(list, "isa-serial,chardev=console");
    word_add(list, "-chardev");
    word_add(list, "socket,id=control,fd=%d", machine->control_fd);
    word_add(list, "-device");
    word_add(list, "isa-serial,chardev=control");
    if (machine->owner_fd >= 0)
        add_owner(list, machine);
    if (!is_q35(machine->options)) {
        word_add(list, "-global");
        word_add(list, "virtio-mmio.force-legacy=false");
    }
    if (machine->gpu_fd >= 0)
        add_gpu(list, machine);
    if (machine->options->root)
        add_root(list, machine->options);
    if (has_rng(machine->options))
        add_rng(list, machine->options);
    add_binds(list, machine->options);
    if (has_port(machine))
        add_port(list, machine);
}

/* Appends to the options. False: no room. */
__attribute__((format(printf, 3, 4))) static bool option_add(char *out, size_t size,
                                                             const char *format, ...)
{
    va_list arguments;
    size_t used = strlen(out);
    va_start(arguments, format);
    int length = vsnprintf(out + used, size - used, format, arguments);
    va_end(arguments);
    return length >= 0 && (size_t)length < size - used;
}

/* One virtio-mmio device: place 0 is the first on the bus. */
static bool transport_write(char *out, size_t size, const char *option, unsigned place)
{
    unsigned transport = TRANSPORTS - 1 - place;
    return option_add(out, size, "%s=%u@0x%x:%u ", option, TRANSPORT_SIZE,
                      TRANSPORT_BASE + transport * TRANSPORT_SIZE,
                      TRANSPORT_FIRST_LINE + transport);
}

/* How the machine's kernel finds its virtio devices, and what it loads for the faster line. */
static bool devices_write(char *out, size_t size, const struct machine *machine)
{
    unsigned count = devices_count(machine);
    bool room = true;
    if (is_q35(machine->options))
        return option_add(out, size, "virtio_pci hostctl.fast=virtio_pci,virtio_console ");
    for (unsigned i = 0; i < count; i++)
        room &= transport_write(out, size, "virtio_mmio.device", i);
    if (has_port(machine))
        room &= transport_write(out, size, "virtio_mmio.later", count) &&
                option_add(out, size, "hostctl.fast=virtio_mmio,virtio_console ");
    return room;
}

static bool bind_write(char *out, size_t size, const struct bind *bind, unsigned number)
{
    char value[PATH_MAX + 32];
    int length = snprintf(value, sizeof(value), "9p:bind%u:%s%s:%s%s", number,
                          bind->read_only ? "ro" : "rw", bind->file ? "-file" : "",
                          bind->file ? bind->file : "", bind->guest);
    return (size_t)length < sizeof(value) && bootline_add_option(out, size, "bind", value);
}

/* The size of the command's terminal, and its kind unless the user says another. */
static bool terminal_options_write(char *out, size_t size, const struct run_options *options)
{
    const char *kind = getenv("TERM");
    char variable[128];
    uint16_t rows, columns;
    for (const char *const *env = options->env; *env; env++) {
        if (!strncmp(*env, "TERM=", 5))
            kind = NULL;
    }
    terminal_size(&rows, &columns);
    if (!option_add(out, size, " tty=%ux%u", rows, columns))
        return false;
    if (!kind || snprintf(variable, sizeof(variable), "TERM=%s", kind) >= (int)sizeof(variable))
        return true;
    return bootline_add_option(out, size, "env", variable);
}

/* What the command of a root folder starts with. */
static bool command_options_write(char *out, size_t size, const struct run_options *options)
{
    bool room = true;
    if (options->root && options->root_is_image)
        room &= option_add(out, size, " root=erofs:" ROOT_TAG " modules=virtio_blk%s,erofs",
                           options->read_only ? "" : ",layer");
    else if (options->root)
        room &= option_add(out, size, " root=9p:" ROOT_TAG " modules=virtio_9p,p9");
    if (options->bind_count && (!options->root || options->root_is_image))
        room &= option_add(out, size, " modules=virtio_9p,p9");
    for (unsigned i = 0; i < options->bind_count; i++)
        room &= bind_write(out, size, &options->binds[i], i);
    if (has_rng(options))
        room &= option_add(out, size, " modules=virtio_rng");
    if (options->workdir)
        room &= bootline_add_option(out, size, "workdir", options->workdir);
    if (options->tty)
        room &= terminal_options_write(out, size, options);
    for (const char *const *env = options->env; *env; env++)
        room &= bootline_add_option(out, size, "env", *env);
    return room;
}

/* How long the machine waits for work of which nothing ends: longer than gpud lets it take. Behind what the user
 * says, because the first counts. */
static bool patience_write(char *out, size_t size)
{
    const char *text = getenv("GPUD_TIME_LIMIT");
    char *end;
    unsigned long limit = text ? strtoul(text, &end, 10) : 0;
    if (!text || !*text || *end || limit > UINT32_MAX)
        return true;
    return option_add(out, size, " gpu.patience=%lu", limit ? limit + PATIENCE_MORE : 0);
}

/* The kernel's own options: what the launcher adds, then what the user appends. */
static bool own_options_write(char *out, size_t size, const struct machine *machine)
{
    const struct run_options *options = machine->options;
    bool room;
    *out = '\0';
    room = devices_write(out, size, machine);
    if (machine->owner_fd >= 0)
        room &= option_add(out, size, "owner ");
    if (options->kernel_test)
        room &= option_add(out, size, "modules=ktest ktest=%s ", options->kernel_test);
    if (options->append)
        room &= option_add(out, size, "%s", options->append);
    for (size_t length = strlen(out); length > 0 && out[length - 1] == ' ';)
        out[--length] = '\0';
    if (machine->gpu_fd >= 0)
        room &= patience_write(out, size);
    return room && command_options_write(out, size, options);
}

/* The guest's command line. False: it is too long, and a line said so. */
static bool add_boot(struct word_list *list, const struct machine *machine)
{
    char line[BOOTLINE_MAX];
    char own[BOOTLINE_MAX];
    if (!own_options_write(own, sizeof(own), machine) ||
        !bootline_write(line, sizeof(line), own, machine->options->command)) {
        message("command and options are too long: %d bytes at most, encoded", BOOTLINE_MAX - 1);
        return false;
    }
    word_add(list, "-kernel");
    word_add(list, "%s", machine->kernel);
    word_add(list, "-initrd");
    word_add(list, "%s", machine->initrd);
    word_add(list, "-append");
    word_add(list, "%s", line);
    return true;
}

bool qemu_start(struct child *child, const struct qemu_program *qemu, const struct machine *machine)
{
    static struct word_list list;
    if (!is_q35(machine->options) && devices_count(machine) > TRANSPORTS) {
        message("this machine has room for %u devices, not %u: bind fewer folders, or give "
                "--machine q35",
                TRANSPORTS, devices_count(machine));
        return false;
    }
    const int keep[] = {machine->console_fd, machine->control_fd, machine->port_fd, machine->owner_fd,
                        machine->gpu_fd};
    list = (struct word_list){0};
    for (char *const *word = qemu->words; *word; word++)
        word_add(&list, "%s", *word);
    add_board(&list, machine->options);
    add_devices(&list, machine);
    if (!add_boot(&list, machine))
        return false;
    if (list.full) {
        message("the paths of kernel, boot archive and QEMU are too long");
        return false;
    }
    /* QEMU's first thread, for which timers and devices wait, sleeps most of the time, and what it does is short.
     * Where the machine's processors keep all of the host's busy, the host would let it wait for the end of
     * their slices, some milliseconds, each time. */
    return child_start(child, list.words, keep, sizeof(keep) / sizeof(keep[0]), true);
}
