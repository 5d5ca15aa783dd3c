package io.thimble.it.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.Await;
import io.thimble.it.support.Commands;
import io.thimble.it.support.Echo;
import io.thimble.virtio.net.NetStatistics;
import io.thimble.vmm.CopyResult;
import io.thimble.vmm.ExecResult;
import io.thimble.vmm.GuestBalloon;
import io.thimble.vmm.GuestProcess;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.VsockChannel;
import io.thimble.vmm.VsockListener;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.AfterParameterizedClassInvocation;
import org.junit.jupiter.params.BeforeParameterizedClassInvocation;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Debian's kernels with their own virtio drivers, most of them modules of the same package, which the initial RAM disk loads before
 * the agent: they find every kind of device in ACPI (LNRO0005) and carry random data unchanged. One VM a kernel. One kernel, or all with
 * {@code thimble.it.matrix=full}.
 *
 * <p>The TAP interfaces are made in the network of the machine that runs the test, which is {@code kvm-host}'s: nobody else is in it.
 */
@RequiresKvm(hardware = "its emulator lacks instructions that stock kernels use")
@EnabledIfSystemProperty(
        named = DebianKernelIT.KERNELS,
        matches = ".+",
        disabledReason = "kvm-host/run gives the kernels: it sets thimble.it.kernels")
@ParameterizedClass
@MethodSource("kernels")
@Timeout(240)
class DebianModulesIT {
    private static final Duration LIMIT = ModulesGuest.LIMIT;
    private static final int MIB = ModulesGuest.MIB;
    private static final int KIB = 1 << 10;
    private static final int PEER_PORT = 5000;
    private static final int HOST_PORT = 6000;
    private static final int CONNECTIONS = 5;
    private static final int SECTOR = 512;

    /** Finds the device of a named port. */
    private static final String PORT_DEVICE = """
            port() { for p in /sys/class/virtio-ports/*; do
                [ "$(cat $p/name 2>/dev/null)" = "$1" ] && echo /dev/${p##*/}; done; }
            """;

    @TempDir
    static Path directory;

    private static final Map<String, ModulesGuest> RUNNING = new HashMap<>();

    private final ModulesGuest guest;
    private final MicroVm vm;

    DebianModulesIT(String kernel) {
        guest = Objects.requireNonNull(RUNNING.get(kernel));
        vm = guest.vm;
    }

    static Stream<String> kernels() {
        return DebianKernelIT.isFull() ? DebianKernelIT.DEBIAN.stream() : Stream.of("debian12-cloud");
    }

    @BeforeParameterizedClassInvocation
    static void boot(String kernel) throws Exception {
        RUNNING.put(kernel, new ModulesGuest(kernel, directory));
    }

    @AfterParameterizedClassInvocation
    static void powerOff(String kernel) throws Exception {
        ModulesGuest ended = RUNNING.remove(kernel);
        if (ended != null) { // it has started
            ended.powerOff();
        }
    }

    private static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    private static void awaitTrue(String what, BooleanSupplier condition) {
        Await.until(what, LIMIT, condition);
    }

    @Test
    void each_device_of_the_acpi_tables_has_its_driver() throws Exception {
        assertThat(guest.run("""
                        for d in /sys/bus/virtio/devices/*; do basename $(readlink $d/driver); done | sort | uniq -c | tr -s ' '
                        ls -d /sys/bus/acpi/devices/LNRO0005:* | wc -l
                        tr ' ' '\\n' </proc/cmdline | grep -c virtio_mmio
                        dmesg | grep -v 'Modules linked in:' | grep -i -E 'not loaded:|virtio.*(error|fail|warn)'
                        true
                        """).lines().map(String::strip))
                .containsExactly(
                        "1 virtio_balloon",
                        "2 virtio_blk",
                        "2 virtio_console",
                        "2 virtio_net",
                        "1 virtio_rng",
                        "1 vmw_vsock_virtio_transport",
                        "9",
                        "0");
    }

    @Test
    void the_entropy_device_gives_random_bytes() throws Exception {
        String said =
                guest.run("cat /sys/class/misc/hw_random/rng_current; head -c 65536 /dev/hwrng | gzip -c | wc -c");
        assertThat(said).startsWith("virtio_rng");
        assertThat(Integer.parseInt(said.lines().toList().getLast()))
                .as("random bytes do not shrink")
                .isGreaterThan(64 * KIB);
    }

