package io.thimble.vmm;

import java.nio.charset.StandardCharsets;
import java.util.OptionalInt;

/**
 * What a program in the guest did.
 *
 * @param exitStatus 0..255: its exit status, or 128 + n if signal n ended it
 * @param signal the signal that ended it, if one did
 * @param stdout all it wrote to its standard output
 * @param stderr all it wrote to its standard error
 */
@SuppressWarnings("ArrayRecordComponent") // handed over, not compared
public record ExecResult(int exitStatus, OptionalInt signal, byte[] stdout, byte[] stderr) {
    /** Returns the standard output as UTF-8 text. */
    public String stdoutText() {
        return new String(stdout, StandardCharsets.UTF_8);
    }

    /** Returns the standard error as UTF-8 text. */
    public String stderrText() {
        return new String(stderr, StandardCharsets.UTF_8);
    }
}
