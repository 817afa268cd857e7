/*
 * classes.c: reads and writes the files of the policy classes.
 */
#include "classes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A name that stays inside its folder. */
static bool class_name_is_valid(const char *class)
{
    return class[0] != '\0' && class[0] != '.' && strchr(class, '/') == NULL &&
           strlen(class) < CLASS_NAME_BYTES;
}

static int class_file_open(const char *root, const char *class, const char *file, int flags)
{
    char path[PATH_MAX];
    if (!class_name_is_valid(class)) {
        return -ENOENT;
    }
    int length = snprintf(path, sizeof(path), "%s/%s/%s", root, class, file);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Reads a whole file into `text`. -EFBIG: it does not fit. */
static int text_read(int fd, char text[CLASS_TEXT_BYTES])
{
    size_t used = 0;
    while (used < CLASS_TEXT_BYTES) {
        ssize_t got = read(fd, text + used, CLASS_TEXT_BYTES - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            text[used] = '\0';
            return 0;
        }
        used += (size_t)got;
    }
    return -EFBIG;
}

static int class_file_read(const char *root, const char *class, const char *file,
                           char text[CLASS_TEXT_BYTES])
{
    int fd = class_file_open(root, class, file, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    int error = text_read(fd, text);
    close(fd);
    return error;
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

int classes_read(const char *root, struct class_list *classes)
{
    const struct dirent *entry;
    DIR *folder = opendir(root);
    if (folder == NULL) {
        return -errno;
    }
    classes->count = 0;
    while (classes->count < CLASSES_MAX && (entry = readdir(folder)) != NULL) {
        if (class_name_is_valid(entry->d_name)) {
            strcpy(classes->names[classes->count++], entry->d_name);
        }
    }
    closedir(folder);
    qsort(classes->names, classes->count, CLASS_NAME_BYTES, name_compare);
    return 0;
}

/* Takes the brackets off a word; true if it had them. */
static bool brackets_strip(char **word)
{
    size_t length = strlen(*word);
    if (length < 3 || (*word)[0] != '[' || (*word)[length - 1] != ']') {
        return false;
    }
    (*word)[length - 1] = '\0';
    (*word)++;
    return true;
}

int class_policies(const char *root, const char *class, struct policy_list *policies)
{
    char *rest = NULL;
    policies->count = 0;
    policies->active = NULL;
    int error = class_file_read(root, class, "policy", policies->text);
    if (error != 0) {
        return error;
    }
    for (char *word = strtok_r(policies->text, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest)) {
        if (policies->count == CLASS_MAX_POLICIES) {
            return -EPROTO;
        }
        if (brackets_strip(&word)) {
            policies->active = word;
        }
        policies->names[policies->count++] = word;
    }
    return policies->count > 0 ? 0 : -EPROTO;
}

int class_switch(const char *root, const char *class, const char *policy)
{
    int fd = class_file_open(root, class, "policy", O_WRONLY);
    if (fd < 0) {
        return fd;
    }
    size_t length = strlen(policy);
    ssize_t written = write(fd, policy, length); /* the kernel takes a name in one piece */
    int error = written < 0 ? -errno : (size_t)written != length ? -EPROTO : 0;
    close(fd);
    return error;
}

int class_stats(const char *root, const char *class, char text[CLASS_TEXT_BYTES])
{
    return class_file_read(root, class, "stats", text);
}
