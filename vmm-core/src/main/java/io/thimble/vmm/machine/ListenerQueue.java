package io.thimble.vmm.machine;

import io.thimble.vmm.VmListener;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Calls the user's listeners one event after the other, on a virtual thread that lives only while there are events. Any
 * thread may add one; nothing blocks.
 */
final class ListenerQueue {
    /** A class of its own, so that a start does not wait for the logger's set-up. */
    private static final class Log {
        static final Logger LOG = LoggerFactory.getLogger(ListenerQueue.class);
    }

    private final String vmName;
    private final List<VmListener> listeners;
    private final Queue<Consumer<VmListener>> events = new ArrayDeque<>(); // guarded by itself
    private boolean draining; // guarded by events

    ListenerQueue(String vmName, List<VmListener> listeners) {
        this.vmName = vmName;
        this.listeners = listeners;
    }

    void add(Consumer<VmListener> event) {
        if (listeners.isEmpty()) {
            return;
        }
        synchronized (events) {
            events.add(event);
            if (!draining) {
                draining = true;
                Thread.ofVirtual().name("thimble-" + vmName + "-listener").start(this::drain);
            }
        }
    }

    private void drain() {
        while (true) {
            Consumer<VmListener> event;
            synchronized (events) {
                event = events.poll();
                if (event == null) {
                    draining = false;
                    return;
                }
            }
            for (VmListener listener : listeners) {
                try {
                    event.accept(listener);
                } catch (RuntimeException | Error e) {
                    Log.LOG.warn("{}: a listener failed", vmName, e);
                }
            }
        }
    }
}
