package io.thimble.vmm.legacy;

/** What takes the console's input. Every method may be called from any thread. */
public interface InputTarget {
    /**
     * Sends characters to the guest.
     *
     * @return how many were taken; if fewer than {@code length}, the callback of {@link #onInputRoom} follows once there is
     *     room
     */
    int receive(byte[] source, int offset, int length);

    /** Names what to run once there is room after {@link #receive} took less than it was given; it must not block. */
    void onInputRoom(Runnable callback);
}
