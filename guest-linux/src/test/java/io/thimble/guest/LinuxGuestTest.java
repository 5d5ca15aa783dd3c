package io.thimble.guest;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.vmm.spi.BundledGuest;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LinuxGuestTest {
    @TempDir
    Path folder;

    @Test
    void is_found_by_the_service_loader() {
        assertThat(ServiceLoader.load(BundledGuest.class)).hasExactlyElementsOfTypes(LinuxGuest.class);
    }

    @Test
    void unpacks_an_elf_kernel_of_the_release_it_names() throws Exception {
        LinuxGuest guest = new LinuxGuest(new GuestCache(List.of(folder.resolve("cache"))));
        byte[] kernel = Files.readAllBytes(guest.kernel());
        assertThat(kernel).startsWith(0x7F, 'E', 'L', 'F');
        assertThat(new String(kernel, StandardCharsets.ISO_8859_1)).contains("Linux version " + guest.kernelVersion());
        assertThat(guest.kernelVersion()).matches("\\d+\\.\\d+\\.\\d+");
    }

    @Test
    void unpacks_an_initrd_with_the_agent_as_init() throws Exception {
        LinuxGuest guest = new LinuxGuest(new GuestCache(List.of(folder.resolve("cache"))));
        byte[] initrd = Files.readAllBytes(guest.initrd());
        String text = new String(initrd, StandardCharsets.ISO_8859_1);
        assertThat(text).startsWith("070701").contains("init\0").contains("TRAILER!!!");
        String agent = new String(Files.readAllBytes(Path.of("agent/thimble-agent")), StandardCharsets.ISO_8859_1);
        assertThat(text).contains(agent);
        assertThat(initrd.length % 4).isZero();
    }

    @Test
    void puts_the_console_on_the_first_serial_port() {
        assertThat(new LinuxGuest().defaultCommandLine())
                .contains("console=ttyS0")
                .contains("reboot=k");
    }
}
