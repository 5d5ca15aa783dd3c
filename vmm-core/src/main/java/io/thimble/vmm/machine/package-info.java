/** The machine: address map, assembly of its parts, and its life. */
package io.thimble.vmm.machine;
