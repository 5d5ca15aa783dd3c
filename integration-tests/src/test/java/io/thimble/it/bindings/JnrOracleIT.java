package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.CpuidEntry;
import io.thimble.kvm.abi.KvmCpuid2Layout;
import io.thimble.kvm.abi.KvmCpuidEntry2Layout;
import io.thimble.kvm.abi.KvmIoctls;
import io.thimble.kvm.abi.KvmMsrListLayout;
import io.thimble.kvm.abi.KvmRegsLayout;
import io.thimble.kvm.abi.KvmSregsLayout;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import jnr.ffi.Pointer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The bindings and JNR-FFI get the same answers from the same kernel. */
@RequiresKvm
class JnrOracleIT {
    private static final int CAPABILITIES = 256;

    private final RawVm ours = new RawVm();
    private final JnrKvm theirs = new JnrKvm(RawVm.MEMORY);

    @AfterEach
    void close() {
        ours.close();
        theirs.close();
    }

    @Test
    void api_version_and_mapping_size() {
        assertThat(ours.kvm().apiVersion()).isEqualTo(theirs.system(KvmIoctls.KVM_GET_API_VERSION, 0));
        assertThat(ours.kvm().vcpuMmapSize()).isEqualTo(theirs.system(KvmIoctls.KVM_GET_VCPU_MMAP_SIZE, 0));
    }

    @Test
    void every_capability() {
        List<Integer> expected = IntStream.range(0, CAPABILITIES)
                .mapToObj(capability -> theirs.system(KvmIoctls.KVM_CHECK_EXTENSION, capability))
                .toList();

        assertThat(IntStream.range(0, CAPABILITIES).mapToObj(ours.kvm()::checkExtension))
                .containsExactlyElementsOf(expected);
        assertThat(expected).filteredOn(answer -> answer > 0).hasSizeGreaterThan(50);
    }

    @Test
    void supported_and_emulated_cpuid() {
        assertThat(withoutApicId(ours.kvm().supportedCpuid()))
                .isEqualTo(withoutApicId(theirCpuid(KvmIoctls.KVM_GET_SUPPORTED_CPUID)))
                .hasSizeGreaterThan(10);
        assertThat(ours.kvm().emulatedCpuid()).isEqualTo(theirCpuid(KvmIoctls.KVM_GET_EMULATED_CPUID));
    }

    private List<CpuidEntry> theirCpuid(long request) {
        int capacity = 256;
        Pointer cpuid =
                JnrKvm.allocate((int) (KvmCpuid2Layout.OFFSETOF_ENTRIES + capacity * KvmCpuidEntry2Layout.SIZEOF));
        cpuid.putInt(KvmCpuid2Layout.OFFSETOF_NENT, capacity);
        assertThat(theirs.system(request, cpuid.address())).isZero();
        int[] words = new int[(int) KvmCpuidEntry2Layout.SIZEOF / Integer.BYTES];
        List<CpuidEntry> leaves = new ArrayList<>();
        for (int i = 0; i < cpuid.getInt(KvmCpuid2Layout.OFFSETOF_NENT); i++) {
            cpuid.get(KvmCpuid2Layout.OFFSETOF_ENTRIES + i * KvmCpuidEntry2Layout.SIZEOF, words, 0, words.length);
            // function, index, flags, eax, ebx, ecx, edx, three of padding
            leaves.add(new CpuidEntry(words[0], words[1], words[2], words[3], words[4], words[5], words[6]));
        }
        return leaves;
    }

    /** Leaves 1, 0xb, 0x1f and 0x8000001e tell the APIC id of the CPU that happens to run the call. */
    private static List<CpuidEntry> withoutApicId(List<CpuidEntry> leaves) {
        return leaves.stream()
                .map(leaf -> switch (leaf.function()) {
                    case 1 -> leaf.with(leaf.eax(), leaf.ebx() & 0xff_ffff, leaf.ecx(), leaf.edx());
                    case 0xb, 0x1f -> leaf.with(leaf.eax(), leaf.ebx(), leaf.ecx(), 0);
                    case 0x8000_001e -> leaf.with(0, leaf.ebx(), leaf.ecx(), leaf.edx());
                    default -> leaf;
                })
                .toList();
    }

    @Test
    void msr_lists() {
        assertThat(ours.kvm().msrIndexList()).isEqualTo(theirMsrs(KvmIoctls.KVM_GET_MSR_INDEX_LIST));
        assertThat(ours.kvm().msrFeatureIndexList()).isEqualTo(theirMsrs(KvmIoctls.KVM_GET_MSR_FEATURE_INDEX_LIST));
    }

    private int[] theirMsrs(long request) {
        int capacity = 2000;
        Pointer list = JnrKvm.allocate((int) KvmMsrListLayout.OFFSETOF_INDICES + capacity * Integer.BYTES);
        list.putInt(KvmMsrListLayout.OFFSETOF_NMSRS, capacity);
        assertThat(theirs.system(request, list.address())).isZero();
        int[] msrs = new int[list.getInt(KvmMsrListLayout.OFFSETOF_NMSRS)];
        list.get(KvmMsrListLayout.OFFSETOF_INDICES, msrs, 0, msrs.length);
        return msrs;
    }

    @Test
    void special_registers_of_a_fresh_vcpu() {
        assertThat(ours.sregs().segment().toArray(ValueLayout.JAVA_BYTE)).isEqualTo(theirSregs());
    }

    private byte[] theirSregs() {
        Pointer sregs = JnrKvm.allocate((int) KvmSregsLayout.SIZEOF);
        assertThat(theirs.vcpu(KvmIoctls.KVM_GET_SREGS, sregs)).isZero();
        return JnrKvm.bytes(sregs, (int) KvmSregsLayout.SIZEOF);
    }

    @Test
    void kvm_run_after_each_exit_of_a_program() {
        Asm program = new Asm(Asm.Mode.REAL)
                .movDx(0x1234)
                .movEax(0xcafebabe)
                .out(4)
                .in(2)
                .movEdi(RawVm.DATA)
                .store(1)
                .hlt();
        ours.load(program);
        theirs.write(RawVm.CODE, program.toByteArray());
        Pointer sregs = JnrKvm.allocate((int) KvmSregsLayout.SIZEOF);
        sregs.put(0, ours.sregs().segment().toArray(ValueLayout.JAVA_BYTE), 0, (int) KvmSregsLayout.SIZEOF);
        assertThat(theirs.vcpu(KvmIoctls.KVM_SET_SREGS, sregs)).isZero();
        Pointer regs = JnrKvm.allocate((int) KvmRegsLayout.SIZEOF);
        regs.put(0, ours.regs().segment().toArray(ValueLayout.JAVA_BYTE), 0, (int) KvmRegsLayout.SIZEOF);
        assertThat(theirs.vcpu(KvmIoctls.KVM_SET_REGS, regs)).isZero();

        int whole = ours.kvm().vcpuMmapSize();
        for (int exit = 0; exit < 3; exit++) {
            ours.run();
            theirs.run();
            assertThat(ours.kvmRun().segment().toArray(ValueLayout.JAVA_BYTE))
                    .as("exit %d: %s", exit, ours.kvmRun())
                    .isEqualTo(theirs.kvmRun(whole));
        }
        assertThat(ours.kvmRun()).hasToString("KVM_EXIT_HLT");
        theirs.vcpu(KvmIoctls.KVM_GET_REGS, regs);
        assertThat(JnrKvm.bytes(regs, (int) KvmRegsLayout.SIZEOF))
                .isEqualTo(ours.regs().segment().toArray(ValueLayout.JAVA_BYTE));
    }
}
