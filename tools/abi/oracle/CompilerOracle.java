import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * Asks a C compiler whether each constant of a generated package is what the vendored headers say.
 *
 * <p>Usage: {@code java CompilerOracle.java TOOLS_ABI CLASSES PACKAGE [WRONG_FIELD]}. The values come from the compiled classes,
 * the C expressions from {@code oracle/PACKAGE.txt}; both must name the same constants. {@code WRONG_FIELD}, such as
 * {@code KvmIoctls.KVM_RUN}, is given to the compiler one too high, to show that it notices. Exit status 0: all agree.
 */
public final class CompilerOracle {
    private final Path abi;
    private final List<String> complaints = new ArrayList<>();

    private CompilerOracle(Path abi) {
        this.abi = abi;
    }

    public static void main(String[] args) throws Exception {
        var oracle = new CompilerOracle(Path.of(args[0]).toRealPath());
        oracle.checkHeaders();
        oracle.check(Path.of(args[1]), args[2], args.length > 3 ? args[3] : "");
        oracle.complaints.forEach(System.out::println);
        System.exit(oracle.complaints.isEmpty() ? 0 : 1);
    }

    /** The headers must be those that the classes were generated from. */
    private void checkHeaders() throws IOException, NoSuchAlgorithmException {
        for (String line : Files.readAllLines(abi.resolve("MANIFEST"))) {
            if (line.startsWith("sha256: ")) {
                String[] entry = line.substring("sha256: ".length()).split(" +");
                byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(abi.resolve(entry[1])));
                if (!HexFormat.of().formatHex(digest).equals(entry[0])) {
                    complaints.add(entry[1] + " has changed: run tools/abi/generate");
                }
            }
        }
    }

    private void check(Path classes, String javaPackage, String wrong) throws Exception {
        List<String> lines = Files.readAllLines(abi.resolve("oracle").resolve(javaPackage + ".txt"));
        Map<String, String> expressions = new LinkedHashMap<>();
        for (String line : lines.subList(1, lines.size())) {
            String[] entry = line.split(" = ", 2);
            expressions.put(entry[0], entry[1]);
        }
        Map<String, Long> values = values(classes, javaPackage);
        var unmatched = new TreeSet<>(values.keySet());
        unmatched.removeAll(expressions.keySet());
        unmatched.forEach(name -> complaints.add(name + " has no C expression"));

        StringBuilder c = new StringBuilder("#include <linux/stddef.h>\n")
                .append("#define offsetof(type, member) __builtin_offsetof(type, member)\n")
                .append(lines.getFirst())
                .append('\n');
        expressions.forEach((name, expression) -> {
            if (!values.containsKey(name)) {
                complaints.add(name + " is not in the classes");
                return;
            }
            long value = values.get(name) + (name.equals(wrong) ? 1 : 0);
            c.append("_Static_assert((unsigned long long)(%s) == 0x%xULL, \"%s\");%n".formatted(expression, value, name));
        });
        compile(c.toString());
    }

    /** All public constants of the package's classes, by {@code Class.FIELD}. */
    private static Map<String, Long> values(Path classes, String javaPackage) throws Exception {
        Map<String, Long> values = new LinkedHashMap<>();
        List<String> names;
        try (Stream<Path> files = Files.list(classes.resolve(javaPackage.replace('.', '/')))) {
            names = files.map(file -> file.getFileName().toString())
                    .filter(file -> file.endsWith(".class") && !file.equals("package-info.class"))
                    .map(file -> file.substring(0, file.length() - ".class".length()))
                    .toList();
        }
        try (var loader = new URLClassLoader(new URL[] {classes.toUri().toURL()})) {
            for (String name : names) {
                for (Field field : loader.loadClass(javaPackage + "." + name).getFields()) {
                    if (Modifier.isStatic(field.getModifiers())) {
                        values.put(name + "." + field.getName(), field.getLong(null));
                    }
                }
            }
        }
        return values;
    }

    private void compile(String c) throws IOException, InterruptedException {
        List<String> command = List.of(
                "cc", "-fsyntax-only", "-std=gnu11", "-Werror", "-nostdinc",
                "-isystem", abi.resolve("headers").toString(),
                "-isystem", abi.resolve("shim").toString(),
                "-I", abi.toString(),
                "-x", "c", "-");
        Path source = Files.createTempFile("oracle", ".c");
        try {
            Files.writeString(source, c);
            Process cc = new ProcessBuilder(command)
                    .redirectInput(source.toFile())
                    .redirectErrorStream(true)
                    .start();
            String output = new String(cc.getInputStream().readAllBytes());
            if (cc.waitFor() != 0) {
                complaints.add(output);
            }
        } finally {
            Files.delete(source);
        }
    }
}
