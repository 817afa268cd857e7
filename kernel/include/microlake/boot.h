/*
 * boot.h: what the machine was started with: options, the boot archive, and who runs the command.
 */
#pragma once

#include <microlake/types.h>

/*
 * Options on the command line, "name=value" or "name". Returns the value ("" without one), or NULL.
 * `nth` counts repeated options from 0. The text lives for ever. Any context.
 */
const char *boot_option(const char *name, unsigned nth);

/* An option as a number (decimal or 0x); fallback when absent or malformed. */
uint64_t boot_option_number(const char *name, uint64_t fallback);

/* Everything behind " -- " on the command line, or "". */
const char *boot_command(void);

/* One file of the boot archive; data lives in place until the machine ends. */
struct boot_file {
    const char *path; /* without a leading slash */
    const uint8_t *data;
    size_t size;
    uint32_t mode;    /* as in cpio: type and permissions */
};

/* Finds a file by path. ERR_NOT_FOUND. */
int boot_file_find(const char *path, struct boot_file *out);

/* Walks the archive: *cursor starts at 0. ERR_NOT_FOUND at the end. */
int boot_file_next(size_t *cursor, struct boot_file *out);

/*
 * A personality's offer to run the command: called once, in a thread of its own, when all modules of
 * the boot archive are loaded. The machine ends when it returns, with the status returned.
 */
void boot_set_main(int (*run)(void));

/*
 * The personality says that the command is about to run its first instruction: the host is told, and
 * what the boot archive has for later is loaded from now on, beside the command. Thread context.
 */
void boot_command_begins(void);

/* Ends the machine now; status 0..255 goes to whoever started it. */
void machine_exit(unsigned status) __noreturn;

/*
 * A driver's channel to the host. Filled in by its driver module; NULL members are allowed.
 * `mark` names a moment for the host to time-stamp, `stat` one figure; both "name" / "name=value".
 */
struct host_channel {
    void (*mark)(const char *name);
    void (*stat)(const char *name_value);
    void (*exit)(unsigned status);                  /* just before the machine ends */
    long (*write)(unsigned stream, const void *p, size_t n); /* 1 stdout, 2 stderr; thread context */
    /* stdin; 0 at the end; thread context. ERR_AGAIN with wait: size() has news. */
    long (*read)(void *p, size_t n, bool wait);
    /* The host's terminal: true when it has another size than at the last call. Any context. */
    bool (*size)(uint16_t *rows, uint16_t *columns);
};
void host_channel_set(const struct host_channel *channel);
const struct host_channel *host_channel(void); /* never NULL; members may be */

/* Convenience: nothing happens without a channel. */
void host_mark(const char *name);
void host_stat(const char *format, ...) __printf(1, 2);
