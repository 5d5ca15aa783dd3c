/**
 * Host side of the guest agent's connections: programs, copies and the guest's state, over one connection each. {@code
 * docs/agent.md} specifies what passes. The agent is not trusted.
 */
package io.thimble.vmm.guest;
