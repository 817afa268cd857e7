/*
 * kmod.h: the ABI between Micro-LAKE and a loadable module.
 *
 * A module is one file, NAME.kmod (uapi/kmodfile.h), made from an ELF relocatable file that has one
 * struct kmod_manifest in section ".kmod.manifest". The loader reads name, version and needs before
 * it links anything. A signature may follow.
 */
#pragma once

#include <stdint.h>

#define KMOD_MAGIC 0x444f4d4bu /* "KMOD" */
#define KMOD_ABI_VERSION 1u
#define KMOD_SECTION ".kmod.manifest"

#define KMOD_NAME_MAX 32
#define KMOD_VERSION_MAX 16
#define KMOD_NEEDS_MAX 128

struct kmod_manifest {
    uint32_t magic;       /* KMOD_MAGIC */
    uint32_t struct_size; /* sizeof(struct kmod_manifest) of the module's build */
    uint32_t abi_version; /* KMOD_ABI_VERSION */
    uint32_t interface;   /* KMOD_INTERFACE: the kernel API headers it was compiled against */
    char name[KMOD_NAME_MAX];       /* [a-z0-9_]+, the file is name.kmod */
    char version[KMOD_VERSION_MAX]; /* "1.2.3" */
    char needs[KMOD_NEEDS_MAX];     /* other modules, comma-separated; loaded first */
    int (*init)(void);  /* thread context; 0 or a negative status: then the module is gone again */
    void (*exit)(void); /* thread context; undoes init. NULL: the module can't be unloaded */
};
_Static_assert(sizeof(struct kmod_manifest) == 16 + 32 + 16 + 128 + 16, "manifest layout");

#define KMOD_MANIFEST(...)                                                                         \
    __attribute__((used, section(KMOD_SECTION))) struct kmod_manifest kmod_manifest = {            \
        .magic = KMOD_MAGIC,                                                                       \
        .struct_size = sizeof(struct kmod_manifest),                                               \
        .abi_version = KMOD_ABI_VERSION, .interface = KMOD_INTERFACE,                                                           \
        __VA_ARGS__}

/*
 * A signed module ends with this trailer. The signature is Ed25519 (RFC 8032)
 * over all bytes before the trailer. Which key is trusted is built into the kernel.
 */
#define KMOD_SIGNATURE_MAGIC   0x4749534bu /* "KSIG" */
#define KMOD_SIGNATURE_VERSION 1u

struct kmod_signature {
    uint8_t key[8]; /* the first bytes of the public key, to tell keys apart */
    uint8_t signature[64];
    uint32_t version; /* KMOD_SIGNATURE_VERSION */
    uint32_t magic;   /* KMOD_SIGNATURE_MAGIC: the last bytes of the file */
};
_Static_assert(sizeof(struct kmod_signature) == 80, "signature layout");
