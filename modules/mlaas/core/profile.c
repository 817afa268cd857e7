/*
 * profile.c: the name of the profile that was set last. mlctl sets what a profile says; the name is only
 * kept here, where everybody finds it.
 */
#include <microlake/memory.h>

#include "core.h"

#define PROFILE_PATH MLAAS_ROOT "/profile"

static struct mutex profile_lock = MUTEX_INIT(profile_lock);
static char profile[POLICY_NAME_MAX] = "none"; /* guarded by profile_lock */

static long profile_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    mutex_lock(&profile_lock);
    text_add(&t, "%s\n", profile);
    mutex_unlock(&profile_lock);
    return text_length(&t);
}

static int profile_store(void *context, const char *text, size_t size)
{
    char name[POLICY_NAME_MAX];
    int r = word_take(text, size, name);

    (void)context;
    if (r != OK)
        return ERR_INVALID;
    mutex_lock(&profile_lock);
    memcpy(profile, name, sizeof(profile));
    mutex_unlock(&profile_lock);
    return OK;
}

static const struct linux_pseudo_ops profile_ops = {.show = profile_show, .store = profile_store};

int profile_start(void)
{
    return linux_pseudo_register(PROFILE_PATH, &profile_ops, NULL);
}

void profile_stop(void)
{
    linux_pseudo_unregister(PROFILE_PATH);
}
