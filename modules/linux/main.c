/*
 * main.c: the module itself: start-up, and the run of the machine's command.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/entry.h"
#include "modules/linux/fs/ahead.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/stream.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/proc/proc.h"
#include "modules/linux/process/exec.h"
#include "modules/linux/process/process.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/process/vector.h"
#include "modules/linux/process/wait.h"
#include "modules/linux/tty/tty.h"
#include "uapi/kmod.h"

/* What shells use for a command that is not there, and one that can't be run. */
enum { STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };

#define END_PATIENCE (5 * NS_PER_SEC)

static struct process *first_process; /* a reference, from its start to the machine's end */
static struct node *start_folder;     /* a reference; where the command starts */

struct process *process_first(void)
{
    return first_process;
}

/* Where commands lie in the boot archive, and in a root that is a system of its own. */
#define BOOT_PATH "/bin"
#define ROOT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *search_path(void)
{
    return boot_option("root", 0) ? ROOT_PATH : BOOT_PATH;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Copies one argument, which ends at a space, and decodes %XX. Returns what follows it. */
static const char *decode_argument(const char *from, char *out, size_t *size)
{
    size_t n = 0;

    while (*from != '\0' && *from != ' ') {
        if (*from == '%' && hex_value(from[1]) >= 0 && hex_value(from[2]) >= 0) {
            out[n++] = (char)(hex_value(from[1]) * 16 + hex_value(from[2]));
            from += 3;
        } else {
            out[n++] = *from++;
        }
    }
    *size = n;
    return from;
}

/* What the option env=NAME=VALUE gives; it may be repeated, and is encoded as the command is. */
static int read_given(struct exec_strings *strings)
{
    const char *option;
    int r = OK;

    for (unsigned nth = 0; r == OK && (option = boot_option("env", nth)); nth++) {
        char *text = kmalloc(strlen(option) + 1);
        size_t size;

        if (!text)
            return ERR_NO_MEMORY;
        decode_argument(option, text, &size);
        r = exec_strings_add(strings, text, size);
        strings->environment++;
        kfree(text);
    }
    return r;
}

/* Does an option env= say something about the variable of this "NAME=VALUE"? */
static bool is_given(const char *variable)
{
    size_t name = (size_t)(strchr(variable, '=') - variable) + 1;
    const char *option;

    for (unsigned nth = 0; (option = boot_option("env", nth)); nth++) {
        if (strncmp(option, variable, name) == 0)
            return true;
    }
    return false;
}

static int read_environment(struct exec_strings *strings)
{
    char path[sizeof(ROOT_PATH) + 8];
    const char *environment[] = {"HOME=/", "TERM=linux", path};
    int r = read_given(strings);

    snprintf(path, sizeof(path), "PATH=%s", search_path());
    for (size_t i = 0; i < ARRAY_SIZE(environment) && r == OK; i++) {
        if (is_given(environment[i]))
            continue;
        r = exec_strings_add(strings, environment[i], strlen(environment[i]));
        strings->environment++;
    }
    return r;
}

/* The command's arguments and the environment it starts with. */
static int read_command(const char *command, struct exec_strings *strings)
{
    char *argument = kmalloc(strlen(command) + 1);
    int r = argument ? exec_strings_create(strings) : ERR_NO_MEMORY;

    while (r == OK) {
        size_t size;

        while (*command == ' ')
            command++;
        if (*command == '\0')
            break;
        command = decode_argument(command, argument, &size);
        r = exec_strings_add(strings, argument, size);
        strings->arguments++;
    }
    kfree(argument);
    return r == OK ? read_environment(strings) : r;
}

static void complain(const char *name, const char *why)
{
    char line[256];
    int n = snprintf(line, sizeof(line), "malv: %.120s: %s\n", name, why);

    stream_print(2, line, MIN((size_t)n, sizeof(line) - 1));
}

/* The command's file: a path when there is a slash, else a name in one of the usual folders. */
static int find_command(struct node *from, const char *name, char *path, size_t size,
                        struct node **out)
{
    const char *folder = search_path(), *end;
    int r = ERR_NOT_FOUND;

    if (strchr(name, '/'))
        return strlcpy(path, name, size) < size ? path_lookup(from, path, 0, out) : ERR_NOT_FOUND;
    while (r != OK && *folder) {
        end = strchr(folder, ':');
        if (!end)
            end = folder + strlen(folder);
        if ((size_t)snprintf(path, size, "%.*s/%s", (int)(end - folder), folder, name) < size)
            r = path_lookup(from, path, 0, out);
        folder = *end ? end + 1 : end;
    }
    return r == LINUX_ERRNO(ENOTDIR) ? ERR_NOT_FOUND : r;
}

/* The folder in which the command starts: the option workdir=, or the root. */
static int find_start_folder(struct node **out)
{
    const char *option = boot_option("workdir", 0);
    char *path;
    size_t size;
    int r;

    if (!option) {
        *out = node_root;
        node_ref(*out);
        return OK;
    }
    path = kmalloc(strlen(option) + 1);
    if (!path)
        return ERR_NO_MEMORY;
    decode_argument(option, path, &size);
    path[size] = '\0';
    r = path_lookup(node_root, path, PATH_FOLDER, out);
    kfree(path);
    return r;
}

static int open_streams(struct fd_table *files)
{
    for (unsigned stream = 0; stream < 3; stream++) {
        struct file *f;
        int r = stream_open(stream, &f);

        if (r != OK)
            return r;
        if (fd_install(files, f, false, 0, 3) < 0) {
            file_unref(f);
            return ERR_NO_MEMORY;
        }
    }
    return OK;
}

/* /dev/console, three times over: the host's terminal. */
static int open_terminal(struct process *p)
{
    struct node *node;
    struct file *f;
    int r = path_lookup(node_root, "/dev/console", 0, &node);

    if (r != OK)
        return r;
    r = file_open(node, LINUX_O_RDWR | LINUX_O_NOCTTY, &f);
    node_unref(node);
    if (r != OK)
        return r;
    console_give(f, p);
    for (unsigned fd = 0; fd < 3 && r == OK; fd++) {
        file_ref(f);
        if (fd_install(p->files, f, false, 0, 3) < 0) {
            file_unref(f);
            r = ERR_NO_MEMORY;
        }
    }
    file_unref(f);
    return r;
}

static int fill_first(struct process *p, struct exec_program *program)
{
    int r;

    p->mm = program->mm;
    memcpy(p->name, program->name, sizeof(p->name));
    r = fd_table_create(&p->files);
    if (r == OK)
        r = console_is_tty() ? open_terminal(p) : open_streams(p->files);
    if (r == OK)
        r = fs_context_create(&p->fs);
    if (r != OK)
        return r;
    node_ref(start_folder);
    node_unref(p->fs->folder);
    p->fs->folder = start_folder;
    return OK;
}

/* Puts the program into the first process; its thread is ready to start. */
static int make_first(struct exec_program *program, struct process **out_process,
                      struct task **out_task)
{
    struct user_regs regs = {.rip = program->entry, .rsp = program->stack_pointer, .rflags = 0x202};
    struct process *p;
    struct task *t;
    int r = process_create(NULL, false, &p);

    if (r != OK) {
        mm_unref(program->mm);
        return r;
    }
    r = fill_first(p, program);
    if (r == OK)
        r = task_create(p, &t);
    if (r == OK) {
        r = task_attach_thread(t, &regs, 0);
        if (r != OK)
            task_abandon(t);
    }
    if (r != OK) {
        process_abandon(p);
        return r;
    }
    *out_process = p;
    *out_task = t;
    return OK;
}

static void kill_process(struct process *p, void *context)
{
    struct linux_siginfo info = {.signo = LINUX_SIGKILL, .code = LINUX_SI_KERNEL};

    if (p != context && p->state == PROCESS_ALIVE)
        signal_send_process(p, &info);
}

/* Ends what the command has left running, so that nothing is lost and leaks can be seen. */
static void end_others(void)
{
    uint64_t due = time_now() + END_PATIENCE;

    process_for_each(kill_process, first_process);
    while (__atomic_load_n(&process_counts.processes, __ATOMIC_RELAXED) > 1 && time_now() < due)
        thread_sleep(time_now() + NS_PER_MS, 0);
}

static void reap_first(void)
{
    struct process *p = first_process;
    uint64_t flags = spin_lock_irqsave(&process_table_lock);

    process_leave_table_locked(p);
    spin_unlock_irqrestore(&process_table_lock, flags);
    first_process = NULL;
    process_unref(p); /* the table's */
    process_unref(p);
}

static bool anything_left(void)
{
    return __atomic_load_n(&process_counts.processes, __ATOMIC_RELAXED) != 0 ||
           __atomic_load_n(&process_counts.tasks, __ATOMIC_RELAXED) != 0 ||
           __atomic_load_n(&process_counts.memories, __ATOMIC_RELAXED) != 0 ||
           __atomic_load_n(&process_counts.tables, __ATOMIC_RELAXED) != 0 ||
           __atomic_load_n(&file_count, __ATOMIC_RELAXED) != 0;
}

/* Threads that have just ended may still be on their way out: they get a moment. */
static void report_leaks(void)
{
    uint64_t due = time_now() + END_PATIENCE;

    while (anything_left() && time_now() < due)
        thread_sleep(time_now() + NS_PER_MS / 10, 0);
    if (anything_left())
        log_warn("linux: left over at the end: %u processes, %u tasks, %u memories, %u descriptor "
                 "tables, %u open files",
                 process_counts.processes, process_counts.tasks, process_counts.memories,
                 process_counts.tables, file_count);
}

static bool first_ended(void)
{
    return __atomic_load_n(&first_process->state, __ATOMIC_ACQUIRE) == PROCESS_ZOMBIE;
}

/* Runs the program as the first process; its exit status as a shell would give it. */
static int run_first(const char *name, struct exec_program *program)
{
    struct thread *thread;
    struct task *t;
    int status, r = make_first(program, &first_process, &t);

    if (r != OK) {
        complain(name, "not enough memory to start it; give the machine more");
        return STATUS_NOT_EXECUTABLE;
    }
    thread = t->thread;
    thread_ref(thread);
    t->announced = true;
    thread_interrupt(thread); /* to attention before its first instruction */
    thread_start(thread);
    WAIT_UNTIL(&first_process->tasks_queue, first_ended(), TIME_NEVER, 0);
    thread_join(thread, TIME_NEVER);
    thread_unref(thread);
    status = first_process->exit_status;
    end_others();
    console_drain();
    reap_first();
    report_leaks();
    return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
}

static const char *reason_of(int r, int *status)
{
    *status = STATUS_NOT_EXECUTABLE;
    switch (r) {
    case ERR_NOT_FOUND:
    case LINUX_ERRNO(ENOTDIR):
        *status = STATUS_NOT_FOUND;
        return boot_option("root", 0)
                   ? "no such program below the root folder"
                   : "no such program in the machine; programs lie in /bin of the boot archive";
    case ERR_BAD_FORMAT:
        return "not a program for x86-64 Linux, or a damaged one";
    case ERR_ACCESS:
        return "not an executable file";
    case ERR_NO_MEMORY:
        return "not enough memory to start it; give the machine more";
    default:
        return "it can't be started";
    }
}

static int run_strings(struct exec_strings *strings)
{
    const char *name = strings->text;
    char path[512];
    struct exec_program program;
    struct node *file;
    int status, r = find_start_folder(&start_folder);

    if (r != OK) {
        complain(boot_option("workdir", 0), "the folder to start in is no folder of the machine");
        return STATUS_NOT_FOUND;
    }
    r = find_command(start_folder, name, path, sizeof(path), &file);
    credentials_init(&program.credentials);
    program.stack_limit = LINUX_STACK_LIMIT;
    if (r == OK) {
        r = exec_prepare(file, path, strings, &program);
        node_unref(file);
        if (r == ERR_NOT_FOUND) {
            complain(name, "its interpreter is not in the machine");
            return STATUS_NOT_FOUND;
        }
    }
    if (r != OK) {
        complain(name, reason_of(r, &status));
        return status;
    }
    return run_first(path, &program);
}

/* The machine's main: boot.h. */
static int linux_main(void)
{
    struct exec_strings strings;
    int status, r = read_command(boot_command(), &strings);

    if (r != OK) {
        complain("the command", reason_of(r, &status));
        return status;
    }
    if (strings.arguments == 0) {
        complain("no command", "give one behind \"--\" on the machine's command line");
        status = STATUS_NOT_FOUND;
    } else if (root_missing()) {
        complain("the root", root_missing());
        status = STATUS_NOT_EXECUTABLE;
    } else if (!bound_ready()) {
        complain("a bound folder", "it can't be mounted; --verbose shows why");
        status = STATUS_NOT_EXECUTABLE;
    } else {
        status = run_strings(&strings);
    }
    exec_strings_free(&strings);
    stream_flush();
    return status;
}

static int linux_init(void)
{
    int r;

    entry_init();
    vector_setup();
    futex_init();
    r = process_init();
    if (r == OK)
        r = bootfs_init();
    if (r == OK)
        r = pseudo_init();
    if (r == OK)
        r = proc_init();
    if (r == OK)
        r = devfs_init();
    if (r == OK)
        r = tmpfs_init();
    if (r == OK)
        r = ahead_init();
    if (r == OK)
        boot_set_main(linux_main);
    return r;
}

/* It runs the machine's command: it stays until the machine ends. */
KMOD_MANIFEST(.name = "linux", .version = "0.1.0", .needs = "", .init = linux_init, .exit = NULL);
