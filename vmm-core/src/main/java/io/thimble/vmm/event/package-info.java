/** The VM's own loop: what happens outside of vCPU threads happens here. */
package io.thimble.vmm.event;
