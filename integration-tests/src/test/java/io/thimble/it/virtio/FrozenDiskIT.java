package io.thimble.it.virtio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.Await;
import io.thimble.it.support.Commands;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.LinuxVm;
import io.thimble.virtio.block.BlockEngineKind;
import io.thimble.vmm.Disk;
import io.thimble.vmm.MicroVm;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A disk whose writes do not end: its image lies in a file system that the host has frozen (fsfreeze(8)). Needs root. */
@RequiresKvm
@Timeout(300)
class FrozenDiskIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(60));
    private static final int MIB = 1 << 20;
    private static final String WORD = "thimble";

    @TempDir
    Path folder;

    @ParameterizedTest
    @EnumSource(names = {"IO_URING", "THREADS"})
    void a_write_that_does_not_end_holds_up_neither_the_end_of_the_vm_nor_other_vms_and_finds_its_memory_later(
            BlockEngineKind engine) throws Exception {
        assumeTrue(Files.exists(Path.of("/dev/loop-control")), "no loop devices");
        assumeTrue(hasExt4(), "the host's kernel has no ext4");
        String mounted = Files.createDirectory(folder.resolve("mounted")).toString();
        Path image = folder.resolve("mounted").resolve("disk");
        mount(mounted);
        try {
            Files.write(image, new byte[MIB]);
            Commands.check("fsfreeze", "--freeze", mounted);
            ConsoleText console = new ConsoleText();
            MicroVm vm = MicroVm.builder()
                    .disk(Disk.of(image).direct(true).engine(engine))
                    .console(console)
                    .command(
                            "sh",
                            "-c",
                            "echo up; yes " + WORD + " | dd of=/dev/vda bs=64k count=1 iflag=fullblock oflag=direct")
                    .start();
            assertThat(console.awaitText("up\n", LIMIT)).as("%s", console).isTrue();
            await("the write waits in the host's kernel", FrozenDiskIT::someThreadCannotBeInterrupted);
            vm.close();
            assertThat(vm.statistics().hostFailures()).isPositive();

            assertThat(LinuxVm.output(MicroVm.builder(), "echo another")).isEqualTo("another\n");
            Commands.check("fsfreeze", "--unfreeze", mounted);
            await("the write has ended", () -> !someThreadCannotBeInterrupted());
            String expected = (WORD + "\n").repeat(65536 / (WORD.length() + 1));
            await("what it wrote is the guest's", () -> content(image).startsWith(expected));
        } finally {
            Commands.run(List.of("fsfreeze", "--unfreeze", mounted)); // fails if it is not frozen any more
            await(
                    "the image is closed",
                    () -> Commands.run(List.of("umount", mounted)).status() == 0);
        }
    }

    private static boolean hasExt4() throws IOException {
        Commands.run(List.of("sh", "-c", "modprobe ext4")); // fails where it is built in
        return Files.readString(Path.of("/proc/filesystems")).contains("\text4\n");
    }

    private void mount(String where) throws IOException {
        Path backing = folder.resolve("backing");
        Commands.check("truncate", "-s", "64M", backing.toString());
        Commands.check("mke2fs", "-q", "-F", "-t", "ext4", backing.toString());
        Commands.check("mount", "-o", "loop", backing.toString(), where);
    }

    private static String content(Path image) {
        try {
            return new String(Files.readAllBytes(image), StandardCharsets.US_ASCII);
        } catch (IOException _) {
            return "";
        }
    }

    /** The state of each thread of this process stands behind its name, which is in parentheses (proc(5)). */
    private static boolean someThreadCannotBeInterrupted() {
        try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
            return tasks.anyMatch(task -> {
                try {
                    return Files.readString(task.resolve("stat")).contains(") D ");
                } catch (IOException _) {
                    return false; // it has ended meanwhile
                }
            });
        } catch (IOException _) {
            return false;
        }
    }

    private static void await(String what, BooleanSupplier condition) {
        Await.until(what, LIMIT, condition);
    }
}
