package io.thimble.vmm.event;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The handlers of a loop by key: a place in a table, and how often it was used before, so that an event that is late finds
 * nothing instead of its place's next owner. A look-up allocates nothing. For one thread.
 */
final class Watches {
    private @Nullable Runnable[] handlers = new Runnable[8];
    private int[] uses = new int[8];
    private int[] free = new int[8];
    private int freeCount;
    private int used;

    /** Returns the key, which is positive. */
    long add(Runnable handler) {
        int place = freeCount > 0 ? free[--freeCount] : used++;
        if (place == handlers.length) {
            handlers = Arrays.copyOf(handlers, 2 * place);
            uses = Arrays.copyOf(uses, 2 * place);
            free = Arrays.copyOf(free, 2 * place);
        }
        handlers[place] = handler;
        uses[place] = (uses[place] + 1) & Integer.MAX_VALUE;
        return ((long) uses[place] << 32 | place) + 1;
    }

    void remove(long key) {
        if (handler(key) != null) {
            int place = (int) (key - 1);
            handlers[place] = null;
            free[freeCount++] = place;
        }
    }

    @Nullable
    Runnable handler(long key) {
        int place = (int) (key - 1);
        return uses[place] == (int) ((key - 1) >>> 32) ? handlers[place] : null;
    }
}
