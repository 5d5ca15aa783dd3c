package io.thimble.vmm;

import java.util.List;
import java.util.OptionalInt;

/**
 * How a VM ended.
 *
 * @param reason the kind of end
 * @param detail what happened, in one line
 * @param commandStatus the exit status (0..255) of the guest's command as the guest agent told it; empty if none did. The
 *     guest's word: it says nothing about the host
 * @param debugExitCode what a guest wrote to the debug-exit port; empty if it did not
 * @param registers of the vCPU that crashed, several lines; empty for other reasons
 * @param lastConsoleLines the end of what the guest printed, at most 20 lines
 */
public record ExitReport(
        ExitReason reason,
        String detail,
        OptionalInt commandStatus,
        OptionalInt debugExitCode,
        String registers,
        List<String> lastConsoleLines) {

    /** Copies the lines. */
    public ExitReport {
        lastConsoleLines = List.copyOf(lastConsoleLines);
    }

    /** Returns everything, in several lines, for a log. */
    public String describe() {
        StringBuilder text = new StringBuilder(toString());
        if (!registers.isEmpty()) {
            text.append('\n').append(registers);
        }
        if (!lastConsoleLines.isEmpty()) {
            text.append("\nlast console lines:");
            lastConsoleLines.forEach(line -> text.append("\n  ").append(line));
        }
        return text.toString();
    }

    @Override
    public String toString() {
        return reason
                + (detail.isEmpty() ? "" : " (" + detail + ")")
                + (commandStatus.isPresent() ? ", command status " + commandStatus.getAsInt() : "");
    }
}
