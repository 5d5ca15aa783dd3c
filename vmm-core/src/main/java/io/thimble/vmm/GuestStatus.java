package io.thimble.vmm;

import java.time.Duration;

/**
 * What the guest's agent says of the guest.
 *
 * @param memoryTotal bytes of memory that the guest's kernel manages
 * @param memoryFree bytes that are not used for anything
 * @param memoryAvailable bytes that a program could have without swapping
 * @param uptime since the guest's kernel started
 * @param processes how many there are, threads included
 * @param load the average number of processes that run or wait for a disk, in the last minute
 */
public record GuestStatus(
        long memoryTotal, long memoryFree, long memoryAvailable, Duration uptime, int processes, double load) {}
