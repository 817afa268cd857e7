/*
 * machine.h: what the personality says of the machine, in one place.
 */
#pragma once

#include "modules/linux/abi/process.h"

/* The Linux whose behaviour is matched; C libraries refuse kernels that are too old. */
#define LINUX_RELEASE "6.1.0-malv"
#define LINUX_NODE_NAME "malv"
#define LINUX_DOMAIN_NAME "(none)"
#define LINUX_VERSION "#1 SMP MaLV-OS Micro-LAKE"

/* Names that programs may change, of at most LINUX_UTS_FIELD - 1 bytes. Thread context. */
enum machine_name { MACHINE_NODE_NAME, MACHINE_DOMAIN_NAME };

void machine_name_get(enum machine_name which, char out[LINUX_UTS_FIELD]);
void machine_name_set(enum machine_name which, const char *name, size_t size); /* longer: cut */
