/*
 * main.c: kmodsign, the build's tool for signatures of modules (uapi/kmod.h).
 *
 * A key file holds the 32 secret bytes that RFC 8032 calls the private key.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "host/files/files.h"
#include "lib/ed25519_sign/ed25519_sign.h"
#include "uapi/kmod.h"

#define MODULE_MOST (64u << 20)

static const char usage[] = "usage: kmodsign key KEY            make a new secret key\n"
                            "       kmodsign public KEY         print its public key as C\n"
                            "       kmodsign sign KEY MODULE    sign a module, in place\n"
                            "       kmodsign check KEY MODULE   check a module's signature\n";

static bool secret_read(const char *path, uint8_t secret[ED25519_KEY_SIZE])
{
    uint8_t *data;
    size_t size;

    if (!file_read(path, 4096, &data, &size))
        return false;
    bool whole = size == ED25519_KEY_SIZE;
    if (whole)
        memcpy(secret, data, ED25519_KEY_SIZE);
    else
        fprintf(stderr,
                "kmodsign: %s: a key has %d bytes, this has %zu: make one with `kmodsign key`\n",
                path, ED25519_KEY_SIZE, size);
    free(data);
    return whole;
}

static bool key_make(const char *path)
{
    uint8_t secret[ED25519_KEY_SIZE];

    if (getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret)) {
        fprintf(stderr, "kmodsign: the system gives no random bytes\n");
        return false;
    }
    return file_write(path, secret, sizeof(secret), 0600);
}

static bool public_print(const char *path)
{
    uint8_t secret[ED25519_KEY_SIZE], key[ED25519_KEY_SIZE];

    if (!secret_read(path, secret))
        return false;
    ed25519_public_key(key, secret);
    printf("/* Made by kmodsign: the key whose signatures on modules count. */\n"
           "#include \"kernel/module/internal.h\"\n\n"
           "const uint8_t module_public_key[32] = {");
    for (int i = 0; i < ED25519_KEY_SIZE; i++)
        printf("%s0x%02x,", i % 12 ? " " : "\n    ", key[i]);
    printf("\n};\n");
    return fflush(stdout) == 0;
}

/* The size of what is signed: the file without a signature that it has already. */
static size_t content_size(const uint8_t *data, size_t size)
{
    struct kmod_signature trailer;

    if (size < sizeof(trailer))
        return size;
    memcpy(&trailer, data + size - sizeof(trailer), sizeof(trailer));
    return trailer.magic == KMOD_SIGNATURE_MAGIC ? size - sizeof(trailer) : size;
}

static bool module_sign(const char *path, const uint8_t secret[ED25519_KEY_SIZE], uint8_t *data,
                        size_t size)
{
    struct kmod_signature trailer = {.version = KMOD_SIGNATURE_VERSION,
                                     .magic = KMOD_SIGNATURE_MAGIC};
    uint8_t key[ED25519_KEY_SIZE];
    size_t content = content_size(data, size);
    uint8_t *whole = malloc(content + sizeof(trailer));

    if (!whole) {
        fprintf(stderr, "kmodsign: no memory\n");
        return false;
    }
    ed25519_public_key(key, secret);
    memcpy(trailer.key, key, sizeof(trailer.key));
    ed25519_sign(trailer.signature, data, content, secret);
    memcpy(whole, data, content);
    memcpy(whole + content, &trailer, sizeof(trailer));
    bool done = file_write(path, whole, content + sizeof(trailer), 0644);
    free(whole);
    return done;
}

static bool module_check(const char *path, const uint8_t secret[ED25519_KEY_SIZE],
                         const uint8_t *data, size_t size)
{
    struct kmod_signature trailer;
    uint8_t key[ED25519_KEY_SIZE];
    size_t content = content_size(data, size);

    if (content == size) {
        fprintf(stderr, "kmodsign: %s: it is not signed\n", path);
        return false;
    }
    memcpy(&trailer, data + content, sizeof(trailer));
    ed25519_public_key(key, secret);
    if (memcmp(trailer.key, key, sizeof(trailer.key)) == 0 &&
        ed25519_verify(key, data, content, trailer.signature))
        return true;
    fprintf(stderr, "kmodsign: %s: it is signed with another key, or has been changed\n", path);
    return false;
}

static bool module_work(const char *verb, const char *key_path, const char *path)
{
    uint8_t secret[ED25519_KEY_SIZE], *data;
    size_t size;

    if (!secret_read(key_path, secret) || !file_read(path, MODULE_MOST, &data, &size))
        return false;
    bool done = strcmp(verb, "sign") == 0 ? module_sign(path, secret, data, size)
                                          : module_check(path, secret, data, size);
    free(data);
    return done;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    bool done;

    if (argc == 3 && strcmp(verb, "key") == 0) {
        done = key_make(argv[2]);
    } else if (argc == 3 && strcmp(verb, "public") == 0) {
        done = public_print(argv[2]);
    } else if (argc == 4 && (strcmp(verb, "sign") == 0 || strcmp(verb, "check") == 0)) {
        done = module_work(verb, argv[2], argv[3]);
    } else {
        fputs(usage, stderr);
        return 2;
    }
    return done ? 0 : 1;
}
