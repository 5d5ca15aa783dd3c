package io.thimble.virtio.net;

import io.thimble.linux.abi.VirtioNetConstants;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Makes of a frame that its sender left unfinished - a checksum to be completed, segments to be cut - frames that any driver
 * takes: what a network card's hardware does. The sender's header says where the transport header is (virtio 1.2, section 5.1.6.2);
 * all that it says was not checked against the frame, and is checked here.
 */
final class SoftwareOffload {
    /** Takes a packet, header included; returns false if there is no room for it. */
    interface Sink {
        boolean accept(MemorySegment packet, long length);
    }

    /** More segments than any sender has reason for are not cut: a frame must not become tens of thousands. */
    private static final int MOST_SEGMENTS = 512;

    private static final int ETHER_TYPE = 12;
    private static final int VLAN_BYTES = 4;
    private static final int ETHER_TYPE_VLAN = 0x8100;
    private static final int IPV6_HEADER = 40;
    private static final int UDP_HEADER = 8;
    private static final int TCP_HEADER = 20;
    private static final int TCP_SEQUENCE = 4;
    private static final int TCP_OFFSET = 12;
    private static final int TCP_FLAGS = 13;
    private static final int TCP_FIN_PSH = 0x09;
    private static final int TCP_CWR = 0x80;
    private static final int PROTOCOL_TCP = 6;
    private static final int PROTOCOL_UDP = 17;

    private static final ValueLayout.OfShort BE16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfInt BE32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private final MemorySegment whole;
    private final MemorySegment segment;

    SoftwareOffload(Arena arena) {
        this.whole = arena.allocate(NetDevice.MAX_FRAME);
        this.segment = arena.allocate(PacketHeader.SIZE + NetDevice.MAX_FRAME);
    }

    /** Tells whether a driver with these offloads takes a frame with this header as it is. */
    static boolean accepts(long guestOffloads, MemorySegment header) {
        int gso = PacketHeader.gsoType(header);
        if (gso == VirtioNetConstants.VIRTIO_NET_HDR_GSO_NONE) {
            return PacketHeader.flags(header) == 0 || (guestOffloads & NetFeatures.GUEST_CSUM) != 0;
        }
        boolean ecn = (gso & VirtioNetConstants.VIRTIO_NET_HDR_GSO_ECN) != 0;
        long needed = switch (gso & ~VirtioNetConstants.VIRTIO_NET_HDR_GSO_ECN) {
            case VirtioNetConstants.VIRTIO_NET_HDR_GSO_TCPV4 -> NetFeatures.GUEST_TSO4;
            case VirtioNetConstants.VIRTIO_NET_HDR_GSO_TCPV6 -> NetFeatures.GUEST_TSO6;
            default -> NetFeatures.GUEST_USO4 | NetFeatures.GUEST_USO6;
        };
        needed |= ecn ? NetFeatures.GUEST_ECN : 0;
        return (guestOffloads & needed) == needed;
    }

    /**
     * Finishes a frame.
     *
     * @return false if the sink had no room, or if the header and the frame do not fit together
     */
    boolean convert(TransmitPacket packet, long guestOffloads, Sink sink) {
        int length = (int) packet.frameLength();
        if (packet.copyFrame(0, whole, 0, length) != length) {
            return false;
        }
        int start = PacketHeader.checksumStart(packet.header());
        int field = start + PacketHeader.checksumOffset(packet.header());
        int gso = PacketHeader.gsoType(packet.header()) & ~VirtioNetConstants.VIRTIO_NET_HDR_GSO_ECN;
        if (gso == VirtioNetConstants.VIRTIO_NET_HDR_GSO_NONE) {
            complete(start, field, length);
            return emit(length, sink);
        }
        return cut(length, start, gso, PacketHeader.gsoSize(packet.header()), sink);
    }

    private boolean emit(int length, Sink sink) {
        segment.asSlice(0, PacketHeader.SIZE).fill((byte) 0);
        MemorySegment.copy(whole, 0, segment, PacketHeader.SIZE, length);
        return sink.accept(segment, (long) PacketHeader.SIZE + length);
    }

    /** Completes a checksum whose field has the sum of the pseudo header in it. */
    private void complete(int start, int field, int end) {
        long sum = sum(whole, start, end - start);
        int checksum = finish(sum);
        put16(whole, field, checksum == 0 ? 0xffff : checksum); // 0 means "none" to UDP, and the same to others
    }

