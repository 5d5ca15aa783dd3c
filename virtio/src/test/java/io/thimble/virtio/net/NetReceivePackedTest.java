package io.thimble.virtio.net;

import io.thimble.linux.abi.VirtioConfigConstants;
import org.junit.jupiter.api.Test;

/** The same by packed virtqueues: all buffers of a frame become the driver's at once there too. */
class NetReceivePackedTest extends NetReceiveTest {
    @Override
    long ringFeatures() {
        return 1L << VirtioConfigConstants.VIRTIO_F_RING_PACKED;
    }

    @Test
    void a_queue_of_any_size_will_do() {
        start(ALL, 100); // section 2.8 knows no powers of 2
        checkThatAFrameIsSpread();
    }
}
