package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.abi.Errnos;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.Field;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ErrnoTest {
    /** For each number the name that the headers define it by; other names of it are defined by that one. */
    private static Map<Integer, String> headerNames() throws IllegalAccessException {
        Map<Integer, String> names = new LinkedHashMap<>();
        for (Field field : Errnos.class.getFields()) {
            names.putIfAbsent(field.getInt(null), field.getName());
        }
        return names;
    }

    @Test
    void has_every_number_of_the_headers_under_its_first_name() throws IllegalAccessException {
        Map<Integer, String> ours = new LinkedHashMap<>();
        for (Errno errno : Errno.values()) {
            ours.put(errno.number(), errno.name());
        }
        assertThat(ours).containsExactlyInAnyOrderEntriesOf(headerNames());
    }

    @Test
    void has_the_text_of_the_c_library() throws Throwable {
        Linker linker = Linker.nativeLinker();
        MethodHandle strerror = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("strerror"),
                FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
        for (Errno errno : Errno.values()) {
            MemorySegment text = (MemorySegment) strerror.invokeExact(errno.number());
            // A C library older than the vendored headers does not know the last ones.
            assertThat(text.reinterpret(200).getString(0))
                    .as(errno.name())
                    .isIn(errno.text(), "Unknown error " + errno.number());
        }
    }

    @Test
    void describes_a_number_by_name_and_text() {
        assertThat(Errno.describe(Errnos.EACCES)).isEqualTo("EACCES (Permission denied)");
    }

    @ParameterizedTest
    @ValueSource(ints = {Integer.MIN_VALUE, -1, 0, 41, 58, 135, 255, 256, Integer.MAX_VALUE})
    void describes_a_number_that_linux_has_not(int number) {
        assertThat(Errno.describe(number)).isEqualTo("errno " + number);
    }
}
