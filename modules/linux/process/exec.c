/*
 * exec.c: execve: strings, scripts, the program and its interpreter, and the change-over.
 */
#include "modules/linux/process/exec.h"

#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/path_arg.h"
#include "modules/linux/fs/permission.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/policy.h"
#include "modules/linux/process/process.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/process/vector.h"
#include "modules/linux/syscall.h"

#define SCRIPT_LINE_MAX  256u
#define SCRIPT_DEPTH_MAX 4u
#define FIRST_ROOM       1024u
#define ARGUMENTS_MAX    65536u

int exec_strings_create(struct exec_strings *s)
{
    *s = (struct exec_strings){.room = FIRST_ROOM};
    s->text = kmalloc(s->room);
    return s->text ? OK : ERR_NO_MEMORY;
}

void exec_strings_free(struct exec_strings *s)
{
    kfree(s->text);
}

static int make_room(struct exec_strings *s, size_t size)
{
    size_t room = s->room;
    char *text;

    if (size > EXEC_STRINGS_MAX - s->used)
        return LINUX_ERRNO(E2BIG);
    while (room < s->used + size)
        room *= 2;
    if (room == s->room)
        return OK;
    text = kmalloc(room);
    if (!text)
        return ERR_NO_MEMORY;
    memcpy(text, s->text, s->used);
    kfree(s->text);
    s->text = text;
    s->room = room;
    return OK;
}

int exec_strings_add(struct exec_strings *s, const char *text, size_t size)
{
    int r = make_room(s, size + 1);

    if (r != OK)
        return r;
    memcpy(s->text + s->used, text, size);
    s->text[s->used + size] = '\0';
    s->used += size + 1;
    return OK;
}

int exec_strings_prepend(struct exec_strings *s, const char *text, size_t size)
{
    int r = make_room(s, size + 1);

    if (r != OK)
        return r;
    memmove(s->text + size + 1, s->text, s->used);
    memcpy(s->text, text, size);
    s->text[size] = '\0';
    s->used += size + 1;
    s->arguments++;
    return OK;
}

void exec_strings_drop_first(struct exec_strings *s)
{
    size_t size = strlen(s->text) + 1;

    memmove(s->text, s->text + size, s->used - size);
    s->used -= size;
    s->arguments--;
}

static int check_executable(const struct node *file)
{
    if (!node_is_file(file) || !(file->mode & 0111) || !file->ops->object)
        return ERR_ACCESS;
    return permission_check(file, PERMIT_EXECUTE);
}

/* The file named in the program's interpreter segment; *out is a reference. */
static int find_interpreter(struct node *file, const struct elf_image *image, struct node **out)
{
    struct memobj *object;
    char *path;
    int r = file->ops->object(file, &object);

    if (r != OK)
        return r;
    path = kmalloc(image->interpreter_size);
    r = path ? memobj_read(object, image->interpreter_offset, path, image->interpreter_size)
             : ERR_NO_MEMORY;
    memobj_unref(object);
    if (r == OK && path[image->interpreter_size - 1] != '\0')
        r = ERR_BAD_FORMAT;
    if (r == OK)
        r = path_lookup(node_root, path, 0, out);
    kfree(path);
    if (r != OK)
        return r;
    r = check_executable(*out);
    if (r != OK)
        node_unref(*out);
    return r;
}

static int load_interpreter(struct mm *mm, struct node *file, const struct elf_image *program,
                            vaddr_t *base, vaddr_t *entry)
{
    struct elf_image *image = kmalloc(sizeof(*image));
    struct node *interpreter;
    vaddr_t bias;
    int r = image ? find_interpreter(file, program, &interpreter) : ERR_NO_MEMORY;

    if (r != OK) {
        kfree(image);
        return r;
    }
    r = elf_read_image(interpreter, image);
    if (r == OK)
        r = elf_map_image(mm, interpreter, image, true, &bias);
    if (r == OK) {
        *base = bias + image->start;
        *entry = bias + image->header.entry;
    }
    node_unref(interpreter);
    kfree(image);
    return r;
}

static void set_program_name(char *out, const char *path)
{
    const char *slash = strrchr(path, '/');

    strlcpy(out, slash ? slash + 1 : path, LINUX_TASK_NAME_MAX);
}

/* Builds the memory of an ELF program. */
static int load_program(struct node *file, const struct elf_image *image, const char *path,
                        const struct exec_strings *strings, struct exec_program *out)
{
    struct stack_facts facts = {
        .strings = strings, .path = path, .image = image, .credentials = &out->credentials};
    int r = mm_create(&out->mm);

    if (r != OK)
        return r;
    out->secure = credentials_exec(&out->credentials, file->mode, file->uid, file->gid);
    facts.secure = out->secure;
    facts.stack_limit = out->stack_limit;
    r = elf_map_image(out->mm, file, image, false, &facts.bias);
    out->entry = facts.bias + image->header.entry;
    if (r == OK && image->interpreter_size != 0)
        r = load_interpreter(out->mm, file, image, &facts.interpreter, &out->entry);
    if (r == OK)
        r = stack_build(out->mm, &facts, &out->stack_pointer);
    if (r != OK) {
        mm_unref(out->mm);
        return r;
    }
    out->mm->program = file;
    node_ref(file);
    set_program_name(out->name, path);
    return OK;
}

