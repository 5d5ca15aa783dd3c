/**
 * The PC's old devices that Linux still expects or that cost little: UART, keyboard controller, clock, ACPI power
 * management, the ports that reset or end a machine.
 *
 * <p>Every device answers on the vCPU threads under a short lock of its own and reports to the machine through
 * {@link io.thimble.vmm.legacy.MachineEvents}, called without that lock.
 */
@NullMarked
package io.thimble.vmm.legacy;

import org.jspecify.annotations.NullMarked;
