/*
 * copies.c: looks into the maps of gpud's processes. A range of addresses that a kernel worked on
 * is the machine's memory itself when it is a mapping of the same file at the same place.
 */
#include "copies.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static pid_t parent_of(pid_t process)
{
    char path[64];
    int parent = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", process);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%*d (%*[^)]) %*c %d", &parent) != 1)
        parent = 0;
    fclose(file);
    return parent;
}

static int is_below(pid_t process, pid_t ancestor)
{
    while (process > 1 && process != ancestor)
        process = parent_of(process);
    return process == ancestor;
}

/* Bytes of the range that this process has from the file at the right place; *has: it has any of
 * the file. */
static uint64_t bytes_shared(pid_t process, ino_t inode, uint64_t address, uint64_t offset,
                             uint64_t bytes, int *has)
{
    char path[64], line[512];
    uint64_t shared = 0;
    snprintf(path, sizeof(path), "/proc/%d/maps", process);
    FILE *maps = fopen(path, "r");
    while (maps && fgets(line, sizeof(line), maps)) {
        unsigned long from, to, at, number;
        if (sscanf(line, "%lx-%lx %*s %lx %*s %lu", &from, &to, &at, &number) != 4 ||
            number != inode)
            continue;
        *has = 1;
        uint64_t low = from > address ? from : address,
                 high = to < address + bytes ? to : address + bytes;
        if (low < high && at + (low - from) == offset + (low - address))
            shared += high - low;
    }
    if (maps)
        fclose(maps);
    return shared;
}

uint64_t copies_count(pid_t gpud, int memory_fd, uint64_t address, uint64_t offset, uint64_t bytes)
{
    struct stat file;
    struct dirent *entry;
    uint64_t shared = 0;
    int has = 0;
    DIR *processes = opendir("/proc");
    if (!processes || fstat(memory_fd, &file) != 0) {
        perror("copy-native: /proc");
        exit(1);
    }
    while ((entry = readdir(processes))) {
        pid_t process = atoi(entry->d_name);
        if (process <= 0 || !is_below(process, gpud))
            continue;
        uint64_t here = bytes_shared(process, file.st_ino, address, offset, bytes, &has);
        shared = here > shared ? here : shared;
    }
    closedir(processes);
    if (!has) {
        fprintf(
            stderr,
            "copy-native: no process below gpud that I may look into maps the machine's memory\n");
        exit(1);
    }
    return bytes - shared;
}
