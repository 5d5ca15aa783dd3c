package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.kvm.Kvm;
import io.thimble.kvm.KvmRegs;
import io.thimble.kvm.KvmRun;
import io.thimble.kvm.KvmSegment;
import io.thimble.kvm.KvmSregs;
import io.thimble.kvm.KvmVcpu;
import io.thimble.kvm.KvmVm;
import io.thimble.kvm.abi.KvmExits;
import io.thimble.linux.Mman;
import io.thimble.linux.Signals;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** The least VM that runs a program: KVM, one memory slot from address 0, one vCPU. Used by one thread. */
final class RawVm implements AutoCloseable {
    /** Bytes of guest memory. */
    static final int MEMORY = 1 << 20;

    /** Where programs lie. */
    static final int CODE = 0x1000;

    /** Where programs keep data; within real mode's reach. */
    static final int DATA = 0x4000;

    /** The initial top of the stack. */
    static final int STACK = 0x7000;

    /** An address where no memory is. */
    static final long MMIO = 0xd000_0000L;

    /** PML4, PDPT and four page directories that map the lowest 4 GiB to themselves by 2 MiB pages. */
    private static final int PAGE_TABLES = 0x10000;

    private static final int DEADLINE_SECONDS = 10;

    private static final int CR0_PE = 1;
    private static final int CR0_PG = 1 << 31;
    private static final int CR4_PAE = 1 << 5;
    private static final int EFER_LME = 1 << 8;
    private static final int EFER_LMA = 1 << 10;
    private static final long RFLAGS_RESERVED = 2;

    private static final ScheduledExecutorService WATCHDOG = Executors.newSingleThreadScheduledExecutor(
            r -> Thread.ofPlatform().daemon().name("raw-vm-watchdog").unstarted(r));

    private final Arena arena = Arena.ofShared();
    private final Kvm kvm = Kvm.open();
    private final KvmVm vm = kvm.createVm();
    private final MemorySegment memory = Mman.anonymous(arena, MEMORY);
    private final KvmVcpu vcpu;

    RawVm() {
        this(vm -> {});
    }

    /** With {@code beforeVcpu} done between the creation of the VM and that of the vCPU. */
    RawVm(Consumer<KvmVm> beforeVcpu) {
        vm.setUserMemoryRegion(0, 0, 0, MEMORY, memory.address());
        beforeVcpu.accept(vm);
        vcpu = vm.createVcpu(0);
    }

    Kvm kvm() {
        return kvm;
    }

    KvmVm vm() {
        return vm;
    }

    KvmVcpu vcpu() {
        return vcpu;
    }

    KvmRun kvmRun() {
        return vcpu.kvmRun();
    }

    MemorySegment memory() {
        return memory;
    }

    Arena arena() {
        return arena;
    }

    KvmRegs regs() {
        KvmRegs regs = new KvmRegs(arena);
        vcpu.getRegs(regs);
        return regs;
    }

    KvmSregs sregs() {
        KvmSregs sregs = new KvmSregs(arena);
        vcpu.getSregs(sregs);
        return sregs;
    }

    void write(long address, byte... bytes) {
        MemorySegment.copy(bytes, 0, memory, ValueLayout.JAVA_BYTE, address, bytes.length);
    }

    byte[] read(long address, int length) {
        return memory.asSlice(address, length).toArray(ValueLayout.JAVA_BYTE);
    }

    long readLong(long address) {
        return memory.get(ValueLayout.JAVA_LONG_UNALIGNED, address);
    }

    /** Puts a program at {@link #CODE} and the vCPU, in the program's mode, before its first instruction. */
    RawVm load(Asm program) {
        write(CODE, program.toByteArray());
        return enter(program.mode());
    }

