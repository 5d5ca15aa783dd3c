package io.thimble.it.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.Await;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestPrograms;
import io.thimble.virtio.device.RateLimits;
import io.thimble.virtio.net.NetLimits;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.GuestAddress;
import io.thimble.vmm.GuestNetwork;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.Network;
import io.thimble.vmm.NetworkSwitch;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** VMs of this process joined by a switch in it. */
@RequiresKvm
@Timeout(300)
class SwitchIT {
    /** Of random data. Frame by frame, without offloads, an emulated processor takes minutes for more. */
    private static final int MEBIBYTES = HostKvm.isEmulated() ? 2 : 16;

    private static final Duration LIMIT = HostKvm.patience(Duration.ofMinutes(2));

    @TempDir
    static Path directory;

    private static Path initrd = Path.of("");

    private final NetworkSwitch middle = NetworkSwitch.create("test");

    @BeforeAll
    static void pack() throws Exception {
        initrd = new GuestPrograms()
                .host("/usr/bin/iperf3")
                .host("/usr/bin/ping")
                .write(directory.resolve("initrd"));
    }

    private MicroVm start(int number, boolean offloads, ConsoleText console, String script) {
        return MicroVm.builder()
                .initrd(initrd)
                .memory(192 << 20)
                .console(console)
                .network(Network.on(middle)
                        .withOffloads(offloads)
                        .withAddress(GuestAddress.of("192.0.2." + number + "/24")))
                .command("sh", "-c", script)
                .start();
    }

    private static void await(ConsoleText console, String text) throws InterruptedException {
        assertThat(console.awaitText(text, LIMIT)).as(console.text()).isTrue();
    }

    /** A guest without offloads checks every checksum itself: what the switch finishes for it must be right. */
    @ParameterizedTest
    @CsvSource({"true, true", "true, false", "false, true", "false, false"})
    void random_data_arrives_unchanged(boolean senderOffloads, boolean receiverOffloads) throws Exception {
        ConsoleText receiverSaid = new ConsoleText();
        ConsoleText senderSaid = new ConsoleText();
        try (MicroVm receiver = start(
                1, receiverOffloads, receiverSaid, "echo up; nc -l -p 5000 | sha256sum; nc -l -p 5001 | sha256sum")) {
            await(receiverSaid, "up");
            String once = "until nc 192.0.2.1 PORT < /tmp/r; do usleep 100000; done;";
            try (MicroVm sender = start(
                    2,
                    senderOffloads,
                    senderSaid,
                    "dd if=/dev/urandom of=/tmp/r bs=1M count=" + MEBIBYTES + " 2>/dev/null; sha256sum < /tmp/r;"
                            + once.replace("PORT", "5000") + once.replace("PORT", "5001"))) {
                assertThat(receiver.await(LIMIT).orElseThrow().reason()).isEqualTo(ExitReason.POWER_OFF);
                String sum = senderSaid.withoutKernelLog().lines().findFirst().orElseThrow();
                assertThat(sum).hasSizeGreaterThan(60);
                assertThat(receiverSaid.withoutKernelLog()).isEqualTo("up\n" + sum + "\n" + sum + "\n");
                assertThat(sender.statistics().driverFaults()).isZero();
            }
        }
        assertThat(middle.size()).isZero();
    }

    @Test
    void eight_vms_reach_each_other_and_seven_go_on_when_one_is_killed_under_load() throws Exception {
        List<ConsoleText> consoles = new ArrayList<>();
        List<MicroVm> vms = new ArrayList<>();
        try {
            for (int i = 1; i <= 8; i++) {
                ConsoleText console = new ConsoleText();
                consoles.add(console);
                String script = i == 1
                        ? "iperf3 -s >/dev/null & echo up; while read x; do echo beat $x; done"
                        : "for i in 1 2 3 4 5 6 7 8; do until ping -c 1 -W 1 192.0.2.$i >/dev/null; do :; done; done;"
                                + " echo reached all; until iperf3 -c 192.0.2.1 -n 20M; do usleep 300000; done; echo sent;"
                                + " while :; do ping -c 1 -W 5 192.0.2.1 >/dev/null && echo alive; sleep 1; done";
                vms.add(start(i, true, console, script));
            }
            for (int i = 1; i < 8; i++) {
                await(consoles.get(i), "reached all");
            }
            vms.get(7).kill(); // in the middle of its load, or while it waits for its turn
            byte[] line = {'x', '\n'};
            assertThat(vms.getFirst().type(line, 0, line.length)).isPositive();
            for (int i = 1; i < 7; i++) {
                await(consoles.get(i), "sent");
                await(consoles.get(i), "alive");
            }
            await(consoles.getFirst(), "beat");
            assertThat(vms.get(7).await(LIMIT).orElseThrow().reason()).isEqualTo(ExitReason.KILLED);
            assertThat(middle.size()).isEqualTo(7);
        } finally {
            vms.forEach(MicroVm::close);
        }
        assertThat(middle.size()).isZero();
    }

