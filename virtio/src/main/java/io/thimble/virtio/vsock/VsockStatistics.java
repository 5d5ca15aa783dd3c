package io.thimble.virtio.vsock;

/**
 * What the device has done so far.
 *
 * @param connections open, opening or closing now
 * @param fromGuest bytes of data
 * @param toGuest bytes of data
 * @param dropped packets that broke a rule, or came from a foreign CID
 * @param lostResets refusals for which there was no room
 */
public record VsockStatistics(int connections, long fromGuest, long toGuest, long dropped, long lostResets) {}
