package io.thimble.vmm.x86;

import io.thimble.kvm.KvmRegs;
import io.thimble.kvm.KvmSegment;
import io.thimble.kvm.KvmSregs;
import io.thimble.kvm.KvmVcpu;
import io.thimble.kvm.MsrEntry;
import io.thimble.linux.abi.ProcessorFlagsConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.vmm.boot.BootLayout;
import io.thimble.vmm.boot.EntryMode;
import io.thimble.vmm.boot.LoadedKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * The state in which vCPUs begin: the boot CPU as the kernel's boot protocol wants it (Documentation/arch/x86/boot.rst,
 * Xen's pvh.pandoc), the others after reset, waiting for their start-up interrupt.
 */
public final class BootState {
    // The GDT's selectors, __BOOT_CS and __BOOT_DS of Linux's boot protocol among them.
    private static final short CODE_SELECTOR = 0x10;
    private static final short DATA_SELECTOR = 0x18;
    private static final short TSS_SELECTOR = 0x20;
    private static final int GDT_ENTRIES = 5;

    private static final int TYPE_CODE = 0xb; // execute, read, accessed
    private static final int TYPE_DATA = 0x3; // read, write, accessed
    private static final int TYPE_TSS_BUSY = 0xb;
    private static final int FLAT_LIMIT = 0xffff_ffff;
    private static final int REAL_MODE_LIMIT = 0xffff;

    private static final long EFER_LME = 1 << 8;
    private static final long EFER_LMA = 1 << 10;

    private static final int MSR_IA32_MISC_ENABLE = 0x1a0;
    private static final long MISC_ENABLE_FAST_STRING = 1;
    private static final int MSR_MTRR_DEF_TYPE = 0x2ff;
    private static final long MTRR_ENABLE = 1 << 11;
    private static final long MTRR_TYPE_WRITE_BACK = 6;

    private static final int APIC_LVT0 = 0x350;
    private static final int APIC_LVT1 = 0x360;
    private static final int APIC_DM_EXTINT = 0x700;
    private static final int APIC_DM_NMI = 0x400;

    private BootState() {}

    /** Writes the GDT and, for long mode, the page tables that the boot CPU begins with. */
    public static void writeTables(GuestMemory memory, EntryMode mode) {
        if (mode == EntryMode.REAL_16) {
            return;
        }
        boolean longMode = mode == EntryMode.LONG_64;
        memory.putLong(
                BootLayout.GDT_ADDRESS + CODE_SELECTOR, longMode ? 0x00af_9b00_0000_ffffL : 0x00cf_9b00_0000_ffffL);
        memory.putLong(BootLayout.GDT_ADDRESS + DATA_SELECTOR, 0x00cf_9300_0000_ffffL);
        memory.putLong(BootLayout.GDT_ADDRESS + TSS_SELECTOR, 0x008f_8b00_0000_ffffL);
        if (longMode) {
            PageTables.writeIdentityMap(memory);
        }
    }

    /** Gives a vCPU the MSRs and the local APIC wiring that firmware leaves behind; after its CPUID is set. */
    public static void initVcpu(KvmVcpu vcpu) {
        // A host may refuse one of them (kvm-pvm has no MTRRs): Linux then uses the processor's default.
        for (MsrEntry msr : List.of(
                new MsrEntry(MSR_IA32_MISC_ENABLE, MISC_ENABLE_FAST_STRING),
                new MsrEntry(MSR_MTRR_DEF_TYPE, MTRR_ENABLE | MTRR_TYPE_WRITE_BACK))) {
            int _ = vcpu.setMsrs(List.of(msr));
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment lapic = vcpu.getLapic(arena);
            lapic.set(ValueLayout.JAVA_INT, APIC_LVT0, APIC_DM_EXTINT);
            lapic.set(ValueLayout.JAVA_INT, APIC_LVT1, APIC_DM_NMI);
            vcpu.setLapic(lapic);
        }
    }

    /** Gives the boot CPU the registers with which it enters the kernel. */
    public static void initBootCpu(KvmVcpu vcpu, LoadedKernel kernel) {
        try (Arena arena = Arena.ofConfined()) {
            KvmSregs sregs = new KvmSregs(arena);
            vcpu.getSregs(sregs);
            KvmRegs regs = new KvmRegs(arena)
                    .rflags(ProcessorFlagsConstants.X86_EFLAGS_FIXED)
                    .rip(kernel.entryPoint())
                    .rsp(BootLayout.BOOT_STACK_TOP);
            switch (kernel.mode()) {
                case REAL_16 -> realMode(sregs, kernel.codeSegment());
                case PROTECTED_32 -> {
                    protectedMode(sregs);
                    regs.rsi(kernel.bootInfoAddress());
                }
                case PVH_32 -> {
                    protectedMode(sregs);
                    regs.rbx(kernel.bootInfoAddress());
                }
                case LONG_64 -> {
                    longMode(sregs);
                    regs.rsi(kernel.bootInfoAddress()).rbp(BootLayout.BOOT_STACK_TOP);
                }
            }
            vcpu.setSregs(sregs);
            vcpu.setRegs(regs);
        }
    }

    private static void realMode(KvmSregs sregs, int codeSegment) {
        for (KvmSegment data : List.of(sregs.ds(), sregs.es(), sregs.fs(), sregs.gs(), sregs.ss())) {
            data.selector((short) 0).base(0).limit(REAL_MODE_LIMIT);
        }
        sregs.cs().selector((short) codeSegment).base((long) codeSegment << 4).limit(REAL_MODE_LIMIT);
    }

    private static void protectedMode(KvmSregs sregs) {
        flatSegments(sregs, 0, 1);
        sregs.cr0(ProcessorFlagsConstants.X86_CR0_PE | ProcessorFlagsConstants.X86_CR0_ET)
                .cr4(0)
                .efer(0);
    }

    private static void longMode(KvmSregs sregs) {
        flatSegments(sregs, 1, 0);
        sregs.cr3(BootLayout.PML4_ADDRESS)
                .cr4(ProcessorFlagsConstants.X86_CR4_PAE)
                .efer(EFER_LME | EFER_LMA)
                .cr0(ProcessorFlagsConstants.X86_CR0_PE
                        | ProcessorFlagsConstants.X86_CR0_ET
                        | ProcessorFlagsConstants.X86_CR0_PG);
    }

    private static void flatSegments(KvmSregs sregs, int l, int db) {
        sregs.gdt(BootLayout.GDT_ADDRESS, GDT_ENTRIES * Long.BYTES - 1).idt(BootLayout.IDT_ADDRESS, Long.BYTES - 1);
        flat(sregs.cs(), CODE_SELECTOR, TYPE_CODE).l(l).db(db);
        for (KvmSegment data : List.of(sregs.ds(), sregs.es(), sregs.fs(), sregs.gs(), sregs.ss())) {
            flat(data, DATA_SELECTOR, TYPE_DATA).l(0).db(1);
        }
        flat(sregs.tr(), TSS_SELECTOR, TYPE_TSS_BUSY)
                .limit(0xffff)
                .s(0)
                .g(0)
                .l(0)
                .db(0);
    }

    private static KvmSegment flat(KvmSegment segment, short selector, int type) {
        return segment.selector(selector)
                .type(type)
                .base(0)
                .limit(FLAT_LIMIT)
                .present(1)
                .dpl(0)
                .s(1)
                .g(1)
                .unusable(0);
    }
}
