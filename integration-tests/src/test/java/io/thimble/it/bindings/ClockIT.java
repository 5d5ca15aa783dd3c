package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import java.time.Duration;
import org.junit.jupiter.api.Test;

@RequiresKvm
class ClockIT {
    @Test
    void runs_on_from_what_it_was_set_to() {
        long hour = Duration.ofHours(1).toNanos();
        try (RawVm vm = new RawVm()) {
            long first = vm.vm().clock();
            assertThat(vm.vm().clock()).isBetween(first, first + hour);

            vm.vm().setClock(7 * hour);

            long second = vm.vm().clock();
            assertThat(second).isBetween(7 * hour, 8 * hour);
            assertThat(vm.vm().clock()).isBetween(second, 8 * hour);
        }
    }
}
