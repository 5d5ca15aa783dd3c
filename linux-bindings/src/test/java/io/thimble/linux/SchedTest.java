package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import java.util.BitSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class SchedTest {
    private final BitSet before = Sched.affinity();

    @AfterEach
    void restore() {
        Sched.setAffinity(before);
        assertThat(Sched.affinity()).isEqualTo(before);
    }

    @Test
    void binds_to_each_cpu_that_it_may_run_on() {
        assertThat(before.cardinality()).isPositive();
        before.stream().forEach(cpu -> {
            BitSet one = new BitSet();
            one.set(cpu);
            Sched.setAffinity(one);
            assertThat(Sched.affinity()).isEqualTo(one);
        });
    }

    @Test
    void binds_the_calling_thread_only() throws Exception {
        BitSet one = new BitSet();
        one.set(before.nextSetBit(0));
        BlockedThread<BitSet> other = BlockedThread.start(() -> {
            Sched.setAffinity(one);
            return Sched.affinity();
        });

        assertThat(other.result()).isEqualTo(one);
        assertThat(Sched.affinity()).isEqualTo(before);
    }

    static IntStream cpus_that_no_host_has() {
        return IntStream.of(8191, 8192, 100_000);
    }

    @ParameterizedTest
    @MethodSource("cpus_that_no_host_has")
    void refuses_cpus_that_are_not_online(int cpu) {
        BitSet none = new BitSet();
        none.set(cpu);
        assertThatThrownBy(() -> Sched.setAffinity(none))
                .isInstanceOf(LinuxException.class)
                .hasMessage("sched_setaffinity to {" + cpu + "}: EINVAL (Invalid argument)");
    }

    @Test
    void refuses_an_empty_set() {
        assertThatThrownBy(() -> Sched.setAffinity(new BitSet()))
                .isInstanceOfSatisfying(
                        LinuxException.class, e -> assertThat(e.errno()).isEqualTo(Errnos.EINVAL));
    }
}
