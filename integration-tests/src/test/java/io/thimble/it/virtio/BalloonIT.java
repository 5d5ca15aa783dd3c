package io.thimble.it.virtio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.Await;
import io.thimble.it.support.ConsoleText;
import io.thimble.vmm.Balloon;
import io.thimble.vmm.GuestBalloon;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The balloon: what the guest gives back is the host's again, and the guest runs on. */
@RequiresKvm
@Timeout(180)
class BalloonIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(60));
    private static final long MIB = 1 << 20;

    /** Fills 160 MiB with random bytes, which the host has to keep, frees them, and then says what it is told to. */
    private static final String FILL_AND_FREE = "mkdir /m; mount -t tmpfs -o size=90% none /m;"
            + " dd if=/dev/urandom of=/m/x bs=1M count=160 2>/dev/null; echo filled; read x;"
            + " rm /m/x; echo freed; while read x; do echo echo $x; done";

    private final ConsoleText console = new ConsoleText();

    private MicroVm start(boolean reporting, boolean hugePages) {
        return MicroVm.builder()
                .memory(256 * MIB)
                .hugePages(hugePages)
                .console(console)
                .balloon(new Balloon(reporting))
                .command("sh", "-c", FILL_AND_FREE)
                .start();
    }

    private void await(String text) throws InterruptedException {
        assertThat(console.awaitText(text, LIMIT)).as(console.text()).isTrue();
    }

    private static void awaitTrue(String what, BooleanSupplier condition) {
        Await.until(what, LIMIT, condition);
    }

    private static void type(MicroVm vm, String line) {
        byte[] bytes = (line + "\n").getBytes(StandardCharsets.US_ASCII);
        for (int typed = 0; typed < bytes.length; ) {
            typed += vm.type(bytes, typed, bytes.length - typed);
        }
    }

    /**
     * How much guest memory the host holds, in bytes: of what is kept out of core dumps (the flag {@code dd}), so that the JVM's
     * own heap does not count.
     */
    private static long resident() {
        try {
            long sum = 0;
            long rss = 0;
            for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
                if (line.startsWith("Rss:")) {
                    rss = Long.parseLong(line.replaceAll("\\D", "")) << 10;
                } else if (line.startsWith("VmFlags:") && line.contains(" dd")) {
                    sum += rss;
                }
            }
            return sum;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void free_pages_that_the_guest_reports_go_back_by_themselves(boolean hugePages) throws Exception {
        try (MicroVm vm = start(true, hugePages)) {
            await("filled");
            long full = resident();
            type(vm, "");
            await("freed");
            awaitTrue("memory goes back", () -> resident() < full - 120 * MIB);
            awaitTrue("the count follows", () -> vm.balloon().released() > 120 * MIB);
            type(vm, "runs on");
            await("echo runs on");
            assertThat(vm.statistics().driverFaults()).isZero();
        }
    }

    @Test
    void the_balloon_grows_to_its_target_and_shrinks_again() throws Exception {
        try (MicroVm vm = start(false, true)) {
            await("filled");
            type(vm, "");
            await("freed");
            long before = resident();
            GuestBalloon balloon = vm.balloon();
            long total = balloon.statistics().get(60, TimeUnit.SECONDS).total();
            assertThat(total).isBetween(180 * MIB, 256 * MIB);
            balloon.setTarget(176 * MIB);
            awaitTrue("the balloon grows", () -> balloon.actual() == 176 * MIB);
            awaitTrue("memory goes back", () -> resident() < before - 90 * MIB);
            assertThat(balloon.statistics().get(60, TimeUnit.SECONDS).free()).isLessThan(total - 150 * MIB);
            balloon.setTarget(0);
            awaitTrue("the balloon shrinks", () -> balloon.actual() == 0);
            type(vm, "runs on");
            await("echo runs on");
        }
    }

    @Test
    void a_target_that_the_guest_cannot_reach_ends_no_program() throws Exception {
        try (MicroVm vm = start(false, true)) {
            await("filled");
            GuestBalloon balloon = vm.balloon();
            balloon.setTarget(256 * MIB);
            awaitTrue("the balloon grows", () -> balloon.actual() > 8 * MIB);
            type(vm, "");
            await("freed");
            balloon.setTarget(0);
            awaitTrue("the balloon shrinks", () -> balloon.actual() == 0);
            type(vm, "runs on");
            await("echo runs on");
            assertThat(console.text()).doesNotContain("Killed process");
        }
    }

    @Test
    void an_impossible_target_is_refused() {
        try (MicroVm vm = start(false, true)) {
            assertThatThrownBy(() -> vm.balloon().setTarget(257 * MIB)).isInstanceOf(MicroVmException.class);
            assertThatThrownBy(() -> vm.balloon().setTarget(5)).isInstanceOf(MicroVmException.class);
        }
        try (MicroVm vm = MicroVm.builder().start()) {
            assertThatThrownBy(vm::balloon).isInstanceOf(IllegalStateException.class);
        }
    }
}