static size_t word_length(const char *text)
{
    size_t n = 0;

    while (text[n] != '\0' && text[n] != ' ' && text[n] != '\t')
        n++;
    return n;
}

/* The line behind "#!": the interpreter and at most one argument. ERR_BAD_FORMAT: not a script. */
static int read_script_line(struct node *file, char line[SCRIPT_LINE_MAX], char **interpreter,
                            char **argument)
{
    struct memobj *object;
    size_t size, end;
    int r = file->ops->object(file, &object);

    if (r != OK)
        return r;
    size = MIN(memobj_size(object), SCRIPT_LINE_MAX - 1);
    r = memobj_read(object, 0, line, size);
    memobj_unref(object);
    if (r != OK)
        return r;
    line[size] = '\0';
    if (size < 3 || line[0] != '#' || line[1] != '!')
        return ERR_BAD_FORMAT;
    for (end = 2; line[end] != '\0' && line[end] != '\n'; end++)
        ;
    while (end > 2 && (line[end - 1] == ' ' || line[end - 1] == '\t'))
        end--;
    line[end] = '\0';
    for (*interpreter = line + 2; **interpreter == ' ' || **interpreter == '\t'; ++*interpreter)
        ;
    *argument = *interpreter + word_length(*interpreter);
    if (**interpreter == '\0')
        return ERR_BAD_FORMAT;
    if (**argument != '\0')
        *(*argument)++ = '\0';
    while (**argument == ' ' || **argument == '\t')
        ++*argument;
    return OK;
}

/* Puts "interpreter [argument] path" in the place of the first argument. *out is a reference. */
static int expand_script(struct node *file, const char *path, struct exec_strings *strings,
                         struct node **out)
{
    char line[SCRIPT_LINE_MAX], *interpreter, *argument;
    int r = read_script_line(file, line, &interpreter, &argument);

    if (r != OK)
        return r;
    if (strings->arguments > 0)
        exec_strings_drop_first(strings);
    r = exec_strings_prepend(strings, path, strlen(path));
    if (r == OK && *argument != '\0')
        r = exec_strings_prepend(strings, argument, strlen(argument));
    if (r == OK)
        r = exec_strings_prepend(strings, interpreter, strlen(interpreter));
    if (r == OK)
        r = path_lookup(node_root, interpreter, 0, out);
    return r;
}

/* Follows scripts to the program that runs them. *file is a reference, replaced by another. */
static int resolve_scripts(struct node **file, const char *path, struct exec_strings *strings,
                           struct elf_image *image)
{
    for (unsigned depth = 0;; depth++) {
        char previous[SCRIPT_LINE_MAX];
        struct node *next;
        int r = check_executable(*file);

        if (r == OK)
            r = elf_read_image(*file, image);
        if (r != ERR_BAD_FORMAT)
            return r;
        if (depth == SCRIPT_DEPTH_MAX)
            return LINUX_ERRNO(ELOOP);
        /* A nested script is named by what the outer one called it. */
        if (depth > 0)
            strlcpy(previous, strings->text, sizeof(previous));
        r = expand_script(*file, depth > 0 ? previous : path, strings, &next);
        if (r != OK)
            return r;
        node_unref(*file);
        *file = next;
    }
}

int exec_prepare(struct node *file, const char *path, struct exec_strings *strings,
                 struct exec_program *out)
{
    struct elf_image *image = kmalloc(sizeof(*image));
    int r;

    if (!image)
        return ERR_NO_MEMORY;
    node_ref(file);
    r = resolve_scripts(&file, path, strings, image);
    if (r == OK)
        r = load_program(file, image, path, strings, out);
    node_unref(file);
    kfree(image);
    return r;
}

/* Adds a string of the program's; room grows until it fits. */
static int add_user_string(struct exec_strings *s, vaddr_t at)
{
    for (;;) {
        size_t room = s->room - s->used;
        long n = user_read_string(s->text + s->used, at, room);
        int r;

        if (n >= 0) {
            s->used += (size_t)n + 1;
            return OK;
        }
        if (n != ERR_RANGE)
            return (int)n;
        r = make_room(s, room + 1);
        if (r != OK)
            return r;
    }
}

