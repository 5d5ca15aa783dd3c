package io.thimble.cli.doctor;

import io.thimble.kvm.abi.KvmCaps;

/** What KVM can have or lack ({@code KVM_CHECK_EXTENSION}), as far as Thimble cares. */
enum Capability {
    IRQCHIP(KvmCaps.KVM_CAP_IRQCHIP, "interrupt controllers in the kernel", true),
    USER_MEMORY(KvmCaps.KVM_CAP_USER_MEMORY, "guest memory of ours", true),
    IMMEDIATE_EXIT(KvmCaps.KVM_CAP_IMMEDIATE_EXIT, "stopping a vCPU at once", true),
    PIT2(KvmCaps.KVM_CAP_PIT2, "the PC's timer", true),
    IRQFD(KvmCaps.KVM_CAP_IRQFD, "interrupts without a system call", false),
    IOEVENTFD(KvmCaps.KVM_CAP_IOEVENTFD, "device kicks without leaving the guest's loop", false),
    TSC_DEADLINE(KvmCaps.KVM_CAP_TSC_DEADLINE_TIMER, "the precise timer", false),
    XSAVE2(KvmCaps.KVM_CAP_XSAVE2, "saving large register files", false),
    USER_MEMORY2(KvmCaps.KVM_CAP_USER_MEMORY2, "private guest memory", false);

    final int number;
    final String use;
    final boolean required;

    Capability(int number, String use, boolean required) {
        this.number = number;
        this.use = use;
        this.required = required;
    }

    /** Returns the C name. */
    String cName() {
        return switch (this) {
            case TSC_DEADLINE -> "KVM_CAP_TSC_DEADLINE_TIMER";
            default -> "KVM_CAP_" + name();
        };
    }
}
