/*
 * ed25519_sign.h: makes Ed25519 keys and signatures (RFC 8032, sections 5.1.5 and 5.1.6).
 *
 * Not in constant time: for a tool on a build machine, where nobody measures it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/ed25519/ed25519.h"

/* The public key that belongs to 32 secret random bytes. */
void ed25519_public_key(uint8_t public_key[ED25519_KEY_SIZE],
                        const uint8_t secret[ED25519_KEY_SIZE]);

void ed25519_sign(uint8_t signature[ED25519_SIGNATURE_SIZE], const void *message, size_t size,
                  const uint8_t secret[ED25519_KEY_SIZE]);
