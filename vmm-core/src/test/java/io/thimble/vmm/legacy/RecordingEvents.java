package io.thimble.vmm.legacy;

import java.util.ArrayList;
import java.util.List;

/** Notes what devices report, as text. */
final class RecordingEvents implements MachineEvents {
    final List<String> seen = new ArrayList<>();

    @Override
    public void powerOff() {
        seen.add("powerOff");
    }

    @Override
    public void reset(String source) {
        seen.add("reset " + source);
    }

    @Override
    public void panic(int events) {
        seen.add("panic " + events);
    }

    @Override
    public void debugExit(int code) {
        seen.add("debugExit " + code);
    }
}
