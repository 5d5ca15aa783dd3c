package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EscapeInputTest {
    /** {@code ]} stands for Ctrl-]. */
    @ParameterizedTest
    @CsvSource({
        "abc, abc, 0",
        "a]]b, a]b, 0",
        "a]bc, abc, 0",
        "ab]xcd, ab, 1",
        "]X, '', 1",
        "a]]xb, a]xb, 0",
        "]]]x, ], 1",
        "ab], ab, 0"
    })
    void lets_keys_through_and_ends_the_VM_on_the_escape_however_they_arrive(String keys, String passed, int ends)
            throws IOException {
        for (int piece = 1; piece <= 4; piece++) {
            AtomicInteger ended = new AtomicInteger();
            EscapeInput input = new EscapeInput(new Pieces(typed(keys), piece), ended::incrementAndGet);
            StringBuilder got = new StringBuilder();
            byte[] some = new byte[3];
            for (int n = input.read(some, 0, 3); n >= 0 && ended.get() == 0; n = input.read(some, 0, 3)) {
                got.append(new String(some, 0, n, StandardCharsets.ISO_8859_1));
            }
            String whole = got.toString().replace((char) EscapeInput.ESCAPE, ']');
            assertThat(ended).as("pieces of %d", piece).hasValue(ends);
            assertThat(ends == 0 ? whole : passed).as("pieces of %d", piece).startsWith(whole);
            if (ends == 0) {
                assertThat(whole).isEqualTo(passed);
            }
        }
    }

    private static byte[] typed(String keys) {
        return keys.replace(']', (char) EscapeInput.ESCAPE).getBytes(StandardCharsets.ISO_8859_1);
    }

    /** Gives at most so many bytes at once. */
    private static final class Pieces extends ByteArrayInputStream {
        private final int most;

        Pieces(byte[] bytes, int most) {
            super(bytes);
            this.most = most;
        }

        @Override
        public int read(byte[] target, int offset, int length) {
            return super.read(target, offset, Math.min(length, most));
        }
    }
}
