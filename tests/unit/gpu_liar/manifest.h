/* manifest.h: taken in first everywhere: several modules are linked into one program here, so each manifest is local. */
#pragma once

#include "uapi/kmod.h"

extern struct kmod_manifest *manifests[8]; /* of all of them */
extern unsigned manifest_count;

#undef KMOD_MANIFEST
#define KMOD_MANIFEST(...)                                                                                             \
    static struct kmod_manifest kmod_manifest = {__VA_ARGS__};                                                         \
    __attribute__((constructor)) static void manifest_add(void)                                                        \
    {                                                                                                                  \
        manifests[manifest_count++] = &kmod_manifest;                                                                  \
    }                                                                                                                  \
    _Static_assert(1, "takes the semicolon")
