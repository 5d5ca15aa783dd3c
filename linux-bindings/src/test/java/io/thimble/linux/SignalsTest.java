package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class SignalsTest {
    private static final int MINUTE = 60;

    @BeforeAll
    static void install() {
        Signals.installKickHandler();
    }

    private static long sleepIn(int nr) {
        try (Arena arena = Arena.ofConfined()) {
            long minute = arena.allocateFrom(ValueLayout.JAVA_LONG, MINUTE, 0).address();
            return switch (nr) {
                case Syscalls.SYS_nanosleep -> Syscall.call(nr, minute, 0);
                case Syscalls.SYS_ppoll -> Syscall.call(nr, 0, 0, minute, 0);
                case Syscalls.SYS_pause -> Syscall.call(nr);
                default -> throw new AssertionError(nr);
            };
        }
    }

    @Test
    void knows_the_calling_threads_id() throws Exception {
        assertThat(Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName())
                .hasToString(Integer.toString(Signals.currentThreadId()));
    }

    @ParameterizedTest
    @ValueSource(ints = {Syscalls.SYS_nanosleep, Syscalls.SYS_ppoll, Syscalls.SYS_pause})
    void a_kicked_thread_leaves_its_system_call(int nr) throws Exception {
        BlockedThread<Long> sleeper = BlockedThread.start(() -> sleepIn(nr)).awaitBlockedIn(nr);

        Signals.kick(sleeper.threadId());

        assertThat(sleeper.result()).isEqualTo(-Errnos.EINTR);
    }

    @Test
    void ten_thousand_kicks_hurt_nobody() throws Exception {
        int kicks = 10_000;
        AtomicBoolean stop = new AtomicBoolean();
        BlockedThread<Integer> sleeper = BlockedThread.start(() -> {
            int woken = 0;
            while (!stop.get()) {
                assertThat(sleepIn(Syscalls.SYS_ppoll)).isEqualTo(-Errnos.EINTR);
                woken++;
            }
            return woken;
        });
        for (int i = 0; i < kicks; i++) {
            Signals.kick(sleeper.threadId());
        }
        sleeper.awaitBlockedIn(Syscalls.SYS_ppoll);
        stop.set(true);
        Signals.kick(sleeper.threadId());

        assertThat(sleeper.result()).isBetween(1, kicks + 1);
    }

    @Test
    void a_thread_that_has_ended_cannot_be_kicked() throws Exception {
        BlockedThread<Integer> ended = BlockedThread.start(() -> 0);
        ended.awaitEnd();

        assertThatThrownBy(() -> Signals.kick(ended.threadId()))
                .isInstanceOf(LinuxException.class)
                .hasMessage("tgkill of thread " + ended.threadId() + ": ESRCH (No such process)");
    }

    /** The limit holds for a process, so this takes a process of its own; there, nobody has installed the handler yet. */
    @Test
    void a_kick_arrives_where_the_user_may_queue_no_signals() throws Exception {
        Process child = new ProcessBuilder(
                        "prlimit",
                        "--sigpending=0",
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        KickSleeper.class.getName())
                .redirectErrorStream(true)
                .start();
        try {
            String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

            assertThat(child.waitFor(30, TimeUnit.SECONDS)).isTrue();
            assertThat(output).isEqualTo("EINTR\n");
            assertThat(child.exitValue()).isZero();
        } finally {
            child.destroyForcibly();
        }
    }

    /** What the child process runs. */
    static final class KickSleeper {
        private KickSleeper() {}

        public static void main(String[] args) throws Exception {
            BlockedThread<Long> sleeper =
                    BlockedThread.start(() -> sleepIn(Syscalls.SYS_ppoll)).awaitBlockedIn(Syscalls.SYS_ppoll);
            Signals.kick(sleeper.threadId());
            System.out.println(sleeper.result() == -Errnos.EINTR ? "EINTR" : "slept on");
        }
    }
}
