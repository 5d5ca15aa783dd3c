package io.thimble.vmm.agent;

import org.jspecify.annotations.Nullable;

/** What ends an orderly shutdown. */
public enum StopAction {
    /** The machine is switched off (by a reset where the guest has no ACPI power-off). */
    POWER_OFF(0),
    /** The machine is reset. */
    REBOOT(1);

    private final int code;

    StopAction(int code) {
        this.code = code;
    }

    /** Returns the protocol's number. */
    int code() {
        return code;
    }

    /** Returns the action with the protocol's number {@code code}, or null if there is none. */
    static @Nullable StopAction of(int code) {
        return switch (code) {
            case 0 -> POWER_OFF;
            case 1 -> REBOOT;
            default -> null;
        };
    }
}
