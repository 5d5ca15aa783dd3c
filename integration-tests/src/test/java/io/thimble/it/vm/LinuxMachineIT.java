package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.HostResources;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What machine Linux finds: processors, memory, tables, and by which entry it came. */
@RequiresKvm
@Timeout(120)
class LinuxMachineIT {
    private static final long MIB = 1L << 20;

    /** What the kernel keeps of a guest's memory for itself: its image, and 1/64 for page structures. */
    private static final long KERNEL_OWN = 40 * MIB;

    @TempDir
    private Path directory;

    @ParameterizedTest
    @CsvSource({"1, true", "2, true", "8, true", "1, false", "8, false"})
    void linux_finds_every_vcpu_with_acpi_and_with_the_mp_table_alone(int vcpus, boolean acpi) throws Exception {
        String output = LinuxVm.output(MicroVm.builder().vcpus(vcpus).acpi(acpi), """
                echo "nproc $(nproc)"
                echo "online $(cat /sys/devices/system/cpu/online)"
                grep -E '^(apicid|physical id|core id|cpu cores|siblings)' /proc/cpuinfo
                cpu=0
                while [ $cpu -lt $(nproc) ]; do taskset -c $cpu true && echo "ran $cpu"; cpu=$((cpu + 1)); done
                grep -E '^ *LOC:' /proc/interrupts
                ls -d /sys/firmware/acpi/tables 2>/dev/null || echo no ACPI
                """);

        assertThat(output).contains("nproc " + vcpus + "\n");
        assertThat(output).contains("online " + (vcpus == 1 ? "0" : "0-" + (vcpus - 1)) + "\n");
        List<String> numbers =
                IntStream.range(0, vcpus).mapToObj(Integer::toString).toList();
        assertThat(values(output, "apicid")).isEqualTo(numbers);
        if (vcpus > 1) {
            assertThat(values(output, "core id")).isEqualTo(numbers);
            assertThat(values(output, "physical id")).hasSize(vcpus).containsOnly("0");
            assertThat(values(output, "cpu cores")).containsOnly("" + vcpus);
            assertThat(values(output, "siblings")).containsOnly("" + vcpus);
        }
        for (String cpu : numbers) {
            assertThat(output).contains("ran " + cpu + "\n");
        }
        Matcher timer = Pattern.compile("LOC:((?: +\\d+)+)").matcher(output);
        assertThat(timer.find()).as(output).isTrue();
        long[] counts = Arrays.stream(timer.group(1).strip().split(" +"))
                .mapToLong(Long::parseLong)
                .toArray();
        assertThat(counts).hasSize(vcpus);
        assertThat(Arrays.stream(counts).allMatch(count -> count > 0))
                .as(timer.group())
                .isTrue();
        assertThat(output).contains(acpi ? "/sys/firmware/acpi/tables" : "no ACPI");
    }

    private static List<String> values(String output, String field) {
        return Pattern.compile("^" + field + "\\s*: (\\d+)$", Pattern.MULTILINE)
                .matcher(output)
                .results()
                .map(match -> match.group(1))
                .toList();
    }

    @ParameterizedTest
    @CsvSource({"64", "3072", "3073", "5120"})
    void linux_finds_its_memory_on_both_sides_of_the_hole(long mebibytes) throws Exception {
        String output = LinuxVm.output(
                MicroVm.builder().memory(mebibytes * MIB),
                "grep MemTotal /proc/meminfo; grep 'System RAM' /proc/iomem");

        Matcher total = Pattern.compile("MemTotal: +(\\d+) kB").matcher(output);
        assertThat(total.find()).as(output).isTrue();
        long bytes = Long.parseLong(total.group(1)) << 10;
        assertThat(bytes).isBetween(mebibytes * MIB - KERNEL_OWN - mebibytes * MIB / 16, mebibytes * MIB);
        long last = Pattern.compile("-([0-9a-f]+) : System RAM")
                .matcher(output)
                .results()
                .mapToLong(match -> Long.parseLong(match.group(1), 16))
                .max()
                .orElseThrow();
        assertThat(last).isEqualTo((mebibytes > 3072 ? (mebibytes + 1024) : mebibytes) * MIB - 1);
    }

    @Test
    void memory_above_the_hole_holds_what_is_written_to_it() throws Exception {
        String output = LinuxVm.output(MicroVm.builder().memory(5120 * MIB), """
                mount -t tmpfs -o size=90% none /tmp
                yes 0123456789abcde | head -c 25165824 > /tmp/seed
                for i in 1 2 3 4 5; do cat /tmp/seed > /tmp/f$i; done
                md5sum /tmp/seed /tmp/f1 /tmp/f5 | cut -c1-32 | sort | uniq -c
                """);
        String expected = Checksums.md5("0123456789abcde\n".repeat(25165824 / 16));
        assertThat(output.strip()).isEqualTo("3 " + expected);
    }

