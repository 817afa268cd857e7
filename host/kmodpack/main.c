/*
 * main.c: kmodpack, which makes a module file from a linked module.
 */
#include <stdio.h>
#include <stdlib.h>

#include "host/kmodpack/pack.h"
#include "host/files/files.h"

#define LINKED_MOST (256u << 20)

static bool module_pack(const char *from, const char *to)
{
    static struct object object;
    char why[PACK_WHY_MAX];
    uint8_t *linked, *packed;
    size_t size, packed_size;

    if (!file_read(from, LINKED_MOST, &linked, &size))
        return false;
    int result = object_decode(linked, size, &object);
    if (result != OBJECT_OK) {
        fprintf(stderr, "kmodpack: %s: it %s\n", from, object_result_text(result));
        free(linked);
        return false;
    }
    bool done = pack_module(&object, &packed, &packed_size, why);
    free(linked);
    if (!done) {
        fprintf(stderr, "kmodpack: %s: it %s\n", from, why);
        return false;
    }
    done = file_write(to, packed, packed_size, 0644);
    free(packed);
    return done;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: kmodpack LINKED MODULE    make the module file MODULE (NAME.kmod) from LINKED,\n"
              "                                 what ld -r made of its objects\n",
              stderr);
        return 2;
    }
    return module_pack(argv[1], argv[2]) ? 0 : 1;
}
