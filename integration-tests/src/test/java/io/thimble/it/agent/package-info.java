/** Requests to the guest's agent, over vsock. */
package io.thimble.it.agent;
