/*
 * tree.c: see tree.h.
 */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "user/mlctl/files.h"

char tree_choice[256], tree_program[256];
const char *tree_refused;
int tree_error;

static char root[64];
static char paths[6][128];

ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
long __wrap_syscall(long number, ...);
int __wrap_execvp(const char *file, char *const *words);

static void folder_make(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

void file_make(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

const char *file_path(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

const char *file_text(const char *name)
{
    static char text[512];
    assert_int_equal(file_read(file_path(name), text, sizeof(text)), 0);
    return text;
}

const char *line_of(const char *name)
{
    char *line = (char *)file_text(name);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

static void class_make(const char *class, const char *policies)
{
    char name[64];
    snprintf(name, sizeof(name), "classes/%s", class);
    folder_make(name);
    const char *const files[][2] = {
        {"policy", policies}, {"shadow", "none\n"}, {"pilot", "none\n"}, {"guard", "off\n"},
        {"knowledge", ""}};
    for (size_t i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "classes/%s/%s", class, files[i][0]);
        file_make(name, files[i][1]);
    }
}

static const char *place(unsigned nth, const char *name)
{
    snprintf(paths[nth], sizeof(paths[nth]), "%s%s%s", root, name[0] != '\0' ? "/" : "", name);
    return paths[nth];
}

void tree_make(void)
{
    strcpy(root, "build/mlctl-test-XXXXXX");
    assert_non_null(mkdtemp(root));
    places = (struct places){.mlaas = place(0, ""), .log = place(1, "log"), .gpu = place(2, "gpu")};
    places.profiles[0] = place(3, "own");
    places.profiles[1] = place(4, "profiles");
    places.modules[0] = place(5, "lib");
    folder_make("classes");
    folder_make("own");
    folder_make("profiles");
    folder_make("lib");
    class_make("sched", "[round_robin] sched_fair\n");
    class_make("memory", "clock [a_long_policy_name]\n");
    file_make("choices", "");
    file_make("profile", "none\n");
    file_make("modules", "linux 0.1.0 1000 1\nsched_fair 1.0.0 4096 1\n");
    file_make("lib/sched_burst.kmod", "sched\n");
    file_make("lib/lru_plus.kmod", "memory\n");
    file_make("lib/auto.kmod", "-\n");
    file_make("lib/broken.kmod", "broken\n");
    tree_refused = NULL;
}

void tree_remove(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", root);
    assert_int_equal(system(command), 0);
}

static int refuse(int error)
{
    errno = error;
    return -1;
}

/* Marks one of the words of a policy file. False: it has no such word. */
static bool policy_mark(const char *name, const char *wanted)
{
    char text[512], made[512] = "";
    char *rest = NULL;
    bool found = false;
    snprintf(text, sizeof(text), "%s", line_of(name));
    for (char *word = strtok_r(text, " []", &rest); word != NULL;
         word = strtok_r(NULL, " []", &rest)) {
        bool is = strcmp(word, wanted) == 0;
        snprintf(made + strlen(made), sizeof(made) - strlen(made), "%s%s%s%s",
                 made[0] != '\0' ? " " : "", is ? "[" : "", word, is ? "]" : "");
        found |= is;
    }
    if (found) {
        file_make(name, made);
    }
    return found;
}

/* A pilot learns lines that begin with a number, of policies that it knows. */
static int knowledge_take(const char *name, const char *text)
{
    char all[512] = "";
    if (text[0] < '0' || text[0] > '9') {
        return refuse(EINVAL);
    }
    if (strstr(text, " sched_burst ") != NULL) {
        return refuse(ENOENT);
    }
    snprintf(all, sizeof(all), "%s%s\n", file_text(name), text);
    file_make(name, all);
    return 0;
}

/* A write to classes/CLASS/FILE. */
static int class_take(const char *name, const char *text)
{
    const char *file = strrchr(name, '/') + 1;
    char policies[128];
    snprintf(policies, sizeof(policies), "%.*s/policy", (int)(file - name - 1), name);
    if (tree_refused != NULL && strcmp(file, tree_refused) == 0) {
        return refuse(tree_error);
    }
    if (strcmp(file, "policy") == 0) {
        char pilot[128];
        snprintf(pilot, sizeof(pilot), "%.*s/pilot", (int)(file - name - 1), name);
        file_make(pilot, "none\n");
        return policy_mark(name, text) ? 0 : refuse(ENOENT);
    }
    if (strcmp(file, "shadow") == 0 && strcmp(text, "none") != 0 &&
        strstr(line_of(policies), text) == NULL) {
        return refuse(ENOENT);
    }
    if (strcmp(file, "guard") == 0 && strcmp(text, "off") != 0 && strstr(text, "window") == NULL) {
        return refuse(EINVAL);
    }
    if (strcmp(file, "knowledge") == 0) {
        return knowledge_take(name, text);
    }
    file_make(name, text);
    return 0;
}

/* The path in the tree that a descriptor was opened at, or NULL. */
static const char *name_of(int fd)
{
    static char path[PATH_MAX];
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    path[length > 0 ? length : 0] = '\0';
    const char *name = strstr(path, root);
    return name != NULL ? name + strlen(root) + 1 : NULL;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    const char *name = name_of(fd);
    char text[256], copy[128];
    if (name == NULL) {
        return __real_write(fd, bytes, length);
    }
    assert_in_range(length, 1, sizeof(text) - 1);
    memcpy(text, bytes, length);
    text[length] = '\0';
    snprintf(copy, sizeof(copy), "%s", name);
    if (strcmp(copy, "choices") == 0) {
        strcpy(tree_choice, text);
        return strstr(text, "4711") != NULL ? refuse(ESRCH) : (ssize_t)length;
    }
    if (strcmp(copy, "profile") == 0) {
        file_make("profile", text);
        return (ssize_t)length;
    }
    return class_take(copy, text) == 0 ? (ssize_t)length : -1;
}

/* A module's file names the class of its policy; its name is the policy's. */
static int module_load(int fd)
{
    char class[64], file[128], module[64], text[512];
    const char *name = name_of(fd);
    assert_non_null(name);
    snprintf(module, sizeof(module), "%s", strrchr(name, '/') + 1);
    *strchr(module, '.') = '\0';
    ssize_t length = read(fd, class, sizeof(class) - 1);
    assert_true(length > 0);
    class[length - 1] = '\0';
    if (strcmp(class, "broken") == 0) {
        return refuse(ENOEXEC);
    }
    if (strcmp(class, "-") != 0) {
        snprintf(file, sizeof(file), "classes/%s/policy", class);
        snprintf(text, sizeof(text), "%s %s\n", line_of(file), module);
        file_make(file, text);
    }
    snprintf(file, sizeof(file), "%s/modules", root);
    FILE *modules = fopen(file, "a");
    fprintf(modules, "%s 1.0.0 4096 1\n", module);
    fclose(modules);
    return 0;
}

/* Takes a module's line and its policy's word away. */
static int module_unload(const char *module)
{
    char command[512];
    snprintf(command, sizeof(command),
             "grep -q '^%s ' %s/modules && sed -i '/^%s /d' %s/modules && "
             "sed -i 's/ %s$//; s/ %s / /' %s/classes/*/policy",
             module, root, module, root, module, module, root);
    return system(command) == 0 ? 0 : refuse(ENOENT);
}

long __wrap_syscall(long number, ...)
{
    va_list arguments;
    long result;
    va_start(arguments, number);
    result = number == SYS_finit_module    ? module_load(va_arg(arguments, int))
             : number == SYS_delete_module ? module_unload(va_arg(arguments, const char *))
                                           : refuse(ENOSYS);
    va_end(arguments);
    return result;
}

int __wrap_execvp(const char *file, char *const *words)
{
    snprintf(tree_program, sizeof(tree_program), "%s %s", file, words[1] != NULL ? words[1] : "");
    return refuse(ENOENT);
}
