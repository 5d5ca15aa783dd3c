package io.thimble.vmm;

/** What happens to a character of the console when the buffer in front of its stream is full. */
public enum SlowReaderPolicy {
    /** The oldest buffered character makes room and is counted as dropped: the reader sees the newest output. */
    DROP_OLDEST,
    /** The new character is dropped and counted: the reader sees the output up to a gap. */
    DROP_NEWEST,
    /**
     * The UART keeps the character and THRE stays clear until there is room: the guest waits, the VM does not. A
     * process that writes to the terminal waits without limit; Linux's kernel log waits some 10 ms a character and
     * then writes on, so its characters can be lost.
     */
    HOLD_BACK
}
