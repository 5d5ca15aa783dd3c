package io.thimble.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.kvm.abi.KvmExits;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class KvmExitTextTest {
    /** Exits that x86 has not, and constants that are no exit reason though their names begin like one. */
    private static final Pattern NOT_OF_X86 =
            Pattern.compile("KVM_EXIT_(S390|ARM|RISCV|LOONGARCH|PAPR|HYPERV_|XEN_).*");

    private static final Set<String> NOT_OF_X86_EITHER =
            Set.of("KVM_EXIT_DCR", "KVM_EXIT_OSI", "KVM_EXIT_EPR", "KVM_EXIT_IO_IN", "KVM_EXIT_IO_OUT");

    @Test
    void names_every_exit_of_x86_as_c_does() throws IllegalAccessException {
        List<String> wrong = new ArrayList<>();
        int right = 0;
        for (Field field : KvmExits.class.getFields()) {
            String name = field.getName();
            if (NOT_OF_X86.matcher(name).matches() || NOT_OF_X86_EITHER.contains(name)) {
                continue;
            }
            if (KvmExitText.name(field.getInt(null)).equals(name)) {
                right++;
            } else {
                wrong.add(name);
            }
        }
        assertThat(wrong).isEmpty();
        assertThat(right).isGreaterThanOrEqualTo(29);
    }

    @Test
    void tells_other_reasons_by_their_number() {
        assertThat(KvmExitText.name(KvmExits.KVM_EXIT_S390_RESET)).isEqualTo("KVM_EXIT_14");
        assertThat(KvmExitText.name(4711)).isEqualTo("KVM_EXIT_4711");
        assertThat(KvmExitText.name(-1)).isEqualTo("KVM_EXIT_-1");
    }
}
