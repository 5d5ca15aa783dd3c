package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.KvmRun;
import io.thimble.kvm.abi.KvmCaps;
import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmExits;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** MSRs that KVM does not know, answered in user space. */
@RequiresKvm
class MsrExitIT {
    private static final int MSR = 0xc0de_0001;
    private static final int GENERAL_PROTECTION = 13;
    private static final int HANDLER = 0x3000;

    private final RawVm vm = new RawVm();
    private final KvmRun run = vm.kvmRun();

    @BeforeEach
    void exit_at_unknown_msrs() {
        vm.vm().enableCap(KvmCaps.KVM_CAP_X86_USER_SPACE_MSR, KvmConstants.KVM_MSR_EXIT_REASON_UNKNOWN);
        vm.write(HANDLER, new Asm(Asm.Mode.REAL).outByte(0x77, 1).hlt().toByteArray());
        vm.write(GENERAL_PROTECTION * 4L, (byte) HANDLER, (byte) (HANDLER >> 8), (byte) 0, (byte) 0);
    }

    @AfterEach
    void close() {
        vm.close();
    }

    private void runTo(int exitReason) {
        assertThat(vm.run()).as("%s", run).isEqualTo(exitReason);
        assertThat(run.msrIndex()).isEqualTo(MSR);
        assertThat(run.msrReason()).isEqualTo(KvmConstants.KVM_MSR_EXIT_REASON_UNKNOWN);
    }

    @Test
    void a_read_takes_the_value_that_was_given() {
        vm.load(new Asm(Asm.Mode.REAL).movEcx(MSR).rdmsr().hlt());

        runTo(KvmExits.KVM_EXIT_X86_RDMSR);
        run.setMsrData(0x8877_6655_4433_2211L);
        run.setMsrError(false);
        vm.runToHlt();

        assertThat(vm.regs().rax()).isEqualTo(0x4433_2211L);
        assertThat(vm.regs().rdx()).isEqualTo(0x8877_6655L);
    }

    @Test
    void a_write_tells_its_value() {
        vm.load(new Asm(Asm.Mode.REAL)
                .movEcx(MSR)
                .movEax(0x99887766)
                .movEdx(0xddccbbaa)
                .wrmsr()
                .hlt());

        runTo(KvmExits.KVM_EXIT_X86_WRMSR);
        assertThat(run.msrData()).isEqualTo(0xddcc_bbaa_9988_7766L);
        run.setMsrError(false);
        vm.runToHlt();
    }

    @Test
    void an_error_is_a_general_protection_fault() {
        vm.load(new Asm(Asm.Mode.REAL).movEcx(MSR).rdmsr().hlt());

        runTo(KvmExits.KVM_EXIT_X86_RDMSR);
        run.setMsrError(true);

        assertThat(vm.runToOut(0x77)).isOne();
    }
}
