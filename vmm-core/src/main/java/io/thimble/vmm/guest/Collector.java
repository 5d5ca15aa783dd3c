package io.thimble.vmm.guest;

import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** Keeps all of one output stream, up to a limit. Filled by the connection's thread; read when the stream has ended. */
final class Collector implements OutputSink {
    private final Credit credit;
    private final int most;
    private byte[] bytes = new byte[0]; // guarded by this, as size
    private int size;

    Collector(Credit credit, int most) {
        this.credit = credit;
        this.most = most;
    }

    @Override
    public void accept(ByteBuffer more) throws IOException {
        int length = more.remaining();
        synchronized (this) {
            if (length > most - size) {
                throw new GuestException(Problem.LIMIT, "the program writes more than the " + most + " bytes it may");
            }
            if (length > bytes.length - size) {
                bytes = Arrays.copyOf(bytes, (int) Math.min(most, Math.max(2L * bytes.length, size + length)));
            }
            more.get(bytes, size, length);
            size += length;
        }
        if (length > 0) {
            credit.give(length);
        }
    }

    @Override
    public void end() {}

    @Override
    public void fail(IOException reason) {}

    synchronized byte[] bytes() {
        return Arrays.copyOf(bytes, size);
    }
}
