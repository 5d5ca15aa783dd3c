package io.thimble.vmm.agent;

import org.jspecify.annotations.Nullable;

/** Why the agent began to stop the guest. */
public enum StopCause {
    /** The command ended. */
    COMMAND_ENDED,
    /** The host asked for it on the control channel. */
    HOST,
    /** The ACPI power button was pressed. */
    POWER_BUTTON,
    /** Ctrl-Alt-Del was pressed. */
    CTRL_ALT_DEL,
    /** A process of the guest asked init for it ({@code poweroff}, {@code reboot}). */
    SIGNAL;

    /** Returns the cause with the protocol's number {@code code}, or null if there is none. */
    static @Nullable StopCause of(int code) {
        return switch (code) {
            case 0 -> COMMAND_ENDED;
            case 1 -> HOST;
            case 2 -> POWER_BUTTON;
            case 3 -> CTRL_ALT_DEL;
            case 4 -> SIGNAL;
            default -> null;
        };
    }
}
