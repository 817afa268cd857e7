/*
 * recommend.c: looks at the machine: has it a GPU, how many CPUs, and which profiles can be set with
 * the modules that it has. It can't know what will run: it says what it looked at, so that the owner can.
 */
#include "recommend.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "profile_set.h"

#define MANY_CPUS 4

static bool has_gpu(void)
{
    char text[1024];
    const char *count;
    if (file_read(places.gpu, text, sizeof(text)) != 0) {
        return false;
    }
    count = strstr(text, "devices ");
    return count != NULL && count[8] != '0';
}

/* Tells of a profile that does not fit. */
static bool fits(const char *name, char *reasons, size_t size)
{
    static struct profile profile;
    struct profile_names names;
    char why[512];
    size_t used = strlen(reasons);
    bool there = false;
    profile_names(&names);
    for (unsigned i = 0; i < names.count; i++) {
        there |= strcmp(names.names[i], name) == 0;
    }
    if (there && profile_read(name, &profile) && profile_fits(&profile, why, sizeof(why))) {
        return true;
    }
    snprintf(reasons + used, size - used, "  %s can't be set: %s\n", name,
             there ? why : "there is no such profile");
    return false;
}

bool profile_recommend(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    bool gpu = has_gpu();
    char reasons[4096] = "";
    const char *first = !gpu               ? "auto"
                        : cpus < MANY_CPUS ? "inference"
                                           : "training";
    const char *const candidates[] = {first, "auto", "balanced"};
    const char *chosen = NULL;
    for (size_t i = 0; i < 3 && chosen == NULL; i++) {
        bool again = i > 0 && strcmp(candidates[i], first) == 0;
        if (!again && fits(candidates[i], reasons, sizeof(reasons))) {
            chosen = candidates[i];
        }
    }
    if (chosen == NULL) {
        fprintf(stderr, "mlctl: no profile can be set in this machine:\n%s", reasons);
        return false;
    }
    printf("%s\n  the machine has %s and %ld CPU%s%s\n%s", chosen, gpu ? "a GPU" : "no GPU", cpus,
           cpus == 1 ? "" : "s",
           strcmp(chosen, "inference") == 0
               ? ": requests share few CPUs with everything else, and must not wait for it"
           : strcmp(chosen, "training") == 0
               ? ": many CPUs feed the GPU, and throughput counts"
           : strcmp(chosen, "auto") == 0
               ? ": what is best depends on the load, and can be measured while it runs"
               : "; the plain policies do",
           reasons);
    return true;
}
