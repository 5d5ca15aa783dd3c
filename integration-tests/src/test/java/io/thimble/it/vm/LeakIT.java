package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestProgram;
import io.thimble.it.support.GuestProgram.Mode;
import io.thimble.it.support.HostResources;
import io.thimble.it.support.LinuxVm;
import io.thimble.virtio.device.RateLimits;
import io.thimble.virtio.net.NetLimits;
import io.thimble.vmm.Balloon;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestAddress;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.Network;
import io.thimble.vmm.NetworkSwitch;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A VM that has ended leaves no thread, descriptor or mapping, one after the other and many at once. */
@RequiresKvm
@Timeout(180)
class LeakIT {
    private static final long MIB = 1L << 20;

    @TempDir
    private Path directory;

    /** The first VM brings what stays: classes, the loggers, the kick handler. */
    @BeforeAll
    static void warmUp() throws InterruptedException {
        assertThat(LinuxVm.output(MicroVm.builder().vcpus(2), "echo warm")).isEqualTo("warm\n");
    }

    @Test
    void twenty_linux_vms_one_after_another_leave_nothing(TestReporter reporter) throws Exception {
        HostResources before = HostResources.now();
        long rssBefore = HostResources.status("VmRSS");
        long sizeBefore = HostResources.status("VmSize");
        for (int i = 0; i < 20; i++) {
            assertThat(LinuxVm.output(MicroVm.builder().vcpus(1 + i % 2), "echo " + i))
                    .isEqualTo(i + "\n");
            assertSame(before);
        }
        long rss = (HostResources.status("VmRSS") - rssBefore) / MIB;
        long size = (HostResources.status("VmSize") - sizeBefore) / MIB;
        reporter.publishEntry("growth after 20 VMs", "RSS " + rss + " MiB, address space " + size + " MiB");
        // One guest's memory is 256 MiB, and each boot touches some 40: the heap may grow, guests may not add up.
        assertThat(rss).isLessThan(150);
        assertThat(size).isLessThan(256);
    }

    @Test
    void vms_with_a_network_and_a_balloon_leave_nothing() throws Exception {
        NetworkSwitch between = NetworkSwitch.create("leak");
        HostResources before = HostResources.now();
        for (int i = 0; i < 6; i++) {
            try (MicroVm other = MicroVm.builder()
                    .network(Network.on(between).withAddress(GuestAddress.of("192.0.2.1/24")))
                    .idle()
                    .start()) {
                String output = LinuxVm.output(
                        MicroVm.builder()
                                .packedRings(i % 2 == 0)
                                .balloon(Balloon.create())
                                .network(Network.on(between)
                                        .withLimits(NetLimits.both(RateLimits.of(1 << 20, 50)))
                                        .withAddress(GuestAddress.of("192.0.2.2/24"))),
                        "until ping -c 3 -s 1400 192.0.2.1 >/dev/null; do :; done; echo reached");
                assertThat(output).isEqualTo("reached\n");
                assertThat(between.size()).isEqualTo(1);
                other.kill();
                assertThat(other.await(LinuxVm.LIMIT)).isPresent();
            }
            assertThat(between.size()).isZero();
            assertSame(before);
        }
    }

    @Test
    void eight_linux_vms_at_once_run_side_by_side_and_leave_nothing() throws Exception {
        HostResources before = HostResources.now();
        List<MicroVm> vms = new ArrayList<>();
        List<ConsoleText> consoles = new ArrayList<>();
        try {
            for (int i = 0; i < 8; i++) {
                ConsoleText console = new ConsoleText();
                consoles.add(console);
                vms.add(MicroVm.builder()
                        .name("eight-" + i)
                        .memory(64 * MIB)
                        .console(console)
                        .command("sh", "-c", "echo I am " + i + "; read x; echo got $x; exit " + i)
                        .start());
            }
            for (int i = 0; i < 8; i++) {
                assertThat(consoles.get(i).awaitText("I am " + i + "\n", LinuxVm.LIMIT))
                        .isTrue();
            }
            assertThat(HostResources.now().threads())
                    .contains("thimble-eight-0-io", "thimble-eight-0-vcpu0", "thimble-eight-7-console-out");
            for (int i = 0; i < 8; i++) {
                byte[] line = ("line" + i + "\n").getBytes(StandardCharsets.US_ASCII);
                assertThat(vms.get(i).type(line, 0, line.length)).isEqualTo(line.length);
            }
            for (int i = 0; i < 8; i++) {
                ExitReport report = vms.get(i).await(LinuxVm.LIMIT).orElseThrow();
                assertThat(report.reason()).isEqualTo(ExitReason.POWER_OFF);
                assertThat(report.commandStatus()).hasValue(i);
                assertThat(consoles.get(i).text()).contains("got line" + i + "\n");
            }
        } finally {
            vms.forEach(MicroVm::close);
        }
        assertSame(before);
    }

    @Test
    void close_leaves_nothing_from_any_state() throws Exception {
        GuestKernel spinning = new GuestProgram(Mode.REAL).print("!").spin().in(directory);
        GuestKernel ending =
                new GuestProgram(Mode.REAL).outb(0x92, 1).haltForEver().in(directory);
        HostResources before = HostResources.now();
        for (int round = 0; round < 10; round++) {
            MicroVm.builder().kernel(spinning).build().close();
            assertSame(before);

            MicroVm.builder().kernel(spinning).vcpus(4).start().close();
            assertSame(before);

            ConsoleText console = new ConsoleText();
            MicroVm running =
                    MicroVm.builder().kernel(spinning).console(console).start();
            assertThat(console.awaitText("!", LinuxVm.LIMIT)).isTrue();
            running.close();
            assertSame(before);

            MicroVm paused = MicroVm.builder()
                    .kernel(spinning)
                    .vcpus(2)
                    .console(new ConsoleText())
                    .start();
            paused.pause();
            paused.close();
            assertSame(before);

            MicroVm stopped = MicroVm.builder().kernel(ending).start();
            assertThat(stopped.await(LinuxVm.LIMIT).orElseThrow().reason()).isEqualTo(ExitReason.RESET);
            assertSame(before);
            stopped.close();
            stopped.close();
            assertSame(before);
        }
    }

    @Test
    void await_and_stop_return_when_nothing_is_left() throws Exception {
        GuestKernel ending =
                new GuestProgram(Mode.LONG).outb(0x92, 1).haltForEver().in(directory);
        HostResources before = HostResources.now();
        for (int round = 0; round < 50; round++) {
            try (MicroVm vm = MicroVm.builder()
                    .kernel(ending)
                    .vcpus(2)
                    .console(new ConsoleText())
                    .start()) {
                if (round % 2 == 0) {
                    vm.await();
                } else {
                    vm.stop(Duration.ofSeconds(30));
                }
                assertSame(before);
            }
        }
    }

    private static void assertSame(HostResources before) {
        HostResources now = HostResources.now();
        assertThat(now.threads()).isEqualTo(before.threads());
        assertThat(now.descriptors()).isEqualTo(before.descriptors());
        assertThat(now.mappings()).isEqualTo(before.mappings());
    }
}
