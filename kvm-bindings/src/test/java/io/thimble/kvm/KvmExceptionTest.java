package io.thimble.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KvmExceptionTest {
    @ParameterizedTest
    @CsvSource({
        Errnos.EMFILE + ", ulimit -n",
        Errnos.ENFILE + ", fs.file-max",
        Errnos.ENOMEM + ", memory cgroup",
        Errnos.EBUSY + ", another hypervisor",
        Errnos.ENOTTY + ", the host's kernel does not have this operation"
    })
    void names_the_remedy(int errno, String remedy) {
        KvmException e = new KvmException("KVM_CREATE_VM", errno);

        assertThat(e).hasMessageStartingWith("KVM_CREATE_VM: E").hasMessageContaining(" - ");
        assertThat(e.getMessage()).contains(remedy);
        assertThat(e.errno()).isEqualTo(errno);
        assertThat(e.operation()).isEqualTo("KVM_CREATE_VM");
    }

    @Test
    void says_nothing_where_there_is_no_remedy() {
        assertThat(new KvmException("KVM_RUN", Errnos.EINVAL)).hasMessage("KVM_RUN: EINVAL (Invalid argument)");
        assertThat(new KvmException("KVM_IRQFD of GSI 5", Errnos.EBUSY))
                .hasMessage("KVM_IRQFD of GSI 5: EBUSY (Device or resource busy)");
    }

    @Test
    void checked_passes_results_and_throws_errors() {
        assertThat(KvmException.checked("KVM_RUN", 7)).isEqualTo(7);
        assertThatThrownBy(() -> KvmException.checked("KVM_RUN", -Errnos.EFAULT))
                .isInstanceOf(KvmException.class)
                .hasMessage("KVM_RUN: EFAULT (Bad address)");
    }
}
