/**
 * The guest-physical address space: {@link io.thimble.memory.GuestMemory} over memory segments that the caller provides.
 *
 * <p>Addresses and lengths are {@code long}s that a guest may have chosen: every operation treats them as hostile and
 * answers with {@link io.thimble.memory.GuestMemoryException} when they leave the guest's memory.
 */
package io.thimble.memory;