    private boolean cut(int length, int start, int gso, int size, Sink sink) {
        boolean tcp = gso != VirtioNetConstants.VIRTIO_NET_HDR_GSO_UDP_L4;
        int network = NetDevice.ETHERNET_HEADER;
        if (get16(whole, ETHER_TYPE) == ETHER_TYPE_VLAN) {
            network += VLAN_BYTES;
        }
        boolean v6 = get16(whole, network - 2) == 0x86dd;
        int leastNetwork = v6 ? IPV6_HEADER : 20;
        if (start < network + leastNetwork || start + (tcp ? TCP_HEADER : UDP_HEADER) > length) {
            return false;
        }
        int transport = tcp ? (get8(whole, start + TCP_OFFSET) >>> 4) * 4 : UDP_HEADER;
        int headers = start + transport;
        if (transport < UDP_HEADER || headers >= length || (length - headers - 1) / size >= MOST_SEGMENTS) {
            return false;
        }
        boolean room = true;
        for (int at = headers, i = 0; at < length && room; at += size, i++) {
            int part = Math.min(size, length - at);
            MemorySegment.copy(whole, 0, segment, PacketHeader.SIZE, headers);
            MemorySegment.copy(whole, at, segment, PacketHeader.SIZE + headers, part);
            boolean last = at + part == length;
            fixNetwork(network, v6, headers + part, i);
            fixTransport(network, v6, start, tcp, headers + part, at - headers, i == 0, last);
            segment.asSlice(0, PacketHeader.SIZE).fill((byte) 0);
            room = sink.accept(segment, (long) PacketHeader.SIZE + headers + part);
        }
        return room;
    }

    private void fixNetwork(int network, boolean v6, int end, int index) {
        long ip = (long) PacketHeader.SIZE + network;
        if (v6) {
            put16(segment, ip + 4, end - network - IPV6_HEADER);
            return;
        }
        put16(segment, ip + 2, end - network);
        put16(segment, ip + 4, get16(segment, ip + 4) + index);
        put16(segment, ip + 10, 0);
        int header = Math.min((get8(segment, ip) & 0xf) * 4, end - network);
        put16(segment, ip + 10, finish(sum(segment, ip, header)));
    }

    private void fixTransport(
            int network, boolean v6, int start, boolean tcp, int end, int offset, boolean first, boolean last) {
        long at = (long) PacketHeader.SIZE + start;
        int length = end - start;
        if (tcp) {
            segment.set(BE32, at + TCP_SEQUENCE, segment.get(BE32, at + TCP_SEQUENCE) + offset);
            int flags = get8(segment, at + TCP_FLAGS);
            flags = last ? flags : flags & ~TCP_FIN_PSH;
            flags = first ? flags : flags & ~TCP_CWR;
            segment.set(ValueLayout.JAVA_BYTE, at + TCP_FLAGS, (byte) flags);
        } else {
            put16(segment, at + 4, length);
        }
        long field = at + (tcp ? 16 : 6);
        put16(segment, field, 0);
        long ip = (long) PacketHeader.SIZE + network;
        long sum = v6 ? sum(segment, ip + 8, 32) : sum(segment, ip + 12, 8);
        sum += (tcp ? PROTOCOL_TCP : PROTOCOL_UDP) + length;
        int checksum = finish(sum + sum(segment, at, length));
        put16(segment, field, checksum == 0 ? 0xffff : checksum);
    }

    private static long sum(MemorySegment bytes, long from, long length) {
        long sum = 0;
        long at = from;
        long end = from + length;
        for (; at + 1 < end; at += 2) {
            sum += get16(bytes, at);
        }
        return at < end ? sum + ((long) get8(bytes, at) << 8) : sum;
    }

    private static int finish(long sum) {
        long folded = sum;
        while (folded >>> 16 != 0) {
            folded = (folded & 0xffff) + (folded >>> 16);
        }
        return (int) ~folded & 0xffff;
    }

    private static int get8(MemorySegment bytes, long at) {
        return bytes.get(ValueLayout.JAVA_BYTE, at) & 0xff;
    }

    private static int get16(MemorySegment bytes, long at) {
        return Short.toUnsignedInt(bytes.get(BE16, at));
    }

    private static void put16(MemorySegment bytes, long at, int value) {
        bytes.set(BE16, at, (short) value);
    }
}
