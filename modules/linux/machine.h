/*
 * machine.h: what the personality says of the machine, in one place.
 */
#pragma once

/* The Linux whose behaviour is matched; C libraries refuse kernels that are too old. */
#define LINUX_RELEASE "6.1.0-malv"
#define LINUX_NODE_NAME "malv"
#define LINUX_DOMAIN_NAME "(none)"
#define LINUX_VERSION "#1 SMP MaLV-OS Micro-LAKE"
