package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.CpuidEntry;
import io.thimble.kvm.KvmRegs;
import io.thimble.kvm.KvmVcpu;
import io.thimble.kvm.KvmVm;
import io.thimble.kvm.MsrEntry;
import io.thimble.kvm.abi.KvmCaps;
import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmDebugregsLayout;
import io.thimble.kvm.abi.KvmFpuLayout;
import io.thimble.kvm.abi.KvmLapicStateLayout;
import io.thimble.kvm.abi.KvmSregs2Layout;
import io.thimble.kvm.abi.KvmVcpuEventsLayout;
import io.thimble.kvm.abi.KvmXcrLayout;
import io.thimble.kvm.abi.KvmXcrsLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is set is what is read back, for each part of a vCPU's state. */
@RequiresKvm
class VcpuStateIT {
    private static final int SYSENTER_CS = 0x174;
    private static final int LSTAR = 0xc000_0082;
    private static final int KERNEL_GS_BASE = 0xc000_0102;
    private static final int NO_SUCH_MSR = 0xc0de_0001;

    private static final int XSAVE_XMM0 = 160;
    private static final int XSAVE_XSTATE_BV = 512;
    private static final int APIC_TPR = 0x80;

    private final RawVm vm = new RawVm(KvmVm::createIrqchip);
    private final KvmVcpu vcpu = vm.vcpu();

    @AfterEach
    void close() {
        vm.close();
    }

