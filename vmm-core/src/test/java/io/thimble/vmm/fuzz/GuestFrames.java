package io.thimble.vmm.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import io.thimble.vmm.guest.ScriptedChannel;

/** A guest's side of a connection, made of frames so that inputs reach far, and of bytes that are none. */
final class GuestFrames {
    private static final int MOST_FRAMES = 200;

    private GuestFrames() {}

    static ScriptedChannel script(FuzzedDataProvider data, int... types) {
        ScriptedChannel guest = new ScriptedChannel();
        for (int i = 0; i < MOST_FRAMES && data.remainingBytes() > 0; i++) {
            int kind = data.consumeInt(0, types.length + 1);
            if (kind == types.length) {
                guest.raw(data.consumeBytes(8));
            } else if (kind > types.length) {
                guest.frame(data.consumeInt(0, 255), data.consumeBytes(data.consumeInt(0, 64)));
            } else {
                guest.frame(types[kind], data.consumeBytes(data.consumeInt(0, 64)));
            }
        }
        return guest;
    }
}
