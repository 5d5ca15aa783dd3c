package io.thimble.virtio.block;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.VirtioBlkConstants;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.SplitVirtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import io.thimble.virtio.queue.VirtqueueState;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockQueue.Piece;
import io.thimble.virtio.testing.MockSplitQueue;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BlockRequestTest {
    private static final int OK = VirtioBlkConstants.VIRTIO_BLK_S_OK;
    private static final int IOERR = VirtioBlkConstants.VIRTIO_BLK_S_IOERR;
    private static final int UNSUPP = VirtioBlkConstants.VIRTIO_BLK_S_UNSUPP;
    private static final long CAPACITY = 1000;

    private final MockMemory places = new MockMemory(1 << 20);
    private final MockSplitQueue queue = new MockSplitQueue(places, 16);
    private final BlockRequest request = new BlockRequest();

    private BlockRequest parse(boolean readOnly, int blockSize, Piece... pieces) {
        queue.add(pieces);
        VirtqueueState state = new VirtqueueState(
                16, queue.descriptors(), queue.driver(), queue.device(), queue.availableIndex() - 1, 0, 0);
        DescriptorChain chain = new DescriptorChain(places.memory());
        assertThat(new SplitVirtqueue(places.memory(), state, false, true).pop(chain))
                .isTrue();
        request.parse(chain, CAPACITY, readOnly, blockSize);
        return request;
    }

    private Piece in(byte[] bytes) {
        return Piece.readable(places.allocate(bytes), bytes.length);
    }

    private Piece out(int length) {
        return Piece.writable(places.allocate(length, 16), length);
    }

    private BlockRequest read(long sector, int length) {
        return parse(
                false, 512, in(BlockDriver.header(VirtioBlkConstants.VIRTIO_BLK_T_IN, sector)), out(length), out(1));
    }

    private BlockRequest range(int type, long sector, int sectors, int flags) {
        return parse(
                false, 512, in(BlockDriver.header(type, 0)), in(BlockDriver.segment(sector, sectors, flags)), out(1));
    }

    @Test
    void places_a_read() {
        read(7, 1024);
        assertThat(request.status()).isEqualTo(OK);
        assertThat(request.offset()).isEqualTo(7 * 512);
        assertThat(request.length()).isEqualTo(1024);
    }

    @Test
    void takes_header_data_and_status_in_any_pieces() {
        byte[] header = BlockDriver.header(VirtioBlkConstants.VIRTIO_BLK_T_OUT, 3);
        parse(
                false,
                512,
                in(Arrays.copyOf(header, 5)),
                in(Arrays.copyOfRange(header, 5, 16)),
                in(new byte[100]),
                in(new byte[412]),
                out(1));
        assertThat(request.status()).isEqualTo(OK);
        assertThat(request.offset()).isEqualTo(3 * 512);
        assertThat(request.length()).isEqualTo(512);

        parse(false, 512, in(BlockDriver.header(VirtioBlkConstants.VIRTIO_BLK_T_IN, 0)), out(513));
        assertThat(request.status()).isEqualTo(OK);
        assertThat(request.length()).isEqualTo(512);
    }

    @ParameterizedTest
    @CsvSource({
        "999, 512, 0",
        "1000, 0, 0",
        "999, 1024, 1",
        "1000, 512, 1",
        "1001, 0, 1",
        "-1, 512, 1",
        "0x7fffffffffffffff, 512, 1",
        "0x80000000000000, 512, 1",
        "0, 511, 1",
        "0, 513, 1",
    })
    void refuses_what_is_not_on_the_disk(String sector, int length, int status) {
        assertThat(read(Long.decode(sector), length == 0 ? 1 : length).status())
                .isEqualTo(length == 0 ? IOERR : status);
    }

    @Test
    void a_read_of_nothing_is_fine() {
        parse(false, 512, in(BlockDriver.header(VirtioBlkConstants.VIRTIO_BLK_T_IN, 1000)), out(1));
        assertThat(request.status()).isEqualTo(OK);
        assertThat(request.length()).isZero();
    }

    @Test
    void refuses_parts_of_blocks() {
        Piece header = in(BlockDriver.header(VirtioBlkConstants.VIRTIO_BLK_T_OUT, 8));
        assertThat(parse(false, 4096, header, in(new byte[4096]), out(1)).status())
                .isEqualTo(OK);
        assertThat(parse(false, 4096, header, in(new byte[512]), out(1)).status())
                .isEqualTo(IOERR);
        Piece odd = in(BlockDriver.header(VirtioBlkConstants.VIRTIO_BLK_T_OUT, 1));
        assertThat(parse(false, 4096, odd, in(new byte[4096]), out(1)).status()).isEqualTo(IOERR);
    }

    @ParameterizedTest
    @ValueSource(
            ints = {
                VirtioBlkConstants.VIRTIO_BLK_T_OUT,
                VirtioBlkConstants.VIRTIO_BLK_T_DISCARD,
                VirtioBlkConstants.VIRTIO_BLK_T_WRITE_ZEROES
            })
    void refuses_to_change_a_read_only_disk(int type) {
        assertThat(parse(true, 512, in(BlockDriver.header(type, 0)), in(new byte[512]), out(1))
                        .status())
                .isEqualTo(IOERR);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 5, 9, 14, 16, 26, -1, Integer.MIN_VALUE})
    void does_not_know_other_types(int type) {
        assertThat(parse(false, 512, in(BlockDriver.header(type, 0)), out(1)).status())
                .isEqualTo(UNSUPP);
    }

    @Test
    void identifies_with_at_most_twenty_bytes() {
        Piece header = in(BlockDriver.header(VirtioBlkConstants.VIRTIO_BLK_T_GET_ID, 0));
        assertThat(parse(false, 512, header, out(20), out(1)).length()).isEqualTo(20);
        assertThat(parse(false, 512, header, out(100), out(1)).length()).isEqualTo(20);
        assertThat(parse(false, 512, header, out(3), out(1)).length()).isEqualTo(3);
        assertThat(parse(false, 512, header, out(1)).length()).isZero();
    }

    @ParameterizedTest
    @CsvSource({
        "11, 0, 1000, 0, 0",
        "11, 999, 1, 0, 0",
        "11, 999, 2, 0, 1",
        "11, 0, -1, 0, 1",
        "11, 0, 2097153, 0, 1",
        "11, 0, 8, 1, 2",
        "13, 0, 8, 0, 0",
        "13, 0, 8, 1, 0",
        "13, 0, 8, 2, 2",
        "13, -8, 8, 0, 1",
    })
    void checks_a_range(int type, long sector, int sectors, int flags, int status) {
        assertThat(range(type, sector, sectors, flags).status()).isEqualTo(status);
        assertThat(request.unmap() || status != OK).isEqualTo(type == 11 || flags != 0 || status != OK);
    }

    @Test
    void takes_one_range_only() {
        byte[] two = new byte[32];
        assertThat(parse(false, 512, in(BlockDriver.header(11, 0)), in(two), out(1))
                        .status())
                .isEqualTo(IOERR);
        assertThat(parse(false, 512, in(BlockDriver.header(11, 0)), in(new byte[15]), out(1))
                        .status())
                .isEqualTo(IOERR);
        assertThat(parse(false, 512, in(BlockDriver.header(11, 0)), out(1)).status())
                .isEqualTo(IOERR);
    }

    @Test
    void cannot_answer_without_header_or_status() {
        assertThatThrownBy(() -> parse(false, 512, in(new byte[15]), out(1))).isInstanceOf(VirtqueueException.class);
        assertThatThrownBy(() -> parse(false, 512, in(new byte[16]))).isInstanceOf(VirtqueueException.class);
    }
}
