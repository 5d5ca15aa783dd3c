package io.thimble.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.kvm.abi.KvmDtableLayout;
import io.thimble.kvm.abi.KvmRegsLayout;
import io.thimble.kvm.abi.KvmSegmentLayout;
import io.thimble.kvm.abi.KvmSregsLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Each accessor reads and writes the field whose name it has. */
class RegistersTest {
    private final Arena arena = Arena.ofAuto();

    private static long offset(Class<?> layout, String name) throws ReflectiveOperationException {
        Field field = layout.getField("OFFSETOF_" + name.toUpperCase(Locale.ROOT));
        return field.getLong(null);
    }

    /** Sets each register by its setter, and sees it in its place and by its getter. */
    private static int roundTrips(Object registers, MemorySegment segment, Class<?> layout)
            throws ReflectiveOperationException {
        int seen = 0;
        for (Method setter : registers.getClass().getMethods()) {
            if (setter.getParameterCount() == 1
                    && setter.getParameterTypes()[0] == long.class
                    && setter.getReturnType() == registers.getClass()) {
                String name = setter.getName();
                long value = 0x1122334455660000L + seen++;
                assertThat(setter.invoke(registers, value)).isSameAs(registers);
                String field = name.equals("apicBase") ? "apic_base" : name;
                assertThat(segment.get(ValueLayout.JAVA_LONG, offset(layout, field)))
                        .as(name)
                        .isEqualTo(value);
                assertThat(registers.getClass().getMethod(name).invoke(registers))
                        .as(name)
                        .isEqualTo(value);
            }
        }
        return seen;
    }

    @Test
    void general_registers() throws ReflectiveOperationException {
        KvmRegs regs = new KvmRegs(arena);

        assertThat(roundTrips(regs, regs.segment(), KvmRegsLayout.class)).isEqualTo(18);
    }

    @Test
    void control_registers_and_tables() throws ReflectiveOperationException {
        KvmSregs sregs = new KvmSregs(arena);

        assertThat(roundTrips(sregs, sregs.segment(), KvmSregsLayout.class)).isEqualTo(7);

        sregs.gdt(0x1_0000_1000L, 0xfff7).idt(0x2_0000_2000L, 0xfff8);
        assertThat(sregs.gdtBase()).isEqualTo(0x1_0000_1000L);
        assertThat(sregs.gdtLimit()).isEqualTo(0xfff7);
        assertThat(sregs.idtBase()).isEqualTo(0x2_0000_2000L);
        assertThat(sregs.idtLimit()).isEqualTo(0xfff8);
        assertThat(sregs.segment()
                        .get(ValueLayout.JAVA_LONG, KvmSregsLayout.OFFSETOF_IDT + KvmDtableLayout.OFFSETOF_BASE))
                .isEqualTo(0x2_0000_2000L);
    }

    @ParameterizedTest
    @ValueSource(strings = {"cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt"})
    void segment_registers(String name) throws ReflectiveOperationException {
        KvmSregs sregs = new KvmSregs(arena);
        KvmSegment segment = (KvmSegment) KvmSregs.class.getMethod(name).invoke(sregs);
        segment.base(0x1234_5678_9abcL)
                .limit(-1)
                .selector((short) 0xfff8)
                .type(1)
                .present(2)
                .dpl(3)
                .db(4)
                .s(5)
                .l(6)
                .g(7)
                .avl(8)
                .unusable(9);

        MemorySegment raw = sregs.segment().asSlice(offset(KvmSregsLayout.class, name), KvmSegmentLayout.SIZEOF);
        assertThat(raw.get(ValueLayout.JAVA_LONG, KvmSegmentLayout.OFFSETOF_BASE))
                .isEqualTo(segment.base())
                .isEqualTo(0x1234_5678_9abcL);
        assertThat(raw.get(ValueLayout.JAVA_INT, KvmSegmentLayout.OFFSETOF_LIMIT))
                .isEqualTo(segment.limit())
                .isEqualTo(-1);
        assertThat(raw.get(ValueLayout.JAVA_SHORT, KvmSegmentLayout.OFFSETOF_SELECTOR))
                .isEqualTo(segment.selector())
                .isEqualTo((short) 0xfff8);
        String[] bytes = {"type", "present", "dpl", "db", "s", "l", "g", "avl", "unusable"};
        for (int i = 0; i < bytes.length; i++) {
            assertThat(raw.get(ValueLayout.JAVA_BYTE, offset(KvmSegmentLayout.class, bytes[i])))
                    .as(bytes[i])
                    .isEqualTo((byte) (i + 1));
            assertThat(KvmSegment.class.getMethod(bytes[i]).invoke(segment))
                    .as(bytes[i])
                    .isEqualTo(i + 1);
        }
    }
}
