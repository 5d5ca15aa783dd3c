package io.thimble.kvm.abi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Has the host's C compiler compare every constant of this package with the vendored headers; see {@code tools/abi/oracle}. */
class CompilerOracleTest {
    private record Verdict(int status, String output) {}

    @BeforeAll
    static void needs_a_c_compiler() throws InterruptedException {
        try {
            new ProcessBuilder("cc", "--version")
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start()
                    .waitFor();
        } catch (IOException e) {
            abort("no C compiler (cc) on PATH: " + e.getMessage());
        }
    }

    @Test
    void every_constant_equals_what_the_headers_say() throws Exception {
        Verdict verdict = askCompiler();

        assertThat(verdict.output()).isEmpty();
        assertThat(verdict.status()).isZero();
    }

    @ParameterizedTest
    @ValueSource(strings = {"KvmRunLayout.OFFSETOF_IO_COUNT", "KvmIoctls.KVM_RUN", "KvmRunLayout.SIZEOF"})
    void rejects_a_constant_that_is_one_too_high(String wrong) throws Exception {
        Verdict verdict = askCompiler(wrong);

        assertThat(verdict.output()).contains("static assertion failed: \"" + wrong + "\"");
        assertThat(verdict.status()).isEqualTo(1);
    }

    private static Verdict askCompiler(String... wrong) throws Exception {
        Path abi = toolsAbi();
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                abi.resolve("oracle/CompilerOracle.java").toString(),
                abi.toString(),
                Path.of(KvmRunLayout.class
                                .getProtectionDomain()
                                .getCodeSource()
                                .getLocation()
                                .toURI())
                        .toString(),
                KvmRunLayout.class.getPackageName()));
        command.addAll(List.of(wrong));
        Process oracle = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(oracle.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Verdict(oracle.waitFor(), output);
    }

    /** Maven runs tests in the module's folder, an IDE perhaps in the checkout's. */
    private static Path toolsAbi() {
        for (Path folder = Path.of("").toAbsolutePath(); folder != null; folder = folder.getParent()) {
            Path abi = folder.resolve("tools/abi");
            if (Files.isDirectory(abi)) {
                return abi;
            }
        }
        throw new IllegalStateException("no tools/abi above " + Path.of("").toAbsolutePath());
    }
}