/* Adds the strings of a vector of addresses that ends with 0; address 0 is an empty vector. */
static int add_user_vector(struct exec_strings *s, vaddr_t at, unsigned *count)
{
    vaddr_t string;
    int r = OK;

    while (at != 0 && r == OK) {
        if (*count == ARGUMENTS_MAX)
            return LINUX_ERRNO(E2BIG);
        r = user_read(&string, at + *count * sizeof(string), sizeof(string));
        if (r != OK || string == 0)
            break;
        r = add_user_string(s, string);
        ++*count;
    }
    return r;
}

static void reset_registers(struct user_regs *regs, const struct exec_program *program)
{
    struct user_regs fresh = {.rip = program->entry,
                              .rsp = program->stack_pointer,
                              .cs = regs->cs,
                              .ss = regs->ss,
                              .rflags = 0x202}; /* interrupts on, and the bit that is always set */

    *regs = fresh; /* vector 0: no longer a system call */
}

/* Descriptors that a child made with CLONE_FILES shares become its own. */
static int own_files(struct process *p)
{
    int r = process_own_files(p);

    if (r != OK)
        return r;
    __atomic_store_n(&p->executed, true, __ATOMIC_RELAXED); /* before its files tell of it */
    fd_table_close_on_exec(p->files);
    return OK;
}

/* The process becomes the program: nothing fails from here on. */
static void exec_commit(struct call *c, const struct exec_program *program)
{
    struct task *t = c->task;
    struct process *p = t->process;
    struct mm *old = p->mm;
    struct group_set *more;
    uint64_t flags;

    task_settle_memory(t);
    if (t->tid != p->pid)
        task_take_pid(t);
    t->clear_tid = t->robust_list = 0;
    rseq_forget(t);
    t->alternate_stack = (struct linux_stack){.flags = LINUX_SS_DISABLE};
    signal_reset_handlers(p);
    thread_set_aspace(program->mm->as);
    flags = spin_lock_irqsave(&p->lock);
    p->mm = program->mm;
    p->exit_signal = LINUX_SIGCHLD;
    memcpy(p->name, program->name, sizeof(p->name));
    more = p->credentials.more;
    p->credentials = program->credentials;
    p->credentials.more = more;
    if (program->secure)
        p->death_signal = 0;
    p->dumpable = !program->secure;
    spin_unlock_irqrestore(&p->lock, flags);
    strlcpy(t->thread->name, program->name, sizeof(t->thread->name));
    if (!p->borrowed_mm)
        usage_keep(p, old);
    process_release_mm(p);
    mm_unref(old);
    thread_set_fs_base(0);
    vector_reset();
    reset_registers(c->regs, program);
}

static long exec_node(struct call *c, struct node *file, const char *path, vaddr_t arguments,
                      vaddr_t environment)
{
    struct exec_program program;
    struct exec_strings strings;
    int r = exec_strings_create(&strings);

    if (r == OK)
        r = add_user_vector(&strings, arguments, &strings.arguments);
    if (r == OK && strings.arguments == 0) {
        r = exec_strings_add(&strings, "", 0); /* as on Linux, a program has a name at least */
        strings.arguments = 1;
    }
    if (r == OK)
        r = add_user_vector(&strings, environment, &strings.environment);
    program.credentials = c->task->process->credentials;
    program.stack_limit = c->task->process->limits[LINUX_RLIMIT_STACK].current;
    if (r == OK)
        r = exec_prepare(file, path, &strings, &program);
    exec_strings_free(&strings);
    if (r != OK)
        return r;
    if (!process_end_other_tasks(c->task))
        r = ERR_INTERRUPTED; /* and the task ends before it returns */
    if (r == OK)
        r = own_files(c->task->process);
    if (r != OK) {
        mm_unref(program.mm);
        return r;
    }
    exec_commit(c, &program);
    policies_see_exec(program.name);
    return OK;
}

static long exec_path(struct call *c, int folder, vaddr_t path, vaddr_t arguments,
                      vaddr_t environment, unsigned flags)
{
    struct path_arg arg;
    struct node *file;
    long r = path_arg_get(c->task, folder, path, flags & LINUX_AT_EMPTY_PATH, &arg);

    if (r != OK)
        return r;
    r = path_arg_lookup(&arg, flags & LINUX_AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0, &file);
    if (r == OK && node_is_link(file)) {
        node_unref(file);
        r = LINUX_ERRNO(ELOOP);
    }
    if (r == OK) {
        r = exec_node(c, file, arg.text, arguments, environment);
        node_unref(file);
    }
    path_arg_put(&arg);
    return r;
}

long sys_execve(struct call *c)
{
    return exec_path(c, LINUX_AT_FDCWD, c->arg[0], c->arg[1], c->arg[2], 0);
}

long sys_execveat(struct call *c)
{
    unsigned flags = (unsigned)c->arg[4];

    if (flags & ~(unsigned)(LINUX_AT_EMPTY_PATH | LINUX_AT_SYMLINK_NOFOLLOW))
        return ERR_INVALID;
    return exec_path(c, (int)c->arg[0], c->arg[1], c->arg[2], c->arg[3], flags);
}