    @Test
    void a_disk_is_read_and_another_written() throws Exception {
        byte[] content = Files.readAllBytes(guest.source);
        assertThat(guest.run("""
                        cat /sys/block/vda/serial /sys/block/vda/ro; echo
                        sha256sum </dev/vda
                        dd if=/dev/vda of=/dev/vdb bs=64k seek=3 conv=fsync,notrunc 2>/dev/null
                        echo 3 >/proc/sys/vm/drop_caches
                        dd if=/dev/vdb bs=64k skip=3 count=128 2>/dev/null | sha256sum
                        """)).contains("source1\n").containsSubsequence(sha256(content), sha256(content));
        ByteBuffer written = ByteBuffer.wrap(Files.readAllBytes(guest.target));
        assertThat(written.slice(3 * 64 * KIB, content.length)).isEqualTo(ByteBuffer.wrap(content));
        assertThat(vm.disks().get(1).metrics().flushes()).isPositive();
        assertThat(vm.disks().get(1).metrics().errors()).isZero();
    }

    @Test
    void a_file_system_keeps_what_was_written_to_it() throws Exception {
        byte[] content = Files.readAllBytes(guest.source);
        assertThat(guest.run("""
                        set -e
                        mke2fs -F /dev/vdb >/dev/null
                        mkdir -p /m
                        mount -t ext4 /dev/vdb /m
                        cat /dev/vda >/m/file
                        umount /m
                        mount -t ext4 -o ro /dev/vdb /m
                        sha256sum </m/file
                        umount /m
                        """)).startsWith(sha256(content));
        byte[] superblock = new byte[SECTOR];
        ByteBuffer.wrap(Files.readAllBytes(guest.target)).get(1024, superblock);
        short magic = ByteBuffer.wrap(superblock).order(ByteOrder.LITTLE_ENDIAN).getShort(0x38);
        assertThat(magic).as("s_magic of ext4's superblock").isEqualTo((short) 0xef53);
    }

    @Test
    void programs_and_copies_carry_data_over_vsock() throws Exception {
        byte[] data = guest.random(MIB);
        ExecResult cat = vm.program("cat").input(data).run();
        assertThat(cat.stdout()).isEqualTo(data);
        Path file = guest.file("copy", data);
        CopyResult in = vm.copyIn(file, "/srv/copy");
        assertThat(guest.run("sha256sum </srv/copy")).startsWith(sha256(data));
        assertThat(vm.copyOut("/srv/copy", directory.resolve(guest.kernel + "-back")))
                .isEqualTo(in);
        assertThat(directory.resolve(guest.kernel + "-back")).hasBinaryContent(data);
    }

    @Test
    void vsock_connects_both_ways() throws Exception {
        try (GuestProcess peer = vm.exec("vsock-peer", String.valueOf(PEER_PORT));
                VsockListener listener = vm.vsock().listen(HOST_PORT, CONNECTIONS)) {
            awaitLine(peer, "vsock-peer ready");
            try (VsockChannel channel = vm.vsock().connect(PEER_PORT)) {
                channel.outputStream().write('E');
                Echo.vsock(channel, guest.random(MIB), "seed " + guest.seed);
            }
            try (VsockChannel order = vm.vsock().connect(PEER_PORT)) {
                order.outputStream().write('C');
                order.outputStream()
                        .write(ByteBuffer.allocate(8)
                                .order(ByteOrder.LITTLE_ENDIAN)
                                .putInt(HOST_PORT)
                                .putInt(CONNECTIONS)
                                .array());
                for (int i = 0; i < CONNECTIONS; i++) {
                    try (VsockChannel channel = listener.accept()) {
                        Echo.vsock(channel, guest.random(100_000), "seed " + guest.seed);
                    }
                }
                assertThat(order.inputStream().readAllBytes()).startsWith(CONNECTIONS, 0, 0, 0);
            }
        }
    }

    private static void awaitLine(GuestProcess process, String line) throws IOException {
        byte[] expected = (line + "\n").getBytes(StandardCharsets.UTF_8);
        assertThat(process.stdout().readNBytes(expected.length)).asString().isEqualTo(line + "\n");
    }

