package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.luben.zstd.ZstdOutputStream;
import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.Timeline;
import io.thimble.vmm.spi.BundledGuest;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.ServiceLoader;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.XZOutputStream;

/** The bundled kernel, compressed in each way that is understood, and inside a bzImage. */
@RequiresKvm
@Timeout(180)
class CompressedKernelIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofMinutes(2));

    @TempDir
    Path directory;

    /** A compression and how to do it, fast rather than well. */
    enum Packing {
        GZIP {
            @Override
            OutputStream to(OutputStream out) throws IOException {
                return new GZIPOutputStream(out);
            }
        },
        XZ {
            @Override
            OutputStream to(OutputStream out) throws IOException {
                return new XZOutputStream(out, new LZMA2Options(0));
            }
        },
        ZSTD {
            @Override
            OutputStream to(OutputStream out) throws IOException {
                return new ZstdOutputStream(out, 1);
            }
        },
        LZ4 {
            @Override
            OutputStream to(OutputStream out) {
                return new Lz4Literals(out);
            }
        };

        abstract OutputStream to(OutputStream out) throws IOException;

        String format() {
            return name().toLowerCase(Locale.ROOT);
        }

        byte[] pack(byte[] bytes) throws IOException {
            ByteArrayOutputStream packed = new ByteArrayOutputStream();
            try (OutputStream out = to(packed)) {
                out.write(bytes);
            }
            return packed.toByteArray();
        }
    }

    /** The legacy format with nothing but literals, which is valid and larger than what went in. */
    private static final class Lz4Literals extends ByteArrayOutputStream {
        private static final int BLOCK = 1 << 20;

        private final OutputStream out;

        Lz4Literals(OutputStream out) {
            this.out = out;
        }

        @Override
        public void close() throws IOException {
            out.write(new byte[] {0x02, 0x21, 0x4c, 0x18});
            for (int at = 0; at < count; at += BLOCK) {
                int length = Math.min(BLOCK, count - at);
                assertThat(length).isGreaterThan(15);
                int full = (length - 15) / 255;
                int size = 1 + full + 1 + length;
                out.write(ByteBuffer.allocate(4)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putInt(size)
                        .array());
                out.write(0xf0);
                for (int i = 0; i < full; i++) {
                    out.write(0xff);
                }
                out.write((length - 15) % 255);
                out.write(buf, at, length);
            }
            out.close();
        }
    }

    private static BundledGuest guest() {
        return ServiceLoader.load(BundledGuest.class).findFirst().orElseThrow();
    }

    private void assertRuns(GuestKernel kernel, String packing) throws Exception {
        ConsoleText console = new ConsoleText();
        try (MicroVm vm = MicroVm.builder()
                .kernel(kernel)
                .append(guest().defaultCommandLine())
                .console(console)
                .command("sh", "-c", "uname -r; exit 7")
                .start()) {
            assertThat(vm.kernelDescription().orElseThrow()).contains("(" + packing + "): ELF vmlinux");
            assertThat(vm.timeline().marks())
                    .extracting(Timeline.Mark::name)
                    .contains("boot files opened, kernel unpacked (" + packing + ")");
            ExitReport report = vm.await(LIMIT).orElseThrow();
            assertThat(report.commandStatus()).as(report.describe()).hasValue(7);
            assertThat(console.text()).contains(guest().kernelVersion());
        }
    }

    @ParameterizedTest
    @EnumSource
    void a_compressed_kernel_runs(Packing packing) throws Exception {
        Path file = directory.resolve("vmlinux." + packing.format());
        Files.write(file, packing.pack(Files.readAllBytes(guest().kernel())));
        assertRuns(GuestKernel.file(file), packing.format());
    }

    /** A setup header as boot.rst has it around the payload, with the unpacked size behind that, as Linux's build adds it. */
    @Test
    void the_kernel_inside_a_bzimage_runs_without_its_decompressor() throws Exception {
        byte[] vmlinux = Files.readAllBytes(guest().kernel());
        byte[] payload = Packing.ZSTD.pack(vmlinux);
        int length = payload.length + 4;
        int code = (length + 15) & ~15;
        ByteBuffer file = ByteBuffer.allocate(1024 + code).order(ByteOrder.LITTLE_ENDIAN);
        file.put(0x1f1, (byte) 1).putInt(0x1f4, code / 16).putShort(0x1fe, (short) 0xaa55);
        file.put(0x200, (byte) 0xeb).put(0x201, (byte) 0x6a).put(0x202, new byte[] {'H', 'd', 'r', 'S'});
        file.putShort(0x206, (short) 0x20f).put(0x211, (byte) 1).putInt(0x22c, 0x7fffffff);
        file.putInt(0x230, 0x200000)
                .put(0x234, (byte) 1)
                .putShort(0x236, (short) 1)
                .putInt(0x238, 2047);
        file.putInt(0x248, 0).putInt(0x24c, length).putLong(0x258, 0x1000000).putInt(0x260, 0x300000);
        file.put(1024, payload).putInt(1024 + payload.length, vmlinux.length);
        Path image = Files.write(directory.resolve("vmlinuz"), file.array());

        assertRuns(GuestKernel.unpacked(image), "bzImage's payload, zstd");
        assertRuns(GuestKernel.pvh(image), "bzImage's payload, zstd");
    }
}
