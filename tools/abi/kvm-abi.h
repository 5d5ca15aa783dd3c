/* What io.thimble.kvm.abi is generated from. */
#include <linux/kvm.h>
#include <linux/kvm_para.h>
