package io.thimble.vmm.legacy;

import static io.thimble.vmm.legacy.SerialRegisters.UART_LSR_BRK_ERROR_BITS;
import static io.thimble.vmm.legacy.SerialRegisters.UART_LSR_DR;
import static io.thimble.vmm.legacy.SerialRegisters.UART_LSR_FIFOE;
import static io.thimble.vmm.legacy.SerialRegisters.UART_LSR_OE;

import java.util.ArrayList;
import java.util.List;

/**
 * The receiver of a 16550: characters with the line errors that came with them, and the part of LSR that follows from
 * both (PC16550D, 8.5 and 8.6.1). Not thread-safe: the UART locks.
 */
final class ReceiverFifo {
    /** Characters that the FIFO holds. */
    static final int DEPTH = 16;

    private static final int DATA = 0xff;
    private static final int ERROR_SHIFT = 8;

    /** Character in bits 7:0, its LSR error bits in 15:8; a ring. */
    private final short[] entries = new short[DEPTH];

    private int head;
    private int count;
    private boolean fifo;
    private int trigger = 1;
    private int errors;
    private int lastRead;

    /**
     * Sets the mode without touching what is stored.
     *
     * @param enabled 16 characters deep, else 1 (16450 mode)
     * @param level characters at which the FIFO asks to be read: 1, 4, 8 or 14; ignored in 16450 mode
     */
    void configure(boolean enabled, int level) {
        fifo = enabled;
        trigger = enabled ? level : 1;
    }

    int count() {
        return count;
    }

    boolean isFull() {
        return count == (fifo ? DEPTH : 1);
    }

    boolean triggered() {
        return count >= trigger;
    }

    boolean hasErrors() {
        return errors != 0;
    }

    /**
     * Receives a character. If there is no room the overrun error is set: the FIFO keeps what it has, the single
     * register of 16450 mode takes the new character.
     */
    void push(int data, int lineErrors) {
        if (isFull()) {
            errors |= UART_LSR_OE;
            if (fifo) {
                return;
            }
            count = 0;
        }
        entries[(head + count) % DEPTH] = (short) ((lineErrors << ERROR_SHIFT) | (data & DATA));
        count++;
        if (count == 1) {
            errors |= lineErrors;
        }
    }

    /** Reads RBR: the oldest character, or once more the one read last if there is none. */
    int pop() {
        if (count > 0) {
            lastRead = entries[head] & DATA;
            head = (head + 1) % DEPTH;
            count--;
            if (count > 0) {
                errors |= entries[head] >> ERROR_SHIFT;
            }
        }
        return lastRead;
    }

    /** Returns DR, OE, PE, FE, BI and, in FIFO mode, the summary bit 7. */
    int lineStatus() {
        int status = errors;
        if (count > 0) {
            status |= UART_LSR_DR;
        }
        if (fifo) {
            for (int i = 0; i < count; i++) {
                if (entries[(head + i) % DEPTH] >> ERROR_SHIFT != 0) {
                    return status | UART_LSR_FIFOE;
                }
            }
        }
        return status;
    }

    /** Does what a read of LSR does: the errors shown are forgotten. */
    void clearErrors() {
        errors = 0;
        if (count > 0) {
            entries[head] &= DATA;
        }
    }

    void clear() {
        head = 0;
        count = 0;
    }

    int errors() {
        return errors;
    }

    /** Returns the entries, oldest first: character in bits 7:0, LSR error bits in 15:8. */
    List<Integer> toList() {
        List<Integer> list = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            list.add((int) entries[(head + i) % DEPTH]);
        }
        return List.copyOf(list);
    }

    void replace(List<Integer> list, int lineErrors) {
        if (list.size() > (fifo ? DEPTH : 1)) {
            throw new IllegalArgumentException(list.size() + " characters do not fit in the receiver");
        }
        clear();
        for (int entry : list) {
            push(entry & DATA, (entry >> ERROR_SHIFT) & UART_LSR_BRK_ERROR_BITS);
        }
        errors = lineErrors & UART_LSR_BRK_ERROR_BITS;
    }
}
