package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.virtio.block.BlockEngineKind;
import io.thimble.virtio.device.RateLimits;
import io.thimble.vmm.Disk;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DiskOptionTest {
    @Test
    void a_path_alone_is_a_writable_disk() {
        assertThat(DiskOption.parse("a/b.img")).isEqualTo(Disk.of(Path.of("a/b.img")));
    }

    @Test
    void reads_everything() {
        assertThat(DiskOption.parse(
                        "a,,b,ro,direct,sync,engine=threads,bps=100M/s,iops=20k,queues=4,block=4096,serial=x"))
                .isEqualTo(new Disk(
                        Path.of("a,b"),
                        true,
                        true,
                        BlockEngineKind.THREADS,
                        true,
                        4,
                        4096,
                        "x",
                        RateLimits.of(100L << 20, 20_000)));
        assertThat(DiskOption.parse("a,engine=io_uring").engine()).isEqualTo(BlockEngineKind.IO_URING);
        assertThat(DiskOption.parse("a,bps=1.5G").limits().bytesPerSecond()).isEqualTo(3L << 29);
    }

    @Test
    void may_be_repeated() {
        assertThat(RunParser.parse(List.of("--disk", "a", "--disk=b,ro")).disks)
                .extracting(Disk::path)
                .containsExactly(Path.of("a"), Path.of("b"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "''|write the path of the image first",
                ",ro|write the path of the image first",
                "a,rw|knows no rw",
                "a,redonly|knows no redonly",
                "a,ro=1|ro takes no value",
                "a,bps=|not a size",
                "a,engine|engine needs a value",
                "a,engine=aio|use auto, io_uring or threads",
                "a,bps=fast|not a size; write it like 256M",
                "a,iops=1.5|write a number like 500, 20k or 1M",
                "a,queues=0|choose 1 to 16",
                "a,queues=99999999999|choose 1 to 16",
                "a,block=1000|use a power of 2 from 512 to 65536",
                "a,serial=123456789012345678901|choose one of at most 20",
            })
    void says_what_is_wrong(String text, String message) {
        assertThatExceptionOfType(UsageException.class)
                .isThrownBy(() -> DiskOption.parse(text))
                .withMessageContaining(message);
    }
}
