package io.thimble.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmExits;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The view over a page that the test fills as the kernel would: offsets as in the comments of {@code struct kvm_run}. */
class KvmRunTest {
    private static final int REASON = 8;
    private static final int UNION = 32;
    private static final int IO_DATA = 4096;

    private final MemorySegment page = Arena.ofAuto().allocate(3 * 4096, 4096);
    private final KvmRun run = new KvmRun(page);

    private void exit(int reason) {
        page.set(ValueLayout.JAVA_INT, REASON, reason);
    }

    private void putInt(long offset, int value) {
        page.set(ValueLayout.JAVA_INT, offset, value);
    }

    private void putLong(long offset, long value) {
        page.set(ValueLayout.JAVA_LONG, offset, value);
    }

    private void putByte(long offset, int value) {
        page.set(ValueLayout.JAVA_BYTE, offset, (byte) value);
    }

    private void io(int direction, int size, int port, int count) {
        exit(KvmExits.KVM_EXIT_IO);
        putByte(UNION, direction);
        putByte(UNION + 1, size);
        page.set(ValueLayout.JAVA_SHORT, UNION + 2, (short) port);
        putInt(UNION + 4, count);
        putLong(UNION + 8, IO_DATA);
    }

    @Test
    void the_head_of_the_page() {
        run.setRequestInterruptWindow(true);
        run.setImmediateExit(true);
        assertThat(page.get(ValueLayout.JAVA_SHORT, 0)).isEqualTo((short) 0x0101);
        run.setImmediateExit(false);
        assertThat(page.get(ValueLayout.JAVA_SHORT, 0)).isEqualTo((short) 0x0001);
        run.setRequestInterruptWindow(false);
        assertThat(page.get(ValueLayout.JAVA_SHORT, 0)).isZero();
        putByte(12, 1);
        assertThat(run.readyForInterruptInjection()).isTrue();
        assertThat(run.ifFlag()).isFalse();
        putByte(13, 1);
        assertThat(run.ifFlag()).isTrue();
        page.set(ValueLayout.JAVA_SHORT, 14, (short) 0x8001);
        assertThat(run.flags()).isEqualTo(0x8001);
        putLong(16, 9);
        assertThat(run.cr8()).isEqualTo(9);
        putLong(24, 0xfee0_0900L);
        assertThat(run.apicBase()).isEqualTo(0xfee0_0900L);
    }