    private static void assertSame(MemorySegment actual, MemorySegment expected) {
        assertThat(actual.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(expected.toArray(ValueLayout.JAVA_BYTE));
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void general_registers(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        KvmRegs regs = new KvmRegs(vm.arena());
        for (long at = 0; at < regs.segment().byteSize(); at += Long.BYTES) {
            regs.segment().set(ValueLayout.JAVA_LONG, at, random.nextLong());
        }
        regs.rflags(0x246);
        vcpu.setRegs(regs);

        assertSame(vm.regs().segment(), regs.segment());
    }

    @ParameterizedTest
    @ValueSource(strings = {"PROTECTED", "LONG"})
    void special_registers(Asm.Mode mode) {
        vm.enter(mode);
        var sregs = vm.sregs()
                .gdt(0x1234_5000, 0x2f)
                .idt(0x1234_6000, 0xfff)
                .cr2(0xdead_b000L)
                .cr8(5);
        sregs.fs().base(0x7654_3210).type(3);
        sregs.tr().selector((short) 0x18).base(0x9000).limit(0x67).type(0xb).present(1);
        vcpu.setSregs(sregs);

        assertSame(vm.sregs().segment(), sregs.segment());
    }

    @Test
    void special_registers_of_the_second_kind() {
        vm.enter(Asm.Mode.LONG);
        MemorySegment sregs2 = vcpu.getSregs2(vm.arena());
        sregs2.set(ValueLayout.JAVA_LONG, KvmSregs2Layout.OFFSETOF_CR2, 0xbeef_0000L);
        vcpu.setSregs2(sregs2);

        assertSame(vcpu.getSregs2(vm.arena()), sregs2);
        assertThat(vm.sregs().cr2()).isEqualTo(0xbeef_0000L);
    }

    @Test
    void floating_point_registers() {
        MemorySegment fpu = vcpu.getFpu(vm.arena());
        fpu.set(ValueLayout.JAVA_SHORT, KvmFpuLayout.OFFSETOF_FCW, (short) 0x27f);
        fpu.asSlice(KvmFpuLayout.OFFSETOF_XMM, 256).fill((byte) 0x3c);
        vcpu.setFpu(fpu);

        assertSame(vcpu.getFpu(vm.arena()), fpu);
    }

    @Test
    void the_xsave_area() {
        vcpu.setCpuid2(vm.kvm().supportedCpuid());
        int size = vm.vm().checkExtension(KvmCaps.KVM_CAP_XSAVE2);
        assertThat(size).isGreaterThanOrEqualTo(4096);
        MemorySegment xsave = vcpu.getXsave2(vm.arena(), size);
        xsave.set(ValueLayout.JAVA_LONG, XSAVE_XSTATE_BV, 3);
        xsave.asSlice(XSAVE_XMM0, 256).fill((byte) 0x77);
        vcpu.setXsave(xsave);

        MemorySegment again = vcpu.getXsave2(vm.arena(), size);
        assertSame(again.asSlice(XSAVE_XMM0, 256), xsave.asSlice(XSAVE_XMM0, 256));
        assertThat(again.get(ValueLayout.JAVA_LONG, XSAVE_XSTATE_BV) & 2).isEqualTo(2);
    }

    @Test
    void extended_control_registers() {
        assumeTrue(vm.vm().checkExtension(KvmCaps.KVM_CAP_XCRS) > 0, "the host's processor has no XSAVE");
        vcpu.setCpuid2(vm.kvm().supportedCpuid());
        MemorySegment xcrs = vcpu.getXcrs(vm.arena());
        assertThat(xcrs.get(ValueLayout.JAVA_INT, KvmXcrsLayout.OFFSETOF_NR_XCRS))
                .isOne();
        long xcr0 = KvmXcrsLayout.OFFSETOF_XCRS + KvmXcrLayout.OFFSETOF_VALUE;
        assertThat(xcrs.get(ValueLayout.JAVA_LONG, xcr0)).isOne();
        xcrs.set(ValueLayout.JAVA_LONG, xcr0, 3);
        vcpu.setXcrs(xcrs);

        assertSame(vcpu.getXcrs(vm.arena()), xcrs);
    }

    @Test
    void model_specific_registers() {
        vcpu.setCpuid2(vm.kvm().supportedCpuid());
        List<MsrEntry> msrs = List.of(
                new MsrEntry(SYSENTER_CS, 0x10),
                new MsrEntry(LSTAR, 0x7fff_1234_5678L),
                new MsrEntry(KERNEL_GS_BASE, 0x7fff_8765_4321L));

        assertThat(vcpu.setMsrs(msrs)).isEqualTo(3);

        assertThat(vcpu.getMsrs(SYSENTER_CS, LSTAR, KERNEL_GS_BASE)).isEqualTo(msrs);
    }

    @Test
    void model_specific_registers_up_to_the_first_unknown() {
        assertThat(vcpu.setMsrs(
                        List.of(new MsrEntry(SYSENTER_CS, 0x18), new MsrEntry(NO_SUCH_MSR, 1), new MsrEntry(LSTAR, 1))))
                .isOne();
        assertThat(vcpu.getMsrs(SYSENTER_CS, NO_SUCH_MSR, LSTAR)).containsExactly(new MsrEntry(SYSENTER_CS, 0x18));
    }

    @Test
    void the_local_apic() {
        MemorySegment lapic = vcpu.getLapic(vm.arena());
        lapic.set(ValueLayout.JAVA_INT, KvmLapicStateLayout.OFFSETOF_REGS + APIC_TPR, 0x40);
        vcpu.setLapic(lapic);

        assertThat(vcpu.getLapic(vm.arena()).get(ValueLayout.JAVA_INT, KvmLapicStateLayout.OFFSETOF_REGS + APIC_TPR))
                .isEqualTo(0x40);
        assertThat(vm.sregs().cr8()).isEqualTo(4);
    }

    @Test
    void the_multiprocessing_state() {
        try (KvmVcpu second = vm.vm().createVcpu(1)) {
            assertThat(vcpu.mpState()).isEqualTo(KvmConstants.KVM_MP_STATE_RUNNABLE);
            assertThat(second.mpState()).isEqualTo(KvmConstants.KVM_MP_STATE_UNINITIALIZED);
            second.setMpState(KvmConstants.KVM_MP_STATE_HALTED);
            assertThat(second.mpState()).isEqualTo(KvmConstants.KVM_MP_STATE_HALTED);
        }
    }

    @Test
    void pending_events() {
        MemorySegment events = vcpu.getVcpuEvents(vm.arena());
        events.set(ValueLayout.JAVA_BYTE, KvmVcpuEventsLayout.OFFSETOF_INTERRUPT_SHADOW, (byte) 1);
        events.set(ValueLayout.JAVA_BYTE, KvmVcpuEventsLayout.OFFSETOF_NMI_MASKED, (byte) 1);
        vcpu.setVcpuEvents(events);

        MemorySegment again = vcpu.getVcpuEvents(vm.arena());
        assertThat(again.get(ValueLayout.JAVA_BYTE, KvmVcpuEventsLayout.OFFSETOF_NMI_MASKED))
                .isOne();
        // AMD-V has one bit for both kinds of shadow, and KVM tells both then.
        assertThat(again.get(ValueLayout.JAVA_BYTE, KvmVcpuEventsLayout.OFFSETOF_INTERRUPT_SHADOW) & 1)
                .isOne();
    }

    @Test
    void debug_registers() {
        MemorySegment debugregs = vcpu.getDebugregs(vm.arena());
        for (int i = 0; i < 4; i++) {
            debugregs.setAtIndex(ValueLayout.JAVA_LONG, KvmDebugregsLayout.OFFSETOF_DB / 8 + i, 0x1000L * (i + 1));
        }
        debugregs.set(ValueLayout.JAVA_LONG, KvmDebugregsLayout.OFFSETOF_DR7, 0x4aa);
        vcpu.setDebugregs(debugregs);

        assertSame(vcpu.getDebugregs(vm.arena()), debugregs);
    }

    @Test
    void cpuid_leaves() {
        List<CpuidEntry> leaves = vm.kvm().supportedCpuid().stream()
                .map(leaf ->
                        leaf.function() == 0x4000_0000 ? leaf.with(0x4000_0001, 0x6d696854, 0x6d656c62, 0x62) : leaf)
                .toList();
        vcpu.setCpuid2(leaves);

        assertThat(comparable(vcpu.getCpuid2())).isEqualTo(comparable(leaves)).hasSizeGreaterThan(5);
    }

    @Test
    void segments_that_are_too_small_are_refused_before_the_kernel_goes_beyond_them() {
        MemorySegment small = vm.arena().allocate(64, Long.BYTES);

        assertThatIllegalArgumentException().isThrownBy(() -> vcpu.setXsave(small));
        assertThatIllegalArgumentException().isThrownBy(() -> vcpu.getXsave2(vm.arena(), 4095));
        assertThatIllegalArgumentException().isThrownBy(() -> vcpu.setLapic(small));
        assertThatIllegalArgumentException().isThrownBy(() -> vcpu.setSregs2(small));
        assertThatIllegalArgumentException().isThrownBy(() -> vm.vm().enableCap(1, 1, 2, 3, 4, 5));
    }

    /** Leaves 1, 7 and 0xd show control registers too and KVM keeps them up to date; it drops leaves of zeros. */
    private static List<CpuidEntry> comparable(List<CpuidEntry> leaves) {
        return leaves.stream()
                .filter(leaf -> leaf.function() != 1 && leaf.function() != 7 && leaf.function() != 0xd)
                .filter(leaf -> (leaf.eax() | leaf.ebx() | leaf.ecx() | leaf.edx()) != 0)
                .toList();
    }
}
