package io.thimble.virtio.block;

/**
 * What a disk has done since it was made.
 *
 * @param reads that succeeded
 * @param readBytes by them
 * @param writes that succeeded
 * @param writtenBytes by them
 * @param flushes that succeeded
 * @param discards that succeeded, of both kinds: discard and write-zeroes
 * @param errors requests that the host failed ({@code VIRTIO_BLK_S_IOERR})
 * @param refused requests that were wrong: outside the disk, writes to a read-only one, unknown
 * @param throttled how often the rate limit held requests back
 * @param bounced transfers that went through a buffer because direct I/O could not use the guest's
 */
public record BlockMetrics(
        long reads,
        long readBytes,
        long writes,
        long writtenBytes,
        long flushes,
        long discards,
        long errors,
        long refused,
        long throttled,
        long bounced) {}
