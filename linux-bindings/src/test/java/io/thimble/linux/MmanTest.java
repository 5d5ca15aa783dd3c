package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.MmanConstants;
import io.thimble.linux.abi.Syscalls;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MmanTest {
    private static final long GIB = 1L << 30;

    private static long residentPages(Arena arena, MemorySegment mapping) {
        MemorySegment resident = arena.allocate(mapping.byteSize() / Mman.PAGE_SIZE);
        LinuxException.check(
                "mincore",
                Syscall.call(Syscalls.SYS_mincore, mapping.address(), mapping.byteSize(), resident.address()));
        return resident.elements(ValueLayout.JAVA_BYTE)
                .filter(page -> (page.get(ValueLayout.JAVA_BYTE, 0) & 1) != 0)
                .count();
    }

    @Test
    void closing_the_arena_unmaps() throws IOException {
        try (Fd file = MemFd.create("thimble-unmaps", Mman.PAGE_SIZE)) {
            MemorySegment mapping;
            try (Arena arena = Arena.ofShared()) {
                mapping = Mman.shared(arena, file, Mman.PAGE_SIZE, 0);
                assertThat(ProcSelf.mappingsOf("memfd:thimble-unmaps")).isOne();
            }
            assertThat(ProcSelf.mappingsOf("memfd:thimble-unmaps")).isZero();
            assertThatIllegalStateException().isThrownBy(() -> mapping.get(ValueLayout.JAVA_BYTE, 0));
        }
    }

    private static Arena closedArena() {
        try (Arena arena = Arena.ofShared()) {
            return arena;
        }
    }

    @Test
    void leaves_no_mapping_behind_when_the_arena_is_closed_already() throws IOException {
        Arena closed = closedArena();
        try (Fd file = MemFd.create("thimble-leaks", Mman.PAGE_SIZE)) {
            assertThatIllegalStateException().isThrownBy(() -> Mman.shared(closed, file, Mman.PAGE_SIZE, 0));
            assertThat(ProcSelf.mappingsOf("memfd:thimble-leaks")).isZero();
        }
    }

    @Test
    void anonymous_memory_takes_no_space_until_it_is_touched() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mapping = Mman.anonymous(arena, GIB);
            assertThat(Mman.advise(mapping, MmanConstants.MADV_NOHUGEPAGE)).isZero();
            assertThat(residentPages(arena, mapping)).isZero();

            mapping.set(ValueLayout.JAVA_BYTE, 0, (byte) 1);
            mapping.set(ValueLayout.JAVA_BYTE, GIB / 2, (byte) 1);
            mapping.set(ValueLayout.JAVA_BYTE, GIB - 1, (byte) 1);

            assertThat(residentPages(arena, mapping)).isEqualTo(3);
        }
    }

    @Test
    void advice_not_to_need_the_memory_frees_and_zeroes_it() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mapping = Mman.anonymous(arena, 64L * Mman.PAGE_SIZE).fill((byte) 0x5a);
            MemorySegment part = mapping.asSlice(16L * Mman.PAGE_SIZE, 16L * Mman.PAGE_SIZE);

            assertThat(Mman.advise(part, MmanConstants.MADV_DONTNEED)).isZero();

            assertThat(mapping.get(ValueLayout.JAVA_BYTE, part.address() - mapping.address() - 1))
                    .isEqualTo((byte) 0x5a);
            assertThat(part.mismatch(MemorySegment.ofArray(new byte[(int) part.byteSize()])))
                    .isEqualTo(-1);
        }
    }

    @Test
    void advice_that_linux_has_not_is_refused() {
        try (Arena arena = Arena.ofConfined()) {
            assertThat(Mman.advise(Mman.anonymous(arena, Mman.PAGE_SIZE), 12345))
                    .isEqualTo(-Errnos.EINVAL);
        }
    }

    @Test
    void shared_mappings_of_a_file_show_the_same_bytes() {
        try (Arena arena = Arena.ofConfined();
                Fd file = MemFd.create("shared", 2L * Mman.PAGE_SIZE)) {
            MemorySegment whole = Mman.shared(arena, file, 2L * Mman.PAGE_SIZE, 0);
            MemorySegment second = Mman.shared(arena, file, Mman.PAGE_SIZE, Mman.PAGE_SIZE);

            second.set(ValueLayout.JAVA_LONG, 8, 0x1122334455667788L);

            assertThat(whole.get(ValueLayout.JAVA_LONG, Mman.PAGE_SIZE + 8L)).isEqualTo(0x1122334455667788L);
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {Long.MIN_VALUE, -1, 0})
    void rejects_a_length_that_is_none(long length) {
        assertThatIllegalArgumentException().isThrownBy(() -> Mman.anonymous(Arena.global(), length));
    }

    @Test
    void says_what_could_not_be_mapped() {
        assertThatThrownBy(() -> Mman.anonymous(Arena.global(), 1L << 62))
                .isInstanceOf(LinuxException.class)
                .hasMessage("mmap of 4611686018427387904 bytes: ENOMEM (Cannot allocate memory)");
    }
}
