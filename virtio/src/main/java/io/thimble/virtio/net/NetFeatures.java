package io.thimble.virtio.net;

import io.thimble.linux.abi.VirtioNetConstants;

/** The feature bits of a network device that say what frames each side takes (virtio 1.2, section 5.1.3), as masks. */
public final class NetFeatures {
    /** The device completes checksums ({@code VIRTIO_NET_F_CSUM}). */
    public static final long HOST_CSUM = 1L << VirtioNetConstants.VIRTIO_NET_F_CSUM;

    /** The device takes TCP over IPv4 larger than the MTU. */
    public static final long HOST_TSO4 = 1L << VirtioNetConstants.VIRTIO_NET_F_HOST_TSO4;

    /** Likewise over IPv6. */
    public static final long HOST_TSO6 = 1L << VirtioNetConstants.VIRTIO_NET_F_HOST_TSO6;

    /** Likewise with ECN. */
    public static final long HOST_ECN = 1L << VirtioNetConstants.VIRTIO_NET_F_HOST_ECN;

    /** The device takes many UDP datagrams in one. */
    public static final long HOST_USO = 1L << VirtioNetConstants.VIRTIO_NET_F_HOST_USO;

    /** The driver takes frames whose checksum is not complete. */
    public static final long GUEST_CSUM = 1L << VirtioNetConstants.VIRTIO_NET_F_GUEST_CSUM;

    /** The driver takes TCP over IPv4 larger than the MTU. */
    public static final long GUEST_TSO4 = 1L << VirtioNetConstants.VIRTIO_NET_F_GUEST_TSO4;

    /** Likewise over IPv6. */
    public static final long GUEST_TSO6 = 1L << VirtioNetConstants.VIRTIO_NET_F_GUEST_TSO6;

    /** Likewise with ECN. */
    public static final long GUEST_ECN = 1L << VirtioNetConstants.VIRTIO_NET_F_GUEST_ECN;

    /** The driver takes many UDP datagrams over IPv4 in one. */
    public static final long GUEST_USO4 = 1L << VirtioNetConstants.VIRTIO_NET_F_GUEST_USO4;

    /** Likewise over IPv6. */
    public static final long GUEST_USO6 = 1L << VirtioNetConstants.VIRTIO_NET_F_GUEST_USO6;

    /** What a back end says of frames from the driver. */
    public static final long HOST_OFFLOADS = HOST_CSUM | HOST_TSO4 | HOST_TSO6 | HOST_ECN | HOST_USO;

    /** What the driver may switch on and off for frames to it ({@code VIRTIO_NET_CTRL_GUEST_OFFLOADS}). */
    public static final long GUEST_OFFLOADS =
            GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | GUEST_ECN | GUEST_USO4 | GUEST_USO6;

    /** Those by which a frame to the driver may be larger than the MTU. */
    static final long GUEST_SEGMENTATION = GUEST_TSO4 | GUEST_TSO6 | GUEST_USO4 | GUEST_USO6;

    static final long MTU = 1L << VirtioNetConstants.VIRTIO_NET_F_MTU;
    static final long MAC = 1L << VirtioNetConstants.VIRTIO_NET_F_MAC;
    static final long MRG_RXBUF = 1L << VirtioNetConstants.VIRTIO_NET_F_MRG_RXBUF;
    static final long STATUS = 1L << VirtioNetConstants.VIRTIO_NET_F_STATUS;
    static final long CTRL_VQ = 1L << VirtioNetConstants.VIRTIO_NET_F_CTRL_VQ;
    static final long CTRL_RX = 1L << VirtioNetConstants.VIRTIO_NET_F_CTRL_RX;
    static final long CTRL_RX_EXTRA = 1L << VirtioNetConstants.VIRTIO_NET_F_CTRL_RX_EXTRA;
    static final long CTRL_MAC_ADDR = 1L << VirtioNetConstants.VIRTIO_NET_F_CTRL_MAC_ADDR;
    static final long CTRL_GUEST_OFFLOADS = 1L << VirtioNetConstants.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
    static final long GUEST_ANNOUNCE = 1L << VirtioNetConstants.VIRTIO_NET_F_GUEST_ANNOUNCE;
    static final long MQ = 1L << VirtioNetConstants.VIRTIO_NET_F_MQ;

    private NetFeatures() {}
}
