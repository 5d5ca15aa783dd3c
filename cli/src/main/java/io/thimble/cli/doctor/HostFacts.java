package io.thimble.cli.doctor;

import java.util.Map;

/**
 * What was found on a host. Text fields are empty where there is nothing to say.
 *
 * @param kernel release of the host's kernel
 * @param architecture of the processor, as the JVM names it
 * @param jdk version and vendor
 * @param kvmProblem why {@code /dev/kvm} cannot be used, remedy included; empty if it can
 * @param vmProblem why no VM with a vCPU can be made; empty if one can
 * @param apiVersion of KVM; 0 if it cannot be used
 * @param processor what runs the guest's code
 * @param capabilities what KVM says of each {@link Capability}; empty if it cannot be used
 * @param maxVcpus how many vCPUs KVM allows a VM; 0 if it cannot be used
 * @param tunProblem why {@code /dev/net/tun} cannot be used
 * @param passt where the program passt is; empty if it is not installed
 * @param hugePages the kernel's mode of transparent huge pages: always, madvise, never; empty if it has none
 * @param krunfw where libkrunfw is; empty if it was not found
 * @param availableMemory bytes that the host can give without swapping
 * @param memoryLimit bytes that this process's cgroup may use; {@link Long#MAX_VALUE} if unlimited
 */
record HostFacts(
        String kernel,
        String architecture,
        String jdk,
        String kvmProblem,
        String vmProblem,
        int apiVersion,
        Processor processor,
        Map<Capability, Integer> capabilities,
        int maxVcpus,
        String tunProblem,
        String passt,
        String hugePages,
        String krunfw,
        long availableMemory,
        long memoryLimit) {

    HostFacts {
        capabilities = Map.copyOf(capabilities);
    }

    /** What runs the guest's code. */
    enum Processor {
        /** Intel VT-x. */
        VMX("hardware virtualization (Intel VMX)"),
        /** AMD-V. */
        SVM("hardware virtualization (AMD SVM)"),
        /** kvm-pvm: KVM without hardware virtualization, inside a cloud VM. */
        PVM("no hardware virtualization: kvm-pvm runs guests in software"),
        /** KVM works, but neither of the others was found. */
        UNKNOWN("of an unknown kind");

        final String text;

        Processor(String text) {
            this.text = text;
        }
    }
}
