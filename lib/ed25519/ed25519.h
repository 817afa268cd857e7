/*
 * ed25519.h: checks Ed25519 signatures (RFC 8032, section 5.1.7). No allocation; about 4 KiB of
 * stack. Any context. lib/ed25519_sign makes signatures.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ED25519_KEY_SIZE       32
#define ED25519_SIGNATURE_SIZE 64

/* Strict: the encodings of both points and of S must be the canonical ones. */
bool ed25519_verify(const uint8_t public_key[ED25519_KEY_SIZE], const void *message, size_t size,
                    const uint8_t signature[ED25519_SIGNATURE_SIZE]);
