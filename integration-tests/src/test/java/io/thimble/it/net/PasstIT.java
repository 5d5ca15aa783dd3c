package io.thimble.it.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.Await;
import io.thimble.it.support.Commands;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.NetNamespace;
import io.thimble.it.support.UnprivilegedJava;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.Network;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** passt in a namespace of the test's own, whose "outside" is another namespace behind a router-less cable. */
@RequiresKvm
@Timeout(180)
class PasstIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(60));
    private static final String GATEWAY = "198.51.100.1";
    private static final String OUTSIDE = "203.0.113.1";
    private static final String HOST = "198.51.100.2";

    private static final String SCRIPT = "ip addr show eth0; wget -q -O - http://" + OUTSIDE + "/ && echo asked;"
            + " mkdir /tmp/w; echo the guest answers > /tmp/w/index.html; httpd -f -p 8000 -h /tmp/w";

    private final NetNamespace outside = new NetNamespace();
    private final NetNamespace host = new NetNamespace();
    private final ConsoleText console = new ConsoleText();

    @BeforeEach
    void connect() {
        host.run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "down0", "netns", outside.name());
        host.setUp("up0", HOST + "/24");
        outside.setUp("down0", GATEWAY + "/24", OUTSIDE + "/24");
        host.run("ip", "route", "add", "default", "via", GATEWAY);
    }

    @AfterEach
    void remove() {
        host.close();
        outside.close();
    }

    private void await(String text) throws InterruptedException {
        assertThat(console.awaitText(text, LIMIT)).as(console.text()).isTrue();
    }

    @Test
    void the_guest_reaches_the_outside_and_a_published_port_the_guest() throws Exception {
        try (ServerSocket server = outside.call(() -> new ServerSocket(80, 10, InetAddress.getByName(OUTSIDE)))) {
            Thread.ofPlatform().daemon(true).start(() -> serve(server));
            try (MicroVm vm = host.call(() -> MicroVm.builder()
                    .console(console)
                    .network(Network.passt().withPublished(Network.Published.parse("8080:8000")))
                    .command("sh", "-c", SCRIPT)
                    .start())) {
                await("asked");
                assertThat(console.text()).contains("inet " + HOST).contains("the outside answers " + HOST);
                assertThat(host.call(() -> askUntilAnswered(8080))).endsWith("the guest answers\n");
                assertThat(vm.statistics().driverFaults()).isZero();
                assertThat(vm.statistics().hostFailures()).isZero();
            }
        }
    }

    @Test
    void an_unprivileged_user_s_guest_too() throws Exception {
        try (ServerSocket server = outside.call(() -> new ServerSocket(80, 10, InetAddress.getByName(OUTSIDE)));
                UnprivilegedJava java = new UnprivilegedJava()) {
            Thread.ofPlatform().daemon(true).start(() -> serve(server));
            Process process = java.command(host, PasstGuest.class, "8080:8000", SCRIPT)
                    .redirectErrorStream(true)
                    .start();
            try {
                Thread.ofPlatform().daemon(true).start(() -> copy(process.getInputStream(), console));
                await("asked");
                assertThat(console.text()).contains("inet " + HOST).contains("the outside answers " + HOST);
                assertThat(host.call(() -> askUntilAnswered(8080))).endsWith("the guest answers\n");
                assertThat(Commands.check("grep", "-hE", "^(Uid|CapEff):", "/proc/" + process.pid() + "/status"))
                        .isEqualTo("Uid:\t65534\t65534\t65534\t65534\nCapEff:\t0000000000000000\n");
                ProcessHandle passt = process.descendants().findFirst().orElseThrow();
                assertThat(passt.info().command().orElseThrow()).contains("passt");
                assertThat(Files.getAttribute(Path.of("/proc/" + passt.pid()), "unix:uid"))
                        .isEqualTo(65534);
            } finally {
                process.destroyForcibly();
                process.waitFor();
            }
        }
    }

    @Test
    void when_passt_ends_the_guest_s_link_is_down_and_the_vm_goes_on() throws Exception {
        try (MicroVm vm = host.call(
                () -> MicroVm.builder().network(Network.passt()).idle().start())) {
            assertThat(vm.awaitReady(LIMIT)).isTrue();
            assertThat(carrier(vm)).isEqualTo("1\n");
            ProcessHandle.current()
                    .descendants()
                    .filter(process -> process.info().command().orElse("").contains("passt"))
                    .forEach(ProcessHandle::destroy);
            Await.until("passt's end is counted", LIMIT, () -> vm.statistics().hostFailures() > 0);
            assertThat(carrier(vm)).isEqualTo("0\n");
        }
    }

    private static String carrier(MicroVm vm) throws Exception {
        return vm.program("sh", "-c", "ip link set eth0 up; cat /sys/class/net/eth0/carrier")
                .run()
                .stdoutText();
    }

    private static void copy(InputStream from, OutputStream to) {
        try {
            from.transferTo(to);
        } catch (IOException _) {
            // killed
        }
    }

    private static void serve(ServerSocket server) {
        while (!server.isClosed()) {
            try (Socket client = server.accept()) {
                readRequest(client);
                String answer = "HTTP/1.0 200 OK\r\n\r\nthe outside answers "
                        + ((InetSocketAddress) client.getRemoteSocketAddress())
                                .getAddress()
                                .getHostAddress() + "\n";
                client.getOutputStream().write(answer.getBytes(StandardCharsets.US_ASCII));
            } catch (IOException e) {
                if (!server.isClosed()) {
                    throw new UncheckedIOException(e);
                }
            }
        }
    }

    /** Reads to the blank line: what is left unread when a socket is closed resets the connection. */
    private static void readRequest(Socket client) throws IOException {
        StringBuilder request = new StringBuilder();
        for (int c = client.getInputStream().read();
                c >= 0;
                c = client.getInputStream().read()) {
            if (request.append((char) c).toString().endsWith("\r\n\r\n")) {
                return;
            }
        }
    }

    /** passt takes the connection before it knows whether anybody in the guest will. */
    private static String askUntilAnswered(int port) throws IOException {
        long end = System.nanoTime() + LIMIT.toNanos();
        String answer = "";
        while (answer.isEmpty() && System.nanoTime() < end) {
            try {
                answer = ask(port);
            } catch (SocketException _) {
                // reset: nobody listens in the guest yet
            }
        }
        return answer;
    }

    private static String ask(int port) throws IOException {
        try (Socket client = new Socket(InetAddress.getLoopbackAddress(), port)) {
            client.setSoTimeout((int) LIMIT.toMillis());
            client.getOutputStream().write("GET / HTTP/1.0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            return new String(client.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
        }
    }
}
