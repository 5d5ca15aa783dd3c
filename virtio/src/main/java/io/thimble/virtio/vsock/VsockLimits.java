package io.thimble.virtio.vsock;

/**
 * What a guest can have of the host at most. The first {@code largeWindows} connections get {@code window} bytes of credit
 * each, further ones {@code smallWindow}.
 *
 * @param connections open, opening or closing at a time
 * @param window how many bytes the host buffers for a connection, a multiple of 16 KiB
 * @param largeWindows how many connections get so much
 * @param smallWindow how many bytes the others get, a multiple of 16 KiB
 */
public record VsockLimits(int connections, int window, int largeWindows, int smallWindow) {
    /** 1024 connections, of which 256 have 256 KiB each and the others 64 KiB: 112 MiB if the guest fills all of them. */
    public static final VsockLimits DEFAULT = new VsockLimits(1024, 256 << 10, 256, 64 << 10);

    /** Checks the numbers. */
    public VsockLimits {
        if (connections < 1 || window < ByteRing.CHUNK || smallWindow < ByteRing.CHUNK) {
            throw new IllegalArgumentException(
                    "connections: " + connections + ", windows: " + window + ", " + smallWindow);
        }
        if (window % ByteRing.CHUNK != 0 || smallWindow % ByteRing.CHUNK != 0) {
            throw new IllegalArgumentException("windows: " + window + ", " + smallWindow);
        }
    }

    int windowOf(int openConnections) {
        return openConnections < largeWindows ? window : smallWindow;
    }
}
