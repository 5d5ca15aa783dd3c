package io.thimble.virtio.net;

import io.thimble.linux.abi.VirtioNetConstants;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.Virtqueue;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * The driver's commands (virtio 1.2, section 5.1.6.5). Each is copied before it is looked at; one that is too short, too long
 * or unknown is answered with {@code VIRTIO_NET_ERR}.
 */
final class ControlQueue {
    private static final int MOST_COMMANDS_A_TURN = 16;
    /** The largest command: two tables of addresses; of longer tables the first addresses are looked at. */
    private static final int MAX_COMMAND = 2 + 2 * (4 + 1024 * MacAddress.BYTES);

    private static final int DATA = 2; // behind struct virtio_net_ctrl_hdr { u8 class, cmd; }
    private static final VarHandle LE16 = MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LE32 = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LE64 = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private final NetDevice device;
    private final int index;
    private final Virtqueue queue;
    private final Activation activation;
    private final DescriptorChain chain;
    private final byte[] command = new byte[MAX_COMMAND];
    private int length;

    ControlQueue(NetDevice device, int index, Virtqueue queue, Activation activation) {
        this.device = device;
        this.index = index;
        this.queue = queue;
        this.activation = activation;
        this.chain = new DescriptorChain(activation.memory());
    }

    /** Obeys commands; returns whether a turn was up before there were no more. */
    boolean serve() {
        int done = 0;
        do {
            queue.disableNotifications();
            while (done < MOST_COMMANDS_A_TURN && queue.pop(chain)) {
                length = chain.read(0, command, 0, command.length);
                boolean obeyed = chain.readableLength() == length && length >= DATA && obey();
                chain.writeByte(
                        0, (byte) (obeyed ? VirtioNetConstants.VIRTIO_NET_OK : VirtioNetConstants.VIRTIO_NET_ERR));
                queue.addUsed(chain, Math.min(1, chain.writableLength()));
                done++;
            }
        } while (done < MOST_COMMANDS_A_TURN && queue.enableNotifications());
        if (queue.needsInterrupt()) {
            activation.interrupt().signalQueue(index);
        }
        return done >= MOST_COMMANDS_A_TURN;
    }

    private boolean has(long feature) {
        return (activation.features() & feature) != 0;
    }

    private boolean obey() {
        int number = command[1];
        return switch (command[0]) {
            case VirtioNetConstants.VIRTIO_NET_CTRL_RX -> setMode(number);
            case VirtioNetConstants.VIRTIO_NET_CTRL_MAC -> setAddresses(number);
            case VirtioNetConstants.VIRTIO_NET_CTRL_ANNOUNCE ->
                number == VirtioNetConstants.VIRTIO_NET_CTRL_ANNOUNCE_ACK
                        && has(NetFeatures.GUEST_ANNOUNCE)
                        && acknowledge();
            case VirtioNetConstants.VIRTIO_NET_CTRL_MQ ->
                number == VirtioNetConstants.VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET && has(NetFeatures.MQ) && setPairs();
            case VirtioNetConstants.VIRTIO_NET_CTRL_GUEST_OFFLOADS ->
                number == VirtioNetConstants.VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET
                        && has(NetFeatures.CTRL_GUEST_OFFLOADS)
                        && setOffloads();
            default -> false;
        };
    }

    private boolean setMode(int mode) {
        boolean extra = mode > VirtioNetConstants.VIRTIO_NET_CTRL_RX_ALLMULTI;
        return length == DATA + 1
                && has(extra ? NetFeatures.CTRL_RX_EXTRA : NetFeatures.CTRL_RX)
                && device.filter().setMode(mode, command[DATA] != 0);
    }

    private boolean setAddresses(int number) {
        return switch (number) {
            case VirtioNetConstants.VIRTIO_NET_CTRL_MAC_TABLE_SET -> has(NetFeatures.CTRL_RX) && setTables();
            case VirtioNetConstants.VIRTIO_NET_CTRL_MAC_ADDR_SET ->
                has(NetFeatures.CTRL_MAC_ADDR)
                        && length == DATA + MacAddress.BYTES
                        && device.setDriverAddress(MacAddress.of(command, DATA));
            default -> false;
        };
    }

    /** Two of {@code struct virtio_net_ctrl_mac { le32 entries; u8 macs[entries][6]; }}: unicast, then multicast. */
    private boolean setTables() {
        long unicastEnd = tableEnd(DATA);
        if (unicastEnd < 0) {
            return false;
        }
        int second = (int) unicastEnd;
        if (tableEnd(second) != length) {
            return false;
        }
        device.filter().setTables(table(DATA), overflows(DATA), table(second), overflows(second));
        return true;
    }

    /** Returns where a table ends, or -1 if it ends behind the command. */
    private long tableEnd(int at) {
        if (at + Integer.BYTES > length) {
            return -1;
        }
        long end = at + Integer.BYTES + entries(at) * MacAddress.BYTES;
        return end <= length ? end : -1;
    }

    private long entries(int at) {
        return Integer.toUnsignedLong((int) LE32.get(command, at));
    }

    private boolean overflows(int at) {
        return entries(at) > ReceiveFilter.TABLE_SIZE;
    }

    private long[] table(int at) {
        long[] table = new long[(int) Math.min(entries(at), ReceiveFilter.TABLE_SIZE)];
        for (int i = 0; i < table.length; i++) {
            table[i] = MacAddress.value(command, at + Integer.BYTES + i * MacAddress.BYTES);
        }
        return table;
    }

    private boolean acknowledge() {
        device.announced();
        return true;
    }

    private boolean setPairs() {
        return length == DATA + Short.BYTES
                && device.setActivePairs(Short.toUnsignedInt((short) LE16.get(command, DATA)));
    }

    private boolean setOffloads() {
        if (length != DATA + Long.BYTES) {
            return false;
        }
        long offloads = (long) LE64.get(command, DATA);
        if ((offloads & ~(activation.features() & NetFeatures.GUEST_OFFLOADS)) != 0) {
            return false;
        }
        device.setGuestOffloads(offloads);
        return true;
    }
}
