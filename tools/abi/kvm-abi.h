/* What io.thimble.kvm.abi is generated from. */
#include <linux/kvm.h>
#include <asm-generic/errno.h> /* KVM_EPERM and the like */
#include <linux/kvm_para.h>
