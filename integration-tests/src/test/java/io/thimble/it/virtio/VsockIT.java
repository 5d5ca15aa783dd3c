package io.thimble.it.virtio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestFiles;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.VsockChannel;
import java.net.ConnectException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Streams between this process and a program in a Linux guest, {@code src/test/c/vsock-peer.c}. */
@RequiresKvm
@Timeout(120)
class VsockIT {
    private static final int PORT = 5000;

    private static final ConsoleText CONSOLE = new ConsoleText();
    private static MicroVm vm;

    @BeforeAll
    static void start() throws Exception {
        vm = MicroVm.builder()
                .initrd(GuestFiles.initrdWith("vsock-peer"))
                .console(CONSOLE)
                .command("vsock-peer", String.valueOf(PORT))
                .start();
        assertThat(CONSOLE.awaitText("vsock-peer ready", LinuxVm.LIMIT))
                .as(CONSOLE.text())
                .isTrue();
    }

    @AfterAll
    static void stop() {
        vm.close();
    }

    @Test
    void a_program_in_the_guest_echoes_until_the_end() throws Exception {
        try (VsockChannel channel = vm.vsock().connect(PORT)) {
            channel.outputStream().write("Ehello".getBytes(StandardCharsets.UTF_8));
            channel.shutdownOutput();
            assertThat(new String(channel.inputStream().readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo("hello");
        }
    }

    @Test
    void where_nobody_listens_the_guest_refuses() {
        assertThatThrownBy(() -> vm.vsock().connect(PORT + 1))
                .isInstanceOf(ConnectException.class)
                .hasMessageContaining("nothing listens on port 5001");
    }
}
