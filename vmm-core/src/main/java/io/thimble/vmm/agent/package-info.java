/**
 * Host side of the guest agent: the framed control channel on the second serial port, and the archive that carries the
 * command into the guest. {@code docs/control-channel.md} specifies both.
 */
package io.thimble.vmm.agent;
