package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.MicroVmException.Problem;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class ExitStatusTest {
    private static ExitReport report(ExitReason reason, OptionalInt status) {
        return new ExitReport(reason, "the detail", status, OptionalInt.empty(), "", List.of());
    }

    @ParameterizedTest
    @CsvSource({"POWER_OFF, 0", "RESET, 120", "PANIC, 121", "CRASH, 122", "KILLED, 123"})
    void tells_ends_without_a_command_s_status_apart(ExitReason reason, int status) {
        assertThat(ExitStatus.of(report(reason, OptionalInt.empty()))).isEqualTo(status);
    }

    @ParameterizedTest
    @CsvSource({"POWER_OFF, 42", "RESET, 42", "PANIC, 121", "CRASH, 122", "KILLED, 123"})
    void passes_the_command_s_status_on_if_the_guest_ended_in_order(ExitReason reason, int status) {
        assertThat(ExitStatus.of(report(reason, OptionalInt.of(42)))).isEqualTo(status);
    }

    @ParameterizedTest
    @EnumSource(ExitReason.class)
    void explains_every_status_that_is_not_the_command_s(ExitReason reason) {
        String explanation = ExitStatus.explain(report(reason, OptionalInt.empty()));
        if (reason == ExitReason.POWER_OFF) {
            assertThat(explanation).isEmpty();
        } else {
            assertThat(explanation).contains("the detail").doesNotContain("\n");
        }
    }

    @Test
    void gives_every_problem_a_status_of_its_own() {
        assertThat(Arrays.stream(Problem.values()).map(ExitStatus::of).distinct())
                .hasSameSizeAs(Problem.values())
                .allSatisfy(status -> assertThat(status).isBetween(111, 117));
    }
}
