/*
 * run.c: programs that modules run: linux_run.h. Such a process has no parent and is no first process, so
 * it is reaped when it ends; who waits holds a reference.
 */
#include "modules/linux/include/linux_run.h"

#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/window.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/exec.h"
#include "modules/linux/process/process.h"
#include "modules/linux/signal/signal.h"

#define CHUNK    512u /* on the stack */
#define STREAMS  3u
#define PATH_MAX 128u

struct linux_run {
    struct process *process; /* a reference */
};

/* One of its streams; a file's data. */
struct run_stream {
    const struct linux_run_streams *streams;
    void *context;
    unsigned number;
    uint64_t at; /* bytes of standard input that were read */
};

static long run_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct run_stream *s = f->data;
    char chunk[CHUNK];
    size_t done = 0;

    (void)offset; /* as a pipe, it has no place */
    while (s->number == 0 && done < size) {
        long n = s->streams->read(s->context, chunk, MIN(size - done, CHUNK), s->at);

        if (n > 0 && bytes_out(at + done, chunk, (size_t)n) != OK)
            n = ERR_FAULT;
        if (n <= 0)
            return done ? (long)done : n;
        done += (size_t)n;
        s->at += (uint64_t)n;
    }
    return (long)done;
}

/* Nobody reads it: as a pipe says so. */
static long broken(void)
{
    struct task *t = task_current();
    struct linux_siginfo info = {.signo = LINUX_SIGPIPE, .code = LINUX_SI_USER};

    info.sender.pid = t->process->pid;
    signal_send_task(t, &info);
    return LINUX_ERRNO(EPIPE);
}

static long run_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    const struct run_stream *s = f->data;
    char chunk[CHUNK];
    size_t done = 0;
    long r = 0;

    (void)offset;
    while (done < size) {
        size_t n = MIN(size - done, CHUNK);

        r = bytes_in(chunk, at + done, n) == OK ? s->streams->write(s->context, s->number, chunk, n)
                                                : ERR_FAULT;
        if (r <= 0)
            break;
        done += (size_t)r;
    }
    if (done)
        return (long)done;
    return r == ERR_LOST ? broken() : r;
}

static void run_close(struct file *f)
{
    struct run_stream *s = f->data;

    s->streams->close(s->context);
    kfree(s);
}

static const struct file_ops run_ops = {.read = run_read, .write = run_write, .close = run_close};

/* What a stream that was never made is closed with. */
static void close_rest(const struct linux_run_streams *streams, void *context, unsigned from)
{
    for (unsigned i = from; i < STREAMS; i++)
        streams->close(context);
}

/* On an error the stream is closed. */
static int stream_make(struct fd_table *files, const struct linux_run_streams *streams, void *context,
                       unsigned number)
{
    struct run_stream *s = kmalloc(sizeof(*s));
    struct file *f;
    int r = ERR_NO_MEMORY;

    if (s) {
        *s = (struct run_stream){.streams = streams, .context = context, .number = number};
        r = file_create(&run_ops, s, number ? LINUX_O_WRONLY : LINUX_O_RDONLY, &f);
    }
    if (r != OK) {
        kfree(s);
        streams->close(context);
        return r;
    }
    if (fd_install(files, f, false, 0, STREAMS) < 0) {
        file_unref(f);
        return ERR_NO_MEMORY;
    }
    return OK;
}

/* Table of descriptors, tree, name. On an error some streams are closed, the others go with p. */
static int process_fill(struct process *p, const struct exec_program *program,
                        const struct linux_run_streams *streams, void *context)
{
    unsigned made = 0;
    int r;

    p->mm = program->mm;
    memcpy(p->name, program->name, sizeof(p->name));
    r = fd_table_create(&p->files);
    while (r == OK && made < STREAMS)
        r = stream_make(p->files, streams, context, made++);
    close_rest(streams, context, made);
    return r == OK ? fs_context_create(&p->fs) : r;
}

