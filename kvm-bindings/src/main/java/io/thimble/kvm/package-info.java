/** KVM's objects, by the words of the kernel's Documentation/virt/kvm/api.rst. */
package io.thimble.kvm;
