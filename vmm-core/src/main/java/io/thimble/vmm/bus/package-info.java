/**
 * How a vCPU's port and memory-mapped accesses reach a device: {@link io.thimble.vmm.bus.Bus} finds the
 * {@link io.thimble.vmm.bus.BusDevice}, and the device answers on the vCPU's own thread.
 */
@NullMarked
package io.thimble.vmm.bus;

import org.jspecify.annotations.NullMarked;
