/** The vCPU threads: the loop around KVM_RUN, and how other threads stop, park and end it. */
package io.thimble.vmm.vcpu;
