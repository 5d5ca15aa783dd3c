package io.thimble.vmm;

import java.util.Optional;

/**
 * How files are copied between host and guest, and how much at most: a copy that reaches a limit fails, and what was copied until
 * then stays. Limits protect the host from its guest; the defaults suit a guest that is not trusted and a disk with room.
 *
 * @param maxEntries files, directories and symbolic links, at least 1; by default 1,000,000
 * @param maxBytes sizes of all files together, holes included; by default 16 GiB
 * @param maxDepth directories inside each other, 1..256; by default 128
 * @param owner who owns the copies in the guest, {@code USER} or {@code USER:GROUP} by name or number; empty for root. Copies in
 *     the host belong to who runs this process
 */
public record CopyOptions(long maxEntries, long maxBytes, int maxDepth, Optional<String> owner) {
    /** The defaults. */
    public static final CopyOptions DEFAULTS = new CopyOptions(1_000_000, 16L << 30, 128, Optional.empty());

    private static final int MOST_DEPTH = 256;

    /**
     * Checks the limits.
     *
     * @throws IllegalArgumentException if one is out of range
     */
    public CopyOptions {
        if (maxEntries < 1 || maxBytes < 0 || maxDepth < 1 || maxDepth > MOST_DEPTH) {
            throw new IllegalArgumentException("copy of at most " + maxEntries + " entries, " + maxBytes + " bytes, "
                    + maxDepth + " directories inside each other: out of range");
        }
    }

    /** Returns these options with another {@link #maxEntries}. */
    public CopyOptions withMaxEntries(long value) {
        return new CopyOptions(value, maxBytes, maxDepth, owner);
    }

    /** Returns these options with another {@link #maxBytes}. */
    public CopyOptions withMaxBytes(long value) {
        return new CopyOptions(maxEntries, value, maxDepth, owner);
    }

    /** Returns these options with another {@link #maxDepth}. */
    public CopyOptions withMaxDepth(int value) {
        return new CopyOptions(maxEntries, maxBytes, value, owner);
    }

    /** Returns these options with another {@link #owner}. */
    public CopyOptions withOwner(String value) {
        return new CopyOptions(maxEntries, maxBytes, maxDepth, Optional.of(value));
    }
}
