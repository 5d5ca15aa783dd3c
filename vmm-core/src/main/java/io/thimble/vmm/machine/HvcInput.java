package io.thimble.vmm.machine;

import io.thimble.virtio.console.ConsolePort;
import io.thimble.vmm.legacy.InputTarget;

/**
 * Input of a virtio console that is Linux's own console. Its driver takes ^O there for the SysRq key, so that the character
 * behind it is a command to the kernel, and two of them for one (drivers/tty/hvc/hvc_console.c, {@code hvc_poll}): each is sent
 * twice, so that the guest's programs get every character and the kernel gets no command.
 */
final class HvcInput implements InputTarget {
    private static final byte SYSRQ = 0x0f;
    private static final byte[] ESCAPED = {SYSRQ, SYSRQ};

    private final ConsolePort port;

    HvcInput(ConsolePort port) {
        this.port = port;
    }

    @Override
    public int receive(byte[] source, int offset, int length) {
        int taken = 0;
        while (taken < length) {
            int plain = plain(source, offset + taken, length - taken);
            int sent = plain == 0 ? 0 : port.receive(source, offset + taken, plain);
            taken += sent;
            if (sent < plain) {
                return taken;
            }
            if (taken < length) {
                if (!port.receiveAll(ESCAPED)) {
                    return taken;
                }
                taken++;
            }
        }
        return taken;
    }

    /** Returns how many bytes there are before the next that needs care. */
    private static int plain(byte[] source, int offset, int length) {
        int count = 0;
        while (count < length && source[offset + count] != SYSRQ) {
            count++;
        }
        return count;
    }

    @Override
    public void onInputRoom(Runnable callback) {
        port.onInputRoom(callback);
    }
}
