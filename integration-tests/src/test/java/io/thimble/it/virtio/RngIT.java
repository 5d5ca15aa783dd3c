package io.thimble.it.virtio;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.MicroVm;
import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The entropy device, as the bundled Linux uses it; the simplest proof that a virtio device works there. */
@RequiresKvm
@Timeout(120)
class RngIT {
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void gives_random_bytes_announced_by_acpi_or_on_the_command_line(boolean acpi) throws Exception {
        String printed = LinuxVm.output(
                MicroVm.builder().acpi(acpi),
                "cat /sys/class/misc/hw_random/rng_current;"
                        + " dd if=/dev/hwrng bs=4096 count=16 of=/tmp/a 2>/dev/null; wc -c < /tmp/a;"
                        + " gzip -c /tmp/a | wc -c; grep -c virtio_mmio.device /proc/cmdline || true");
        List<String> lines = printed.lines().toList();
        assertThat(lines.get(0)).startsWith("virtio_rng");
        assertThat(lines.get(1)).isEqualTo("65536");
        assertThat(Integer.parseInt(lines.get(2)))
                .as("random bytes do not shrink")
                .isGreaterThan(65536);
        assertThat(lines.get(3)).as("announced once only").isEqualTo(acpi ? "0" : "1");
    }
}
