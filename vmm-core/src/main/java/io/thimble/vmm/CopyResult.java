package io.thimble.vmm;

/**
 * What a copy between host and guest moved.
 *
 * @param entries files, directories and symbolic links
 * @param bytes of the files' contents, holes not counted
 * @param skipped devices, sockets and named pipes that were left out
 */
public record CopyResult(long entries, long bytes, long skipped) {}