    @Test
    void hvc0_is_the_console_and_carries_data_both_ways() throws Exception {
        assertThat(guest.run("cat /sys/class/tty/console/active; grep -o 'console=[^ ]*' /proc/cmdline"))
                .isEqualTo("hvc0\nconsole=hvc0\n");
        byte[] typed = HexFormat.of().formatHex(guest.random(16 * KIB)).getBytes(StandardCharsets.US_ASCII);
        // In a session of its own: who belongs to the console's own session and is in the background is stopped when it
        // reads.
        String read = "setsid sh -c 'exec </dev/hvc0; stty raw -echo; echo reads; head -c " + typed.length
                + " | sha256sum'; true";
        try (GuestProcess reader = vm.exec("sh", "-c", read)) {
            awaitLine(reader, "reads");
            guest.keyboard.write(typed);
            guest.keyboard.flush();
            assertThat(new String(reader.stdout().readAllBytes(), StandardCharsets.US_ASCII))
                    .startsWith(sha256(typed));
        }
        String shown = HexFormat.of().formatHex(guest.random(128 * KIB));
        Path file = guest.file("shown", shown.getBytes(StandardCharsets.US_ASCII));
        vm.copyIn(file, "/srv/shown");
        guest.run("cat /srv/shown >/dev/hvc0; echo end >/dev/hvc0");
        assertThat(guest.console.awaitText("end\n", LIMIT)).isTrue();
        assertThat(guest.console.text().contains(shown + "end\n")).isTrue();
    }

    @Test
    void named_ports_carry_data_both_ways() throws Exception {
        byte[] data = guest.random(256 * KIB);
        String copy = PORT_DEVICE + """
                set -e
                head -c %d "$(port in)" >/tmp/data
                sha256sum </tmp/data
                cat /tmp/data >"$(port out)"
                echo copied
                """.formatted(data.length);
        try (GuestProcess reader = vm.program("sh", "-c", copy).mergeStderr().start()) {
            guest.portInput.write(data);
            guest.portInput.flush();
            awaitLine(reader, sha256(data) + "  -");
            awaitLine(reader, "copied");
        }
        assertThat(guest.port.awaitBytes(data.length, LIMIT))
                .as("%s of %s bytes", guest.port.bytes().length, data.length)
                .isTrue();
        assertThat(guest.port.bytes()).isEqualTo(data);
    }

    @Test
    void a_network_echoes_random_data_with_offloads_and_without() throws Exception {
        for (int i = 0; i < 2; i++) {
            Commands.check("ip", "addr", "add", "192.0.2." + (1 + 64 * i) + "/26", "dev", "tap" + i);
            Commands.check("ip", "addr", "add", "2001:db8:" + i + "::1/64", "dev", "tap" + i);
            Commands.check("ip", "link", "set", "tap" + i, "up");
            guest.run("""
                    echo 0 >/proc/sys/net/ipv6/conf/eth%1$d/accept_dad
                    ip addr add 192.0.2.%2$d/26 dev eth%1$d
                    ip -6 addr add 2001:db8:%1$d::2/64 dev eth%1$d
                    ip link set eth%1$d up
                    """.formatted(i, 2 + 64 * i));
        }
        try (GuestProcess server = vm.exec("echo-server")) {
            awaitLine(server, "echo listens");
            for (int i = 0; i < 2; i++) {
                for (String address : new String[] {"192.0.2." + (2 + 64 * i), "2001:db8:" + i + "::2"}) {
                    Echo.tcp(address, new SplittableRandom(guest.seed), MIB);
                    Echo.udp(address, new SplittableRandom(guest.seed), 40);
                }
            }
        }
        NetStatistics offloaded = vm.networks().getFirst().statistics();
        NetStatistics plain = vm.networks().getLast().statistics();
        assertThat(offloaded.malformed() + plain.malformed()).isZero();
        assertThat(offloaded.receivedFrames())
                .as("frames, some of them larger than the MTU, for the same data")
                .isLessThan(plain.receivedFrames());
        assertThat(plain.receivedBytes() / plain.receivedFrames()).isLessThan(1500);
    }

    @Test
    void the_balloon_takes_memory_and_gives_it_back() throws Exception {
        GuestBalloon balloon = vm.balloon();
        long free = freeMemory(balloon);
        balloon.setTarget(48L * MIB);
        awaitTrue("the balloon grows", () -> balloon.actual() == 48L * MIB);
        assertThat(freeMemory(balloon)).isLessThan(free - 32L * MIB);
        assertThat(balloon.released()).isGreaterThanOrEqualTo(48L * MIB);
        balloon.setTarget(0);
        awaitTrue("the balloon shrinks", () -> balloon.actual() == 0);
        long before = balloon.released();
        guest.run("mkdir -p /t; mount -t tmpfs -o size=64m none /t; head -c 32m /dev/zero >/t/x; rm /t/x; umount /t");
        awaitTrue("free pages are reported", () -> balloon.released() > before + 16L * MIB);
        assertThat(guest.run("echo runs on")).isEqualTo("runs on\n");
    }

    private static long freeMemory(GuestBalloon balloon) throws Exception {
        return balloon.statistics().get(LIMIT.toSeconds(), TimeUnit.SECONDS).free();
    }
}
