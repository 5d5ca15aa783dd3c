/**
 * The table by which kernels without ACPI find CPUs and interrupts. Source: Intel MultiProcessor Specification 1.4,
 * chapter 4.
 */
package io.thimble.vmm.x86.mptable;