static int process_start(struct process *p, const struct exec_program *program)
{
    struct user_regs regs = {
        .rip = program->entry, .rsp = program->stack_pointer, .rflags = 0x202};
    struct task *t;
    int r = task_create(p, &t);

    if (r != OK)
        return r;
    r = task_attach_thread(t, &regs, 0);
    if (r == OK)
        thread_start(t->thread);
    else
        task_abandon(t);
    return r;
}

/* Arguments and environment. */
static int strings_make(const char *words, size_t size, struct exec_strings *out)
{
    static const char *const environment[] = {"PATH=/bin", "HOME=/"};
    int r = exec_strings_create(out);

    for (size_t at = 0; r == OK && at < size; at += strlen(words + at) + 1) {
        r = exec_strings_add(out, words + at, strlen(words + at));
        out->arguments++;
    }
    for (size_t i = 0; r == OK && i < ARRAY_SIZE(environment); i++) {
        r = exec_strings_add(out, environment[i], strlen(environment[i]));
        out->environment++;
    }
    return r;
}

/* Where the boot archive is: the root, unless the machine has another. */
static int program_find(const char *path, char full[PATH_MAX], struct node **out)
{
    int r;

    snprintf(full, PATH_MAX, "/sys/kernel/archive/%s", path);
    r = path_lookup(node_root, full, 0, out);
    if (r != ERR_NOT_FOUND && r != LINUX_ERRNO(ENOTDIR))
        return r;
    snprintf(full, PATH_MAX, "/%s", path);
    return path_lookup(node_root, full, 0, out);
}

static int program_make(const char *path, const char *words, size_t size,
                        struct exec_program *program)
{
    struct exec_strings strings;
    char full[PATH_MAX];
    struct node *file;
    int r = program_find(path, full, &file);

    if (r != OK)
        return r;
    credentials_init(&program->credentials);
    program->stack_limit = LINUX_STACK_LIMIT;
    r = strings_make(words, size, &strings);
    if (r == OK)
        r = exec_prepare(file, full, &strings, program);
    exec_strings_free(&strings);
    node_unref(file);
    return r;
}

static int process_make(const struct exec_program *program, const struct linux_run_streams *streams,
                        void *context, struct process **out)
{
    struct process *p;
    int r = process_create(NULL, false, &p);

    if (r != OK) {
        mm_unref(program->mm);
        close_rest(streams, context, 0);
        return r;
    }
    r = process_fill(p, program, streams, context);
    if (r == OK)
        r = process_start(p, program);
    if (r != OK)
        process_abandon(p);
    else
        *out = p; /* with the maker's reference */
    return r;
}

int linux_run_start(const char *path, const char *words, size_t size,
                    const struct linux_run_streams *streams, void *context, struct linux_run **out)
{
    struct linux_run *run = kzalloc(sizeof(*run));
    struct exec_program program;
    int r = run ? program_make(path, words, size, &program) : ERR_NO_MEMORY;

    if (r == OK)
        r = process_make(&program, streams, context, &run->process);
    else
        close_rest(streams, context, 0);
    if (r != OK)
        kfree(run);
    else
        *out = run;
    return r;
}

static bool has_ended(struct process *p)
{
    return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE) != PROCESS_ALIVE;
}

int linux_run_wait(struct linux_run *run)
{
    struct process *p = run->process;
    int status;

    WAIT_UNTIL(&p->tasks_queue, has_ended(p), TIME_NEVER, 0);
    status = p->exit_status;
    return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
}

void linux_run_free(struct linux_run *run)
{
    process_unref(run->process);
    kfree(run);
}

void linux_run_kill(struct linux_run *run)
{
    struct linux_siginfo info = {.signo = LINUX_SIGKILL, .code = LINUX_SI_KERNEL};

    if (!has_ended(run->process))
        signal_send_process(run->process, &info);
}
