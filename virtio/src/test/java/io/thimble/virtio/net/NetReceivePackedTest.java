package io.thimble.virtio.net;

import io.thimble.linux.abi.VirtioConfigConstants;

/** The same by packed virtqueues: all buffers of a frame become the driver's at once there too. */
class NetReceivePackedTest extends NetReceiveTest {
    @Override
    long ringFeatures() {
        return 1L << VirtioConfigConstants.VIRTIO_F_RING_PACKED;
    }
}