    @ParameterizedTest
    @CsvSource({"1, 0xf1", "2, 0xf2f1", "4, 0xf4f3f2f1"})
    void port_output_of_every_size(int size, long expected) {
        io(KvmExits.KVM_EXIT_IO_OUT, size, 0xfff0, 3);
        page.asSlice(IO_DATA + size, 4).copyFrom(MemorySegment.ofArray(new byte[] {-15, -14, -13, -12}));

        assertThat(run.ioIsOut()).isTrue();
        assertThat(run.ioSize()).isEqualTo(size);
        assertThat(run.ioPort()).isEqualTo(0xfff0);
        assertThat(run.ioCount()).isEqualTo(3);
        assertThat(run.ioData(0)).isZero();
        assertThat(run.ioData(1)).isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({"1, 0x88", "2, 0x7788", "4, 0x55667788"})
    void port_input_of_every_size(int size, long expected) {
        io(KvmExits.KVM_EXIT_IO_IN, size, 0x60, 2);

        run.setIoData(1, 0x11223344_55667788L);

        assertThat(run.ioIsOut()).isFalse();
        assertThat(run.ioData(1)).isEqualTo(expected);
        assertThat(run.ioData(0)).isZero();
        assertThat(page.get(ValueLayout.JAVA_LONG_UNALIGNED, IO_DATA + size)).isEqualTo(expected);
    }

    @Test
    void port_data_beyond_the_mapping_is_refused() {
        io(KvmExits.KVM_EXIT_IO_OUT, 1, 0x60, Integer.MAX_VALUE);

        assertThatThrownBy(() -> run.ioData(2 * 4096)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @ParameterizedTest
    @CsvSource({"1, 0xf1", "2, 0xf2f1", "3, 0xf3f2f1", "4, 0xf4f3f2f1", "7, 0xf7f6f5f4f3f2f1", "8, -506664896818842895"
    })
    void mmio_of_every_length(int length, long expected) {
        exit(KvmExits.KVM_EXIT_MMIO);
        putLong(UNION, 0xfee0_0010L);
        putLong(UNION + 8, 0xf8f7f6f5_f4f3f2f1L);
        putInt(UNION + 16, length);
        putByte(UNION + 20, 1);

        assertThat(run.mmioPhysAddr()).isEqualTo(0xfee0_0010L);
        assertThat(run.mmioLen()).isEqualTo(length);
        assertThat(run.mmioIsWrite()).isTrue();
        assertThat(run.mmioData()).isEqualTo(expected);
        putByte(UNION + 20, 0);
        assertThat(run.mmioIsWrite()).isFalse();
        run.setMmioData(-2);
        assertThat(page.get(ValueLayout.JAVA_LONG, UNION + 8)).isEqualTo(-2);
    }

    @Test
    void exceptions_and_failed_entries() {
        exit(KvmExits.KVM_EXIT_EXCEPTION);
        putInt(UNION, 14);
        putInt(UNION + 4, 0x10);
        assertThat(run.exception()).isEqualTo(14);
        assertThat(run.exceptionErrorCode()).isEqualTo(0x10);
        assertThat(run).hasToString("KVM_EXIT_EXCEPTION: vector 14, error code 0x10");

        exit(KvmExits.KVM_EXIT_FAIL_ENTRY);
        putLong(UNION, 0x8000_0021L);
        putInt(UNION + 8, 3);
        assertThat(run).hasToString("KVM_EXIT_FAIL_ENTRY: hardware reason 0x80000021 on CPU 3");

        exit(KvmExits.KVM_EXIT_UNKNOWN);
        assertThat(run).hasToString("KVM_EXIT_UNKNOWN: hardware reason 0x80000021");
    }

    @Test
    void debug_exits() {
        exit(KvmExits.KVM_EXIT_DEBUG);
        putInt(UNION, 3);
        putLong(UNION + 8, 0x1234);
        putLong(UNION + 16, 0x4000);
        putLong(UNION + 24, 0x400);
        assertThat(run.debugDr7()).isEqualTo(0x400);
        assertThat(run).hasToString("KVM_EXIT_DEBUG: vector 3 at 0x1234, dr6 0x4000");
    }

    @Test
    void hypercalls() {
        exit(KvmExits.KVM_EXIT_HYPERCALL);
        putLong(UNION, 12);
        for (int i = 0; i < 6; i++) {
            putLong(UNION + 8 + 8L * i, 100 + i);
        }
        assertThat(run.hypercallNr()).isEqualTo(12);
        assertThat(run.hypercallArg(0)).isEqualTo(100);
        assertThat(run.hypercallArg(5)).isEqualTo(105);
        assertThatThrownBy(() -> run.hypercallArg(6)).isInstanceOf(IndexOutOfBoundsException.class);
        run.setHypercallRet(-38);
        assertThat(page.get(ValueLayout.JAVA_LONG, UNION + 56)).isEqualTo(-38);
    }

    @Test
    void accesses_to_the_tpr() {
        putLong(UNION, 0x7777);
        assertThat(run.tprAccessRip()).isEqualTo(0x7777);
        assertThat(run.tprAccessIsWrite()).isFalse();
        putInt(UNION + 8, 1);
        assertThat(run.tprAccessIsWrite()).isTrue();
    }

    @Test
    void internal_errors_with_the_instruction() {
        exit(KvmExits.KVM_EXIT_INTERNAL_ERROR);
        putInt(UNION, KvmConstants.KVM_INTERNAL_ERROR_EMULATION);
        putInt(UNION + 4, 3);
        putLong(UNION + 8, KvmConstants.KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES);
        putByte(UNION + 16, 3);
        putByte(UNION + 17, 0x0f);
        putByte(UNION + 18, 0xc7);
        putByte(UNION + 19, 0x0f);

        assertThat(run.emulationFailureInsnBytes()).containsExactly(0x0f, 0xc7, 0x0f);
        assertThat(run.internalData(0)).isOne();
        assertThatThrownBy(() -> run.internalData(3)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThat(run).hasToString("KVM_EXIT_INTERNAL_ERROR: an instruction that KVM cannot emulate: 0f c7 0f");

        putLong(UNION + 8, 0);
        assertThat(run.emulationFailureInsnBytes()).isEmpty();
        assertThat(run).hasToString("KVM_EXIT_INTERNAL_ERROR: an instruction that KVM cannot emulate");
    }

    @ParameterizedTest
    @ValueSource(ints = {17, Integer.MAX_VALUE, -1})
    void counts_that_no_kernel_gives_stay_within_the_structure(int count) {
        putInt(UNION + 4, count);
        assertThat(run.internalNdata()).isEqualTo(16);
        assertThat(run.systemEventNdata()).isEqualTo(16);
        putLong(UNION + 8 + 15 * 8, 99);
        assertThat(run.internalData(15)).isEqualTo(99);
        assertThat(run.systemEventData(15)).isEqualTo(99);
        assertThatThrownBy(() -> run.internalData(16)).isInstanceOf(IndexOutOfBoundsException.class);

        putLong(UNION + 8, KvmConstants.KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES);
        putByte(UNION + 16, 0xff);
        assertThat(run.emulationFailureInsnBytes()).hasSizeLessThanOrEqualTo(15);
    }

    @Test
    void model_specific_registers() {
        exit(KvmExits.KVM_EXIT_X86_WRMSR);
        putInt(UNION + 8, 2);
        putInt(UNION + 12, 0xc000_0080);
        putLong(UNION + 16, 0x1234567890L);
        assertThat(run.msrData()).isEqualTo(0x1234567890L);
        assertThat(run).hasToString("KVM_EXIT_X86_WRMSR: MSR 0xc0000080, reason 2");
        run.setMsrData(-5);
        assertThat(page.get(ValueLayout.JAVA_LONG, UNION + 16)).isEqualTo(-5);
        run.setMsrError(true);
        assertThat(page.get(ValueLayout.JAVA_BYTE, UNION)).isOne();
        run.setMsrError(false);
        assertThat(page.get(ValueLayout.JAVA_BYTE, UNION)).isZero();
    }

    @Test
    void the_remaining_reasons() {
        exit(KvmExits.KVM_EXIT_IOAPIC_EOI);
        putByte(UNION, 0xf0);
        assertThat(run.eoiVector()).isEqualTo(0xf0);
        exit(KvmExits.KVM_EXIT_SYSTEM_EVENT);
        putInt(UNION, 2);
        assertThat(run).hasToString("KVM_EXIT_SYSTEM_EVENT: type 2");
        exit(KvmExits.KVM_EXIT_HYPERV);
        assertThat(run).hasToString("KVM_EXIT_HYPERV: type 2");
        exit(KvmExits.KVM_EXIT_NOTIFY);
        assertThat(run.notifyFlags()).isEqualTo(2);
        exit(KvmExits.KVM_EXIT_MEMORY_FAULT);
        putLong(UNION, 8);
        putLong(UNION + 8, 0x10_0000);
        putLong(UNION + 16, 4096);
        assertThat(run).hasToString("KVM_EXIT_MEMORY_FAULT: 0x100000, 4096 bytes, flags 0x8");
        assertThat(run.xen().address()).isEqualTo(page.address() + UNION);
        assertThat(run.tdx().address()).isEqualTo(page.address() + UNION);
        assertThat(run.snpReqCerts().address()).isEqualTo(page.address() + UNION);
    }
}
