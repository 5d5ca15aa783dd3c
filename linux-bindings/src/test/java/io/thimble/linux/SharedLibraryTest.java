package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SharedLibraryTest {
    @TempDir
    Path directory;

    @Test
    void calls_functions_and_lends_memory_until_it_is_closed() {
        MemorySegment lent;
        try (SharedLibrary libc = SharedLibrary.open("libc.so.6");
                Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom("find the z here");
            assertThat(libc.call("strlen", text.address())).isEqualTo(15);
            long found = libc.call("strchr", text.address(), 'z');
            assertThat(found - text.address()).isEqualTo(9);
            lent = libc.memory(found, 7);
            assertThat(lent.getString(0)).isEqualTo("z here");
            assertThat(lent.isReadOnly()).isTrue();
        }
        assertThat(lent.scope().isAlive()).isFalse();
    }

    @Test
    void refuses_what_is_no_library_and_functions_that_are_not_there() throws IOException {
        Path text = Files.writeString(directory.resolve("libtext.so"), "text");
        assertThatIllegalArgumentException().isThrownBy(() -> SharedLibrary.open(text));
        assertThatIllegalArgumentException().isThrownBy(() -> SharedLibrary.open("libthere-is-none.so.7"));
        try (SharedLibrary libc = SharedLibrary.open("libc.so.6")) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> libc.call("there_is_no_such_function"))
                    .withMessageContaining("there_is_no_such_function");
            assertThatIllegalArgumentException().isThrownBy(() -> libc.call("getppid", 1, 2, 3, 4, 5, 6, 7, 8));
        }
    }

    @Test
    void looks_into_the_linkers_path_first() throws IOException {
        Path mine = Files.createFile(directory.resolve("libmine.so.1"));
        assertThat(SharedLibrary.find("libmine.so.1", Map.of(), "amd64")).isEmpty();
        assertThat(SharedLibrary.find("libmine.so.1", Map.of("LD_LIBRARY_PATH", "/nowhere::" + directory), "amd64"))
                .hasValue(mine);
    }
}
