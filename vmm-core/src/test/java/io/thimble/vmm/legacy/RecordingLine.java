package io.thimble.vmm.legacy;

import io.thimble.vmm.bus.InterruptLine;

/** An interrupt input that counts rising edges, as an edge-triggered controller latches them. */
final class RecordingLine implements InterruptLine {
    private boolean level;
    private int edges;

    @Override
    public synchronized void setLevel(boolean asserted) {
        if (asserted && !level) {
            edges++;
        }
        level = asserted;
    }

    synchronized boolean level() {
        return level;
    }

    /** Returns the rising edges since the last call. */
    synchronized int takeEdges() {
        int taken = edges;
        edges = 0;
        return taken;
    }
}