    /** Puts the vCPU into {@code mode}, before the instruction at {@link #CODE}. */
    RawVm enter(Asm.Mode mode) {
        KvmSregs sregs = sregs();
        switch (mode) {
            case REAL -> {
                sregs.cs().base(0).selector((short) 0);
            }
            case PROTECTED -> {
                flat(sregs, 0);
                sregs.cr0(sregs.cr0() | CR0_PE);
            }
            case LONG -> {
                vcpu.setCpuid2(kvm.supportedCpuid());
                writePageTables();
                flat(sregs, 1);
                sregs.cr3(PAGE_TABLES)
                        .cr4(CR4_PAE)
                        .cr0(sregs.cr0() | CR0_PE | Integer.toUnsignedLong(CR0_PG))
                        .efer(EFER_LME | EFER_LMA);
            }
        }
        vcpu.setSregs(sregs);
        vcpu.setRegs(new KvmRegs(arena).rip(CODE).rsp(STACK).rflags(RFLAGS_RESERVED));
        return this;
    }

    private static void flat(KvmSregs sregs, int l) {
        flat(sregs.cs(), 0x08, 0xb).l(l).db(1 - l);
        for (KvmSegment data : new KvmSegment[] {sregs.ds(), sregs.es(), sregs.fs(), sregs.gs(), sregs.ss()}) {
            flat(data, 0x10, 3).db(1);
        }
    }

    private static KvmSegment flat(KvmSegment segment, int selector, int type) {
        return segment.base(0)
                .limit(-1)
                .selector((short) selector)
                .type(type)
                .present(1)
                .dpl(0)
                .s(1)
                .g(1)
                .unusable(0);
    }

    private void writePageTables() {
        int present = 3;
        int large = 0x80;
        int pdpt = PAGE_TABLES + 0x1000;
        int firstDirectory = pdpt + 0x1000;
        memory.set(ValueLayout.JAVA_LONG, PAGE_TABLES, pdpt | present);
        for (int gib = 0; gib < 4; gib++) {
            memory.set(ValueLayout.JAVA_LONG, pdpt + 8L * gib, (firstDirectory + 0x1000 * gib) | present);
        }
        for (int entry = 0; entry < 4 * 512; entry++) {
            memory.set(ValueLayout.JAVA_LONG, firstDirectory + 8L * entry, ((long) entry << 21) | large | present);
        }
    }

    /** Lets real-mode instructions reach {@code address}: DS and ES begin there. */
    void moveDataSegments(long address) {
        KvmSregs sregs = sregs();
        sregs.ds().base(address);
        sregs.es().base(address);
        vcpu.setSregs(sregs);
    }

    /** Runs to the next exit, which must come within 10 seconds, and returns its reason. */
    int run() {
        int thread = Signals.currentThreadId();
        ScheduledFuture<?> late = WATCHDOG.schedule(() -> stop(thread), DEADLINE_SECONDS, TimeUnit.SECONDS);
        int result = vcpu.run();
        late.cancel(false);
        assertThat(result).as("KVM_RUN").isZero();
        return kvmRun().exitReason();
    }

    /** Makes {@code thread}, which is in {@link KvmVcpu#run}, leave it with {@code -EINTR}. */
    void stop(int thread) {
        kvmRun().setImmediateExit(true);
        Signals.kick(thread);
    }

    /** Runs to an exit by {@code out} to {@code port} and returns what was written. */
    long runToOut(int port) {
        assertThat(run()).as("%s", kvmRun()).isEqualTo(KvmExits.KVM_EXIT_IO);
        assertThat(kvmRun().ioIsOut()).as("%s", kvmRun()).isTrue();
        assertThat(kvmRun().ioPort()).as("%s", kvmRun()).isEqualTo(port);
        assertThat(kvmRun().ioCount()).isOne();
        return kvmRun().ioData(0);
    }

    /** Runs to an exit by {@code hlt}; there is none with an interrupt controller in the kernel. */
    void runToHlt() {
        assertThat(run()).as("%s", kvmRun()).isEqualTo(KvmExits.KVM_EXIT_HLT);
    }

    @Override
    public void close() {
        vcpu.close();
        vm.close();
        kvm.close();
        arena.close();
    }
}
