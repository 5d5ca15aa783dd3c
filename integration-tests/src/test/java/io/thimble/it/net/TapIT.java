package io.thimble.it.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.Commands;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.Echo;
import io.thimble.it.support.GuestFiles;
import io.thimble.it.support.GuestPrograms;
import io.thimble.it.support.NetNamespace;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.GuestAddress;
import io.thimble.vmm.GuestNetwork;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.Network;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A TAP interface in a network namespace of the test's own: what the host's kernel and the guest's make of each other. */
@RequiresKvm
@Timeout(180)
class TapIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(60));
    private static final String HOST = "192.0.2.1";
    private static final String GUEST = "192.0.2.2";
    private static final String HOST6 = "2001:db8::1";
    private static final String GUEST6 = "2001:db8::2";
    /** What counts as a flood, in frames. */
    private static final long FLOOD = 1000;

    @TempDir
    static Path directory;

    private static Path initrd = Path.of("");

    private final NetNamespace network = new NetNamespace();
    private final ConsoleText console = new ConsoleText();

    @BeforeAll
    static void pack() throws Exception {
        initrd = new GuestPrograms().host("/usr/bin/iperf3").own("echo-server").write(directory.resolve("initrd"));
    }

    @AfterEach
    void removeNetwork() {
        network.close();
    }

    private MicroVmBuilder guest(Network card, String script) {
        return MicroVm.builder()
                .initrd(initrd)
                .console(console)
                .network(card)
                .command(
                        "sh",
                        "-c",
                        "echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad; ip -6 addr add " + GUEST6 + "/64 dev eth0; "
                                + script);
    }

    private static Network card() {
        return Network.tap("tap0").withAddress(GuestAddress.of(GUEST + "/24").withGateway(HOST));
    }

    private MicroVm start(MicroVmBuilder builder) throws Exception {
        return network.call(builder::start);
    }

    private void addTap() {
        network.addTap("tap0", HOST + "/24", HOST6 + "/64");
    }

    private void await(String text) throws InterruptedException {
        assertThat(console.awaitText(text, LIMIT)).as(console.text()).isTrue();
    }

    @ParameterizedTest
    @CsvSource({"true, true", "false, true", "true, false"})
    void pings_both_ways(boolean acpi, boolean offloads) throws Exception {
        addTap();
        try (MicroVm _ = start(guest(
                        card().withOffloads(offloads),
                        "ping -c 3 " + HOST + " && ping -c 1 " + HOST6 + " && echo pinged; sleep 100")
                .acpi(acpi))) {
            await("pinged");
            network.run("ping", "-c", "3", "-i", "0.2", GUEST);
            network.run("ping", "-c", "1", GUEST6);
        }
    }

    @ParameterizedTest
    @CsvSource({"true, 1500", "false, 1500", "true, 9000"})
    void random_data_comes_back_unchanged(boolean offloads, int mtu) throws Exception {
        addTap();
        network.run("ip", "link", "set", "tap0", "mtu", "" + mtu);
        long seed = new SplittableRandom().nextLong();
        System.out.println("seed " + seed);
        try (MicroVm vm = start(guest(card().withOffloads(offloads), "cat /sys/class/net/eth0/mtu; echo-server"))) {
            await("echo listens");
            assertThat(console.text()).contains(mtu + "\n");
            for (String address : new String[] {GUEST, GUEST6}) {
                network.call(() -> {
                    Echo.tcp(address, new SplittableRandom(seed), 8 << 20);
                    Echo.udp(address, new SplittableRandom(seed), 200);
                    return true;
                });
            }
            assertThat(vm.statistics().driverFaults()).isZero();
            GuestNetwork card = vm.networks().getFirst();
            assertThat(card.statistics().receivedBytes()).isGreaterThan(16 << 20);
            assertThat(card.statistics().malformed()).isZero();
            long average = card.statistics().receivedBytes() / card.statistics().receivedFrames();
            if (offloads) {
                assertThat(average).as("frames larger than the MTU").isGreaterThan(mtu);
            } else {
                assertThat(average).isLessThan(mtu + 20);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1500, 1", "9000, 2"})
    void iperf_runs_both_ways_over_ipv4_and_ipv6(int mtu, int pairs) throws Exception {
        network.run("ip", "tuntap", "add", "dev", "tap0", "mode", "tap", "multi_queue");
        network.run("ip", "link", "set", "tap0", "mtu", "" + mtu);
        network.setUp("tap0", HOST + "/24", HOST6 + "/64");
        try (MicroVm vm = start(guest(card().withQueues(pairs), "iperf3 -s").vcpus(pairs))) {
            await("Server listening");
            for (String address : new String[] {GUEST, GUEST6}) {
                assertThat(iperf("-c", address, "-n", "64M", "-P", "2")).contains("receiver");
                assertThat(iperf("-c", address, "-n", "64M", "-P", "2", "-R")).contains("receiver");
            }
            assertThat(iperf("-c", GUEST, "-u", "-b", "20M", "-t", "1", "-R")).contains("receiver");
            assertThat(vm.statistics().driverFaults()).isZero();
        }
    }

    /** The server takes a moment after a test before it takes the next. */
    private String iperf(String... arguments) {
        String[] command = new String[arguments.length + 1];
        command[0] = "iperf3";
        System.arraycopy(arguments, 0, command, 1, arguments.length);
        Commands.Result result = Commands.run(network.command(command));
        for (int i = 0; i < 50 && result.output().contains("busy"); i++) {
            result = Commands.run(network.command(command));
        }
        assertThat(result.status()).as(result.output()).isZero();
        return result.output();
    }

    @Test
    void the_link_goes_down_and_up() throws Exception {
        addTap();
        String watch = "while :; do s=$(cat /sys/class/net/eth0/carrier); [ \"$s\" = \"$o\" ] || echo carrier=$s; o=$s;"
                + " usleep 50000; done";
        try (MicroVm vm = start(guest(card(), watch))) {
            await("carrier=1");
            GuestNetwork card = vm.networks().getFirst();
            card.setLinkUp(false);
            await("carrier=0");
            assertThat(network.run("ip", "link", "show", "tap0")).contains("NO-CARRIER");
            assertThat(Commands.run(network.command("ping", "-c", "1", "-W", "1", GUEST))
                            .status())
                    .isNotZero();
            card.setLinkUp(true);
            await("carrier=0\ncarrier=1");
            network.run("ping", "-c", "3", "-i", "0.2", GUEST);
        }
    }

    @Test
    void the_tap_is_removed_under_the_vm_and_the_guest_runs_on() throws Exception {
        addTap();
        String watch = "echo started; while [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do" + " ping -c 1 -W 1 " + HOST
                + " >/dev/null; done; echo link lost; sleep 1; echo runs on";
        try (MicroVm vm = start(guest(card(), watch))) {
            await("started");
            network.run("ip", "link", "delete", "tap0");
            await("runs on");
            assertThat(vm.statistics().hostFailures()).isEqualTo(1);
            assertThat(vm.await(LIMIT).orElseThrow().reason()).isEqualTo(ExitReason.POWER_OFF);
        }
    }

    @Test
    void a_new_tap_comes_and_goes_with_the_vm() throws Exception {
        try (MicroVm _ = start(guest(
                Network.newTap("tap1").withMtu(4000).withAddress(GuestAddress.of(GUEST + "/24")),
                "echo up; sleep 100"))) {
            network.setUp("tap1", HOST + "/24");
            assertThat(network.run("ip", "link", "show", "tap1")).contains("mtu 4000");
            await("up");
            network.run("ping", "-c", "2", "-i", "0.2", "-s", "3900", "-M", "do", GUEST);
        }
        assertThat(Commands.run(network.command("ip", "link", "show", "tap1")).status())
                .isNotZero();
    }

    @Test
    void dhcp_gives_the_guest_its_address_before_init() throws Exception {
        addTap();
        Path config = directory.resolve("udhcpd.conf");
        Files.writeString(
                config,
                String.join(
                        "\n",
                        "interface tap0",
                        "start 192.0.2.50",
                        "end 192.0.2.50",
                        "option subnet 255.255.255.0",
                        "option router " + HOST,
                        "lease_file " + directory.resolve("leases"),
                        "pidfile " + directory.resolve("pid"),
                        ""));
        Files.writeString(directory.resolve("leases"), "");
        Process server = new ProcessBuilder(
                        network.command(GuestFiles.busybox().toString(), "udhcpd", "-f", config.toString()))
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        try (MicroVm _ = start(guest(
                Network.tap("tap0").withAddress(GuestAddress.byDhcp()),
                "ip addr show eth0; ip route; echo done; sleep 100"))) {
            await("done");
            assertThat(console.text()).contains("192.0.2.50/24").contains("default via " + HOST);
        } finally {
            server.destroy();
            server.waitFor();
        }
    }

    @Test
    void what_cannot_be_had_is_refused_before_the_start_with_the_remedy() throws Exception {
        assertRefused(Network.tap("tap7"), "tap7", "ip tuntap add dev tap7");
        network.run("ip", "link", "add", "dummy0", "type", "bridge");
        assertRefused(Network.tap("dummy0"), "no TAP");
        addTap();
        assertRefused(card().withQueues(2), "multi_queue");
        assertRefused(Network.newTap("tap0"), "exists");
        try (MicroVm _ = start(guest(card(), "sleep 100"))) {
            assertRefused(card(), "another VM");
        }
    }

    private void assertRefused(Network card, String... messages) throws Exception {
        network.call(() -> {
            try (MicroVm vm = MicroVm.builder().network(card).build()) {
                assertThatThrownBy(vm::start)
                        .isInstanceOf(MicroVmException.class)
                        .satisfies(e -> assertThat(e.getMessage()).contains(messages));
            }
            return true;
        });
    }

    @Test
    void a_flood_from_outside_leaves_the_console_and_another_vm_responsive() throws Exception {
        addTap();
        ConsoleText second = new ConsoleText();
        String beat = "while read x; do echo beat $x; done";
        try (MicroVm flooded = start(guest(card(), "echo up; " + beat));
                MicroVm other = MicroVm.builder()
                        .console(second)
                        .command("sh", "-c", "echo up; " + beat)
                        .start()) {
            await("up");
            assertThat(second.awaitText("up", LIMIT)).isTrue();
            try (Flood _ = network.call(() -> new Flood(GUEST))) {
                long deadline = System.nanoTime() + LIMIT.toNanos();
                for (int i = 0; i < 10 || (received(flooded) <= FLOOD && System.nanoTime() < deadline); i++) {
                    byte[] line = (i + "\n").getBytes(StandardCharsets.UTF_8);
                    type(flooded, line);
                    type(other, line);
                    await("beat " + i);
                    assertThat(second.awaitText("beat " + i, LIMIT)).isTrue();
                }
            }
            assertThat(received(flooded)).isGreaterThan(FLOOD);
        }
    }

    private static long received(MicroVm vm) {
        return vm.networks().getFirst().statistics().receivedFrames();
    }

    private static void type(MicroVm vm, byte[] line) {
        for (int typed = 0; typed < line.length; ) {
            typed += vm.type(line, typed, line.length - typed);
        }
    }

    /** Sends datagrams as fast as it can, to a port where nobody is. */
    private static final class Flood implements AutoCloseable {
        private final DatagramSocket socket = new DatagramSocket();
        private final Thread thread;

        Flood(String address) throws IOException {
            InetAddress guest = InetAddress.getByName(address);
            thread = Thread.ofPlatform().daemon(true).start(() -> {
                byte[] data = new byte[64];
                try {
                    while (!socket.isClosed()) {
                        socket.send(new DatagramPacket(data, data.length, guest, 9));
                    }
                } catch (IOException _) {
                    // closed
                }
            });
        }

        @Override
        public void close() {
            socket.close();
            boolean interrupted = false;
            while (thread.isAlive()) {
                try {
                    thread.join();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
