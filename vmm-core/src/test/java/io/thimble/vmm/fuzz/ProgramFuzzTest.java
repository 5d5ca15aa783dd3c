package io.thimble.vmm.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.thimble.vmm.GuestException;
import io.thimble.vmm.guest.ExecConnection;
import io.thimble.vmm.guest.ScriptedChannel;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;

/** What a guest says of a program: its life ends, in order or as a {@link GuestException}, and its streams hold a window at most. */
class ProgramFuzzTest {
    private static final int WINDOW = 262_144;

    @FuzzTest(maxDuration = "1m")
    void ends_whatever_the_guest_says(FuzzedDataProvider data) throws InterruptedException {
        ScriptedChannel guest =
                GuestFrames.script(data, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x81, 0x90);
        try (ExecConnection process =
                ExecConnection.attach(guest, Thread.ofVirtual().factory())) {
            try {
                if (!process.awaitEnd(Duration.ofSeconds(60))) {
                    throw new AssertionError("it hangs");
                }
                int status = process.exitStatus();
                if (status < 0 || status > 255) {
                    throw new AssertionError("status " + status);
                }
            } catch (GuestException e) {
                // what a guest deserves that breaks a rule
            }
            drain(process.stdout());
            drain(process.stderr());
        } catch (IOException e) {
            // likewise
        }
    }

    private static void drain(InputStream stream) throws IOException {
        if (stream.available() > WINDOW) {
            throw new AssertionError("more than a window");
        }
        try {
            stream.readAllBytes();
        } catch (IOException e) {
            // it ended before its time
        }
    }
}
