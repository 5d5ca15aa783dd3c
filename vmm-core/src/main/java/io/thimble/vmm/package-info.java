/** The public API: build a {@code MicroVm}, start it, talk to it, and close it. */
package io.thimble.vmm;
