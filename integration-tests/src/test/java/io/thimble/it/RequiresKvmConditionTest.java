package io.thimble.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import org.junit.jupiter.api.Test;

class RequiresKvmConditionTest {
    @Test
    void skips_with_the_reason_where_there_is_no_kvm() {
        var verdict = RequiresKvmCondition.decide("no usable KVM: ENOENT", false, "", false);

        assertThat(verdict.isDisabled()).isTrue();
        assertThat(verdict.getReason()).contains("no usable KVM: ENOENT");
    }

    @Test
    void fails_where_there_is_no_kvm_but_it_is_required() {
        assertThatIllegalStateException()
                .isThrownBy(() -> RequiresKvmCondition.decide("no usable KVM: ENOENT", true, "", false))
                .withMessage("THIMBLE_REQUIRE_KVM=1, but no usable KVM: ENOENT");
    }

    @Test
    void skips_on_kvm_pvm_what_needs_hardware_even_if_kvm_is_required() {
        var verdict = RequiresKvmCondition.decide("", true, "uses POPCNT", true);

        assertThat(verdict.isDisabled()).isTrue();
        assertThat(verdict.getReason()).contains("this host has kvm-pvm: uses POPCNT");
    }

    @Test
    void runs_wherever_kvm_suffices() {
        assertThat(RequiresKvmCondition.decide("", false, "", true).isDisabled())
                .isFalse();
        assertThat(RequiresKvmCondition.decide("", true, "uses POPCNT", false).isDisabled())
                .isFalse();
    }
}
