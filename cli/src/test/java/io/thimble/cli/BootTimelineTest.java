package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.vmm.Timeline;
import io.thimble.vmm.VmStatistics;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class BootTimelineTest {
    @Test
    void costs_are_the_set_up_the_time_in_kvm_run_and_exits_by_reason() {
        Timeline timeline = new Timeline(List.of(new Timeline.Mark(Timeline.FIRST_RUN, Duration.ofMillis(90))));
        VmStatistics statistics = new VmStatistics(
                Map.of("KVM_EXIT_MMIO", 3L, "KVM_EXIT_IO", 40L, "KVM_EXIT_HLT", 3L),
                2,
                List.of(Duration.ofMillis(1500), Duration.ofMillis(20)),
                0,
                0,
                0,
                0,
                0);

        assertThat(BootTimeline.costs(timeline, statistics)).isEqualToNormalizingNewlines("""
                thimble: set-up 90.0 ms
                thimble: in KVM_RUN 1500.0, 20.0 ms, by vCPU
                thimble: 46 exits: KVM_EXIT_IO 40 KVM_EXIT_HLT 3 KVM_EXIT_MMIO 3; interrupted by the host 2
                """);
    }

    @Test
    void a_vm_that_never_ran_has_no_set_up_time() {
        assertThat(BootTimeline.costs(new Timeline(List.of()), new VmStatistics(Map.of(), 0, List.of(), 0, 0, 0, 0, 0)))
                .startsWith("thimble: in KVM_RUN");
    }
}