    @Test
    void a_flood_from_a_guest_leaves_the_others_responsive_and_is_counted() throws Exception {
        ConsoleText flooder = new ConsoleText();
        ConsoleText victim = new ConsoleText();
        ConsoleText third = new ConsoleText();
        ConsoleText stalled = new ConsoleText();
        String beat = "echo up; while read x; do echo beat $x; done";
        try (MicroVm first = start(1, true, victim, beat);
                MicroVm other = start(3, true, third, beat);
                MicroVm asleep = start(4, true, stalled, beat);
                MicroVm flood = start(
                        2,
                        true,
                        flooder,
                        // The host's ping, which can send many before it waits for an answer.
                        "read x; echo floods; while :; do"
                                + " /usr/bin/ping -q -b -f -l 60000 -c 60000 -s 1400 -w 10 192.0.2.255 >/dev/null; done")) {
            await(stalled, "up");
            asleep.pause(); // takes nothing from its ring, which fills
            type(flood, new byte[] {'\n'});
            await(flooder, "floods");
            awaitDrops();
            for (int i = 0; i < 10; i++) {
                byte[] line = (i + "\n").getBytes(StandardCharsets.US_ASCII);
                type(first, line);
                type(other, line);
                await(victim, "beat " + i);
                await(third, "beat " + i);
            }
            assertThat(first.networks().getFirst().statistics().receivedFrames())
                    .as("the flood reached the others")
                    .isPositive();
            long dropped = middle.dropped();
            flood.kill();
            asleep.resume();
            type(asleep, "wakes\n".getBytes(StandardCharsets.US_ASCII));
            await(stalled, "beat wakes");
            // The devices go on by their own thread: the vCPU with the console may be first.
            Await.until(
                    "what its ring held",
                    LIMIT,
                    () -> asleep.networks().getFirst().statistics().receivedFrames() > 0);
            assertThat(middle.dropped()).isGreaterThanOrEqualTo(dropped);
        }
    }

    private void awaitDrops() {
        Await.until("frames are dropped and counted", LIMIT, () -> middle.dropped() > 0);
    }

    private static void type(MicroVm vm, byte[] line) {
        for (int typed = 0; typed < line.length; ) {
            typed += vm.type(line, typed, line.length - typed);
        }
    }

    /** Bounds from below only: a busy machine makes everything slower. */
    @Test
    void a_limit_holds_and_can_be_lifted_while_the_guest_waits_for_it() throws Exception {
        long rate = 1 << 20;
        int unlimited = HostKvm.isEmulated() ? 256 : 2048; // of 64 KiB; with the limit, 2048 take over two minutes
        ConsoleText receiverSaid = new ConsoleText();
        ConsoleText senderSaid = new ConsoleText();
        try (MicroVm _ = start(1, true, receiverSaid, "echo up; nc -l -p 5000 | wc -c; nc -l -p 5001 | wc -c")) {
            await(receiverSaid, "up");
            try (MicroVm sender = start(
                    2,
                    true,
                    senderSaid,
                    "read x; until dd if=/dev/zero bs=64k count=64 2>/dev/null | nc 192.0.2.1 5000; do usleep 100000; done;"
                            + " until dd if=/dev/zero bs=64k count=" + unlimited
                            + " 2>/dev/null | nc 192.0.2.1 5001; do usleep 100000; done;"
                            + " echo fast")) {
                GuestNetwork card = sender.networks().getFirst();
                card.setLimits(new NetLimits(RateLimits.NONE, RateLimits.of(rate, 0)));
                long begin = System.nanoTime();
                type(sender, new byte[] {'\n'});
                await(receiverSaid, String.valueOf(64 << 16));
                // What was sent, but for a burst of a tenth of a second and the last segment.
                long least = (64L << 16) - rate / 10 - (64 << 10);
                assertThat(System.nanoTime() - begin).isGreaterThan(least * 1_000_000_000 / rate);
                card.setLimits(NetLimits.NONE);
                assertThat(card.limits()).isEqualTo(NetLimits.NONE);
                await(receiverSaid, String.valueOf(unlimited << 16));
            }
        }
    }

    @Test
    void two_cards_with_one_address_are_refused() {
        Network card = Network.on(middle).withMac("02:00:00:00:00:01");
        try (MicroVm _ = MicroVm.builder().network(card).start();
                MicroVm second = MicroVm.builder().network(card).build()) {
            assertThatThrownBy(second::start)
                    .isInstanceOf(MicroVmException.class)
                    .hasMessageContaining("02:00:00:00:00:01");
        }
    }
}
