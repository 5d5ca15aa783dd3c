package io.thimble.virtio.net;

import io.thimble.linux.abi.VirtioNetConstants;
import io.thimble.linux.abi.VirtioNetHdrV1Layout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The header in front of each frame (virtio 1.2, section 5.1.6), in little endian:
 *
 * <pre>{@code
 * struct virtio_net_hdr {
 *     u8 flags; u8 gso_type;
 *     le16 hdr_len; le16 gso_size; le16 csum_start; le16 csum_offset; le16 num_buffers;
 * };
 * }</pre>
 */
public final class PacketHeader {
    /** The size in bytes. */
    public static final int SIZE = (int) VirtioNetHdrV1Layout.SIZEOF;

    static final int NUM_BUFFERS = (int) VirtioNetHdrV1Layout.OFFSETOF_NUM_BUFFERS;

    private static final ValueLayout.OfShort LE16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int CHECKSUM_BYTES = 2;

    private PacketHeader() {}

    /**
     * Checks a header from the driver, as a copy that it cannot change any more, and leaves nothing in it that is not for
     * the device.
     *
     * @param header is corrected
     * @param frameLength bytes behind the header
     * @param features as negotiated
     * @return whether the frame can be sent
     */
    static boolean checkFromDriver(MemorySegment header, long frameLength, long features) {
        int flags = flags(header) & VirtioNetConstants.VIRTIO_NET_HDR_F_NEEDS_CSUM;
        int gso = gsoType(header);
        if (flags != 0) {
            if ((features & NetFeatures.HOST_CSUM) == 0
                    || checksumStart(header) + checksumOffset(header) + CHECKSUM_BYTES > frameLength) {
                return false;
            }
        } else {
            setUnsignedShort(header, VirtioNetHdrV1Layout.OFFSETOF_CSUM_START, 0);
            setUnsignedShort(header, VirtioNetHdrV1Layout.OFFSETOF_CSUM_OFFSET, 0);
        }
        if (gso == VirtioNetConstants.VIRTIO_NET_HDR_GSO_NONE) {
            setUnsignedShort(header, VirtioNetHdrV1Layout.OFFSETOF_HDR_LEN, 0);
            setUnsignedShort(header, VirtioNetHdrV1Layout.OFFSETOF_GSO_SIZE, 0);
        } else if (flags == 0
                || (features & featureOf(gso)) == 0
                || (isEcn(gso) && (features & NetFeatures.HOST_ECN) == 0)
                || gsoSize(header) == 0
                || headerLength(header) > frameLength) {
            return false;
        }
        header.set(ValueLayout.JAVA_BYTE, VirtioNetHdrV1Layout.OFFSETOF_FLAGS, (byte) flags);
        setUnsignedShort(header, VirtioNetHdrV1Layout.OFFSETOF_NUM_BUFFERS, 0);
        return true;
    }

    private static boolean isEcn(int gso) {
        return (gso & VirtioNetConstants.VIRTIO_NET_HDR_GSO_ECN) != 0;
    }

    private static long featureOf(int gso) {
        return switch (gso & ~VirtioNetConstants.VIRTIO_NET_HDR_GSO_ECN) {
            case VirtioNetConstants.VIRTIO_NET_HDR_GSO_TCPV4 -> NetFeatures.HOST_TSO4;
            case VirtioNetConstants.VIRTIO_NET_HDR_GSO_TCPV6 -> NetFeatures.HOST_TSO6;
            case VirtioNetConstants.VIRTIO_NET_HDR_GSO_UDP_L4 -> NetFeatures.HOST_USO;
            default -> 0;
        };
    }

    /** Returns {@code flags}. */
    public static int flags(MemorySegment header) {
        return header.get(ValueLayout.JAVA_BYTE, VirtioNetHdrV1Layout.OFFSETOF_FLAGS) & 0xff;
    }

    /** Returns {@code gso_type}. */
    public static int gsoType(MemorySegment header) {
        return header.get(ValueLayout.JAVA_BYTE, VirtioNetHdrV1Layout.OFFSETOF_GSO_TYPE) & 0xff;
    }

    /** Returns {@code hdr_len}. */
    public static int headerLength(MemorySegment header) {
        return unsignedShort(header, VirtioNetHdrV1Layout.OFFSETOF_HDR_LEN);
    }

    /** Returns {@code gso_size}. */
    public static int gsoSize(MemorySegment header) {
        return unsignedShort(header, VirtioNetHdrV1Layout.OFFSETOF_GSO_SIZE);
    }

    /** Returns {@code csum_start}. */
    public static int checksumStart(MemorySegment header) {
        return unsignedShort(header, VirtioNetHdrV1Layout.OFFSETOF_CSUM_START);
    }

    /** Returns {@code csum_offset}. */
    public static int checksumOffset(MemorySegment header) {
        return unsignedShort(header, VirtioNetHdrV1Layout.OFFSETOF_CSUM_OFFSET);
    }

    private static int unsignedShort(MemorySegment header, long offset) {
        return Short.toUnsignedInt(header.get(LE16, offset));
    }

    private static void setUnsignedShort(MemorySegment header, long offset, int value) {
        header.set(LE16, offset, (short) value);
    }
}
