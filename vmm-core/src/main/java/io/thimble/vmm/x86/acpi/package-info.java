/**
 * The ACPI tables by which a stock kernel finds CPUs, interrupts, power-off, reset and devices. Source: ACPI specification
 * 6.5; section numbers are given beside each table.
 */
package io.thimble.vmm.x86.acpi;