    @Test
    void the_least_memory_that_is_accepted_is_enough_and_less_is_refused_with_the_figure() throws Exception {
        Matcher figure = Pattern.compile("(\\d+) MiB").matcher(refusal(16 * MIB));
        assertThat(figure.find()).isTrue();
        long least = Long.parseLong(figure.group(1));
        assertThat(refusal((least - 1) * MIB)).contains(least + " MiB").contains(least - 1 + " MiB");
        assertThat(LinuxVm.output(MicroVm.builder().memory(least * MIB), "echo up"))
                .isEqualTo("up\n");
    }

    private static String refusal(long memory) {
        try (MicroVm vm = MicroVm.builder().memory(memory).build()) {
            MicroVmException e = assertThatExceptionOfType(MicroVmException.class)
                    .isThrownBy(vm::start)
                    .actual();
            assertThat(e.problem()).isEqualTo(Problem.MEMORY);
            assertThat(e.getMessage()).doesNotContain("\n").contains("more memory");
            return String.valueOf(e.getMessage());
        }
    }

    @Test
    void the_bundled_kernel_starts_by_its_pvh_entry_and_by_its_64_bit_entry_alike() throws Exception {
        String script = "uname -sr; grep MemTotal /proc/meminfo; echo $(nproc); grep 'System RAM' /proc/iomem";
        String pvh = LinuxVm.output(
                MicroVm.builder()
                        .kernel(GuestKernel.pvh(LinuxVm.kernel()))
                        .append("quiet nopti")
                        .vcpus(2),
                script);
        String linux = LinuxVm.output(
                MicroVm.builder()
                        .kernel(GuestKernel.file(LinuxVm.kernel()))
                        .append("quiet nopti")
                        .vcpus(2),
                script);
        assertThat(pvh).startsWith("Linux 6").contains("\n2\n").isEqualTo(linux);
    }

    @Test
    void prefault_and_huge_pages_change_what_the_host_gives_and_not_what_the_guest_sees() throws Exception {
        String script = "echo $(nproc) up";
        assertThat(LinuxVm.output(MicroVm.builder().hugePages(false), script)).isEqualTo("1 up\n");
        assertThat(LinuxVm.output(MicroVm.builder().hugePages(false).prefault(true), script))
                .isEqualTo("1 up\n");

        long before = HostResources.status("VmRSS");
        try (MicroVm vm = MicroVm.builder()
                .memory(512 * MIB)
                .prefault(true)
                .command("cat")
                .start()) {
            assertThat(HostResources.status("VmRSS") - before).isGreaterThanOrEqualTo(500 * MIB);
            vm.kill();
        }
        assertThat(HostResources.status("VmRSS") - before).isLessThan(256 * MIB);
    }

    @Test
    void an_initial_ram_disk_of_the_users_is_used_and_still_gets_the_command() throws Exception {
        Path copy = directory.resolve("my-initrd");
        Files.copy(LinuxVm.initrd(), copy);
        assertThat(LinuxVm.output(MicroVm.builder().initrd(copy), "echo mine")).isEqualTo("mine\n");
    }

    @Test
    void without_an_initial_ram_disk_linux_finds_no_root_and_panics() throws Exception {
        try (MicroVm vm = MicroVm.builder().noInitrd().start()) {
            var report = vm.await(LinuxVm.LIMIT).orElseThrow();
            assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.PANIC);
            assertThat(String.join("\n", report.lastConsoleLines())).contains("Kernel panic");
        }
    }

    @Test
    void wrong_files_are_refused_by_name_before_anything_starts() throws IOException {
        Path text = Files.writeString(directory.resolve("text"), "not a kernel at all\n".repeat(100));
        assertRefused(MicroVm.builder().kernel(GuestKernel.file(directory.resolve("missing"))), "missing");
        assertRefused(MicroVm.builder().kernel(GuestKernel.file(text)), "text");
        assertRefused(MicroVm.builder().kernel(GuestKernel.file(directory)), directory.toString());
        assertRefused(MicroVm.builder().kernel(GuestKernel.pvh(text)), "text");
        assertRefused(MicroVm.builder().initrd(directory.resolve("no-initrd")), "no-initrd");
        assertRefused(MicroVm.builder().initrd(directory), directory.toString());
        assertRefused(MicroVm.builder().append("x".repeat(2048)), "2047");
        assertRefused(MicroVm.builder().append("tab\tor bell\007"), "U+0009");
    }

    private static void assertRefused(MicroVmBuilder builder, String named) {
        assertThatExceptionOfType(MicroVmException.class)
                .isThrownBy(builder::start)
                .satisfies(e -> assertThat(e.problem()).isEqualTo(Problem.BOOT_FILES))
                .satisfies(e -> assertThat(e.getMessage()).contains(named).doesNotContain("\n"));
    }
}
