package io.thimble.virtio.device;

/**
 * How much a device may do: a disk's reads and writes count with their bytes, and every request as one operation; a network
 * card's frames count with theirs, and each as one.
 *
 * @param bytesPerSecond 0 for no limit
 * @param bytesBurst how many bytes a device that was idle may move at once; with a limit at least 1
 * @param operationsPerSecond 0 for no limit
 * @param operationsBurst how many operations a device that was idle may do at once; with a limit at least 1
 */
public record RateLimits(long bytesPerSecond, long bytesBurst, long operationsPerSecond, long operationsBurst) {
    /** No limit. */
    public static final RateLimits NONE = new RateLimits(0, 0, 0, 0);

    /** A burst lasts this part of a second unless it is given. */
    private static final int BURST_PARTS = 10;

    /** Checks the ranges. */
    public RateLimits {
        check("bytes", bytesPerSecond, bytesBurst);
        check("operations", operationsPerSecond, operationsBurst);
    }

    private static void check(String what, long perSecond, long burst) {
        if (perSecond < 0 || burst < 0) {
            throw new IllegalArgumentException(
                    what + " a second: " + perSecond + ", burst " + burst + ": use 0 for no limit, or a number above");
        }
        if (perSecond > 0 && burst == 0) {
            throw new IllegalArgumentException("a limit of " + what + " needs a burst of at least 1");
        }
    }

    /** Limits both, each with a burst of a tenth of a second; 0 for no limit. */
    public static RateLimits of(long bytesPerSecond, long operationsPerSecond) {
        return new RateLimits(bytesPerSecond, burst(bytesPerSecond), operationsPerSecond, burst(operationsPerSecond));
    }

    private static long burst(long perSecond) {
        return Math.ceilDiv(perSecond, BURST_PARTS);
    }

    /** Tells whether anything is limited. */
    public boolean isLimited() {
        return bytesPerSecond > 0 || operationsPerSecond > 0;
    }
}
