/* fragile.h: what the front of build/tests/gpud-fragile dies of, which is linked with fragile.c. */
#pragma once

#define FRAGILE_OBJECT 0x706f6973u /* CONTEXT_CREATE, CONTEXT_DESTROY or BUFFER_CREATE with this as its object */
#define FRAGILE_READ   0x70616765u /* a request, or a submission, that begins with this: to read it */
