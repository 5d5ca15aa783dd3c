package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.KvmException;
import io.thimble.kvm.abi.KvmCaps;
import io.thimble.kvm.abi.KvmConstants;
import io.thimble.linux.Mman;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@RequiresKvm
class DirtyLogIT {
    private static final int PAGES = RawVm.MEMORY / Mman.PAGE_SIZE;

    private final RawVm vm = new RawVm();
    private final MemorySegment bitmap = vm.arena().allocate(PAGES / Byte.SIZE, Long.BYTES);

    @AfterEach
    void close() {
        vm.close();
    }

    private void logSlotZero() {
        vm.vm()
                .setUserMemoryRegion(
                        0,
                        KvmConstants.KVM_MEM_LOG_DIRTY_PAGES,
                        0,
                        RawVm.MEMORY,
                        vm.memory().address());
    }

    private void write(int... pages) {
        Asm program = new Asm(Asm.Mode.PROTECTED);
        for (int page : pages) {
            program.movEdi(page * Mman.PAGE_SIZE + 123).store(1);
        }
        vm.load(program.hlt());
        vm.runToHlt();
    }

    private static BitSet pages(int... pages) {
        BitSet set = new BitSet();
        IntStream.of(pages).forEach(set::set);
        return set;
    }

    /**
     * Pages that the log names but the program's own: with nested paging KVM makes a page writable, and calls it dirty,
     * when it is first touched in any way.
     */
    private BitSet dirty() {
        bitmap.fill((byte) 0x5a);
        vm.vm().getDirtyLog(0, bitmap);
        BitSet dirty = BitSet.valueOf(bitmap.toArray(ValueLayout.JAVA_BYTE));
        dirty.clear(RawVm.CODE / Mman.PAGE_SIZE);
        return dirty;
    }

    @Test
    void tells_each_written_page_once() {
        logSlotZero();
        write(32, 63, 64, 255);

        assertThat(dirty()).isEqualTo(pages(32, 63, 64, 255));
        assertThat(dirty()).isEqualTo(pages());
        write(64);
        assertThat(dirty()).isEqualTo(pages(64));
    }

    @Test
    void with_manual_protection_forgets_only_what_is_cleared() {
        vm.vm().enableCap(KvmCaps.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KvmConstants.KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
        logSlotZero();
        write(32, 63, 64, 255);
        assertThat(dirty()).isEqualTo(pages(32, 63, 64, 255));
        assertThat(dirty()).isEqualTo(pages(32, 63, 64, 255));

        MemorySegment clear = vm.arena().allocateFrom(ValueLayout.JAVA_LONG, 1L);
        vm.vm().clearDirtyLog(0, 64, 64, clear);
        assertThat(dirty()).isEqualTo(pages(32, 63, 255));

        clear.set(ValueLayout.JAVA_LONG, 0, 1L << 32);
        vm.vm().clearDirtyLog(0, 0, 64, clear);
        assertThat(dirty()).isEqualTo(pages(63, 255));
        write(32);
        assertThat(dirty()).isEqualTo(pages(32, 63, 255));
    }

    @Test
    void refuses_a_bitmap_that_the_kernel_would_write_beyond() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment small = arena.allocate(bitmap.byteSize() - Long.BYTES, Long.BYTES);
            assertThatThrownBy(() -> vm.vm().getDirtyLog(0, small))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("256 pages");
            assertThatThrownBy(() -> vm.vm().clearDirtyLog(0, 0, 320, small))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("320 pages");
        }
    }

    @Test
    void names_the_slot_that_has_no_log() {
        assertThatThrownBy(() -> vm.vm().getDirtyLog(0, bitmap))
                .isInstanceOf(KvmException.class)
                .hasMessageStartingWith("KVM_GET_DIRTY_LOG of slot 0: ENOENT");
    }
}
