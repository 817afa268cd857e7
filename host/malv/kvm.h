/*
 * kvm.h: whether this host can run machines on its own processor.
 */
#pragma once

/* NULL where KVM works: the processor shows vmx or svm, and /dev/kvm can be opened. Else why not.
 */
const char *kvm_missing(void);
