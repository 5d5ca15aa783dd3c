package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.kvm.KvmVm;
import io.thimble.kvm.abi.KvmLapicStateLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;

/**
 * A real-mode guest that takes interrupts: it programs the PIC (vectors from 0x20, only line 5 open), says so by port
 * {@link #READY}, and sleeps. Each vector's handler writes the vector to port {@link #VECTOR}, ends the interrupt at the
 * PIC and at the local APIC (which ES reaches) and writes to port {@link #ENDED}.
 */
final class InterruptGuest {
    static final int PIC_BASE = 0x20;
    static final int READY = 0x90;
    static final int VECTOR = 0x91;
    static final int ENDED = 0x92;

    private static final int HANDLERS = 0x2000;
    private static final int HANDLER_SIZE = 32;
    private static final long APIC_BASE = 0xfee0_0000L;
    private static final int APIC_SPIV = 0xf0;
    private static final int APIC_EOI = 0xb0;

    private InterruptGuest() {}

    /** Starts the guest and runs it until it is ready. */
    static RawVm start(Consumer<KvmVm> controllers) {
        RawVm vm = new RawVm(controllers);
        for (int vector = PIC_BASE; vector < 0x80; vector++) {
            int handler = HANDLERS + vector * HANDLER_SIZE;
            byte[] code = new Asm(Asm.Mode.REAL)
                    .outByte(VECTOR, vector)
                    .outByte(0x20, 0x20)
                    .bytes(0x66, 0x26, 0xc7, 0x06, APIC_EOI, 0, 0, 0, 0, 0) // mov dword es:[APIC_EOI], 0
                    .outByte(ENDED, vector)
                    .iret()
                    .toByteArray();
            assertThat(code.length).isLessThanOrEqualTo(HANDLER_SIZE);
            vm.write(handler, code);
            vm.write(vector * 4L, (byte) handler, (byte) (handler >> 8), (byte) 0, (byte) 0);
        }
        vm.load(new Asm(Asm.Mode.REAL)
                .outByte(0x20, 0x11)
                .outByte(0x21, PIC_BASE)
                .outByte(0x21, 0x04)
                .outByte(0x21, 0x01)
                .outByte(0x21, 0xdf)
                .outByte(READY, 1)
                .sti()
                .hltForEver());
        enableApic(vm);
        var sregs = vm.sregs();
        sregs.es().base(APIC_BASE);
        vm.vcpu().setSregs(sregs);
        return vm;
    }

    private static void enableApic(RawVm vm) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment lapic = vm.vcpu().getLapic(arena);
            lapic.set(ValueLayout.JAVA_INT, KvmLapicStateLayout.OFFSETOF_REGS + APIC_SPIV, 0x1ff);
            vm.vcpu().setLapic(lapic);
        }
    }

    /** Runs the guest to its next interrupt and its end; returns the vector. */
    static int take(RawVm vm) {
        int vector = (int) vm.runToOut(VECTOR);
        assertThat(vm.runToOut(ENDED)).isEqualTo(vector);
        return vector;
    }
}
