package io.thimble.virtio.vsock;

import static io.thimble.virtio.vsock.VsockBench.OP_REQUEST;
import static io.thimble.virtio.vsock.VsockBench.OP_RST;
import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.abi.VirtioVsockConstants;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.testing.MockMemory;
import org.junit.jupiter.api.Test;

class MuxTest {
    private final Mux mux = new Mux(Packet.GUEST_CID, VsockLimits.DEFAULT, _ -> NoEndpoint.INSTANCE, () -> {});
    private final DescriptorChain none = new DescriptorChain(new MockMemory(4096).memory());

    private void receive(int op) {
        VsockHeader packet = new VsockHeader();
        packet.srcCid = Packet.GUEST_CID;
        packet.dstCid = Mux.HOST_CID;
        packet.srcPort = 7;
        packet.dstPort = 9;
        packet.type = VirtioVsockConstants.VIRTIO_VSOCK_TYPE_STREAM;
        packet.op = op;
        mux.receive(packet, none);
    }

    @Test
    void of_a_connection_that_the_guest_has_reset_nothing_waits_for_its_turn() {
        receive(OP_REQUEST);
        assertThat(mux.hasWork()).as("the response").isTrue();
        receive(OP_RST);
        assertThat(mux.hasWork()).isFalse();
    }
}
