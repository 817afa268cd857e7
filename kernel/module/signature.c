/*
 * signature.c: whether a module file may be loaded, by who made it.
 *
 * Files of the boot archive are trusted as the kernel is: both come from whoever starts the
 * machine, and checking them costs start-up time. Files that programs bring must carry a signature.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "kernel/module/internal.h"
#include "lib/ed25519/ed25519.h"

static bool trailer_read(const void *data, size_t size, struct kmod_signature *out)
{
    if (size < sizeof(*out))
        return false;
    memcpy(out, (const uint8_t *)data + size - sizeof(*out), sizeof(*out));
    return out->magic == KMOD_SIGNATURE_MAGIC;
}

size_t module_content_size(const void *data, size_t size)
{
    struct kmod_signature trailer;

    return trailer_read(data, size, &trailer) ? size - sizeof(trailer) : size;
}

static bool signature_needed(bool trusted)
{
    const char *choice = boot_option("module.unsigned", 0);

    if (choice && strcmp(choice, "allow") == 0)
        return false;
    if (choice && strcmp(choice, "deny") == 0)
        return true;
    if (choice)
        log_warn("module.unsigned=%s is neither allow nor deny: ignored", choice);
    return !trusted;
}

int module_signature_check(const char *name, const void *data, size_t size, bool trusted)
{
    struct kmod_signature trailer;

    if (!signature_needed(trusted))
        return OK;
    if (!trailer_read(data, size, &trailer)) {
        module_complain("module %s: it is not signed: sign it with the build's key, or start the machine "
                  "with module.unsigned=allow",
                  name);
        return ERR_ACCESS;
    }
    if (trailer.version != KMOD_SIGNATURE_VERSION ||
        memcmp(trailer.key, module_public_key, sizeof(trailer.key)) != 0) {
        module_complain("module %s: it is signed with a key that this kernel does not know", name);
        return ERR_ACCESS;
    }
    if (!ed25519_verify(module_public_key, data, size - sizeof(trailer), trailer.signature)) {
        module_complain("module %s: its signature is wrong: the file has been changed", name);
        return ERR_ACCESS;
    }
    return OK;
}
