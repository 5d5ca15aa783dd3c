import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.GroupLayout;
import java.net.URLClassLoader;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.ToolProvider;

/** Runs jextract over one C file and reads what it wrote: numbers from its source text, layouts from its compiled classes. */
final class Jextract implements AutoCloseable {
    /** The package of the intermediate classes, never seen outside the work folder. */
    static final String PACKAGE = "extracted";

    /** Begins the names of the macros that {@link #probe} adds. */
    private static final String EXACT = "thimble_exact_";

    private static final Pattern INCLUDE =
            Pattern.compile("--include-(constant|struct|union|typedef) (\\S+)\\s+# header: (.*)");
    private static final Pattern CONSTANT = Pattern.compile(
            "(?m)^    private static final (?:byte|short|int|long) (\\w+) = (?:\\(\\w+\\))?(-?\\d+)L?;\n"
                    + "    /\\*\\*\n     \\* \\{@snippet lang=c :\n     \\* (.*)\n");
    private static final Pattern DECLARATION =
            Pattern.compile("(?s)/\\*\\*\n \\* \\{@snippet lang=c :\n(.*?)\n \\* }\n \\*/\npublic class ");

    /**
     * A macro or an enumerator.
     *
     * @param value as C has it; beyond 2^63-1 the same 64 bits
     * @param text jextract's description of it
     */
    record Constant(String name, String header, long value, String text) {}

    /** A struct or union that has a name in C. */
    record Struct(String name, String header, List<String> declaration, GroupLayout layout) {}

    final List<Constant> constants = new ArrayList<>();
    final List<Struct> structs = new ArrayList<>();
    private final URLClassLoader classes;

    Jextract(Path abi, Path work, String top) throws IOException, InterruptedException {
        Files.write(work.resolve("compile_flags.txt"), flags(abi));
        String header = abi.resolve(top).toString();
        Path includes = work.resolve("includes.txt");
        Path sources = work.resolve("sources");
        run(work, "jextract", "--dump-includes", includes.toString(), header);
        Path probe = work.resolve("probe.h");
        Files.write(probe, probe(header, includes));
        run(work, "jextract", "--output", sources.toString(), "--target-package", PACKAGE, probe.toString());
        Path compiled = Files.createDirectory(work.resolve("classes"));
        List<Path> files;
        try (Stream<Path> found = Files.list(sources.resolve(PACKAGE))) {
            files = found.sorted().toList();
        }
        compile(files, compiled);
        classes = new URLClassLoader(new URL[] {compiled.toUri().toURL()}, null);
        read(abi.resolve("headers"), includes, files, sources.resolve(PACKAGE));
    }

    /** The compiler flags that hide every header of the host; one a line in {@code compile_flags.txt}. */
    static List<String> flags(Path abi) {
        return List.of(
                "-nostdinc",
                "-isystem",
                abi.resolve("headers").toString(),
                "-isystem",
                abi.resolve("shim").toString());
    }

    /** What {@code jextract --version} says of itself and of libclang; the JDK it runs on does not matter here. */
    static List<String> version() throws IOException, InterruptedException {
        return run(Path.of("."), "jextract", "--version").lines()
                .filter(line -> !line.startsWith("JDK"))
                .toList();
    }

    /**
     * The header again, and each constant once more as a {@code long long}: jextract tells an unsigned enumerator of 2^31
     * or more as a negative number, and only C knows which is meant.
     */
    private static List<String> probe(String header, Path includes) throws IOException {
        List<String> lines = new ArrayList<>(List.of("#include \"" + header + "\""));
        for (String line : Files.readAllLines(includes)) {
            Matcher include = INCLUDE.matcher(line);
            if (include.matches() && include.group(1).equals("constant")) {
                lines.add("#define %s%s ((long long)(%2$s))".formatted(EXACT, include.group(2)));
            }
        }
        return lines;
    }

    private static String run(Path directory, String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command)
                .directory(directory.toFile())
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes());
        if (process.waitFor() != 0) {
            throw new IOException(String.join(" ", command) + " failed:\n" + output);
        }
        return output;
    }

    private static void compile(List<Path> files, Path compiled) throws IOException {
        var compiler = ToolProvider.getSystemJavaCompiler();
        try (var manager = compiler.getStandardFileManager(null, null, null)) {
            List<String> options = List.of("-nowarn", "-proc:none", "-d", compiled.toString());
            File[] sources = files.stream().map(Path::toFile).toArray(File[]::new);
            if (!compiler.getTask(null, manager, null, options, null, manager.getJavaFileObjects(sources))
                    .call()) {
                throw new IOException("jextract's classes do not compile");
            }
        }
    }

    private void read(Path headers, Path includes, List<Path> files, Path sources) throws IOException {
        Map<String, MatchResult> numbers = new HashMap<>();
        for (Path file : files) {
            CONSTANT.matcher(Files.readString(file)).results().forEach(found -> numbers.put(found.group(1), found));
        }
        Map<String, String> structHeaders = new LinkedHashMap<>();
        for (String line : Files.readAllLines(includes)) {
            Matcher include = INCLUDE.matcher(line);
            if (!include.matches() || !Path.of(include.group(3)).startsWith(headers)) {
                continue;
            }
            String name = include.group(2);
            String header = headers.relativize(Path.of(include.group(3))).toString();
            if (!include.group(1).equals("constant")) {
                structHeaders.put(name, header);
            } else if (numbers.containsKey(name) && numbers.containsKey(EXACT + name)) {
                constants.add(new Constant(
                        name,
                        header,
                        Long.parseLong(numbers.get(EXACT + name).group(2)),
                        numbers.get(name).group(3)));
            }
        }
        for (var entry : structHeaders.entrySet()) {
            Path source = sources.resolve(entry.getKey() + ".java");
            Matcher declaration = DECLARATION.matcher(Files.exists(source) ? Files.readString(source) : "");
            if (declaration.find()) {
                List<String> lines = declaration.group(1).lines()
                        .map(line -> line.substring(3))
                        .toList();
                structs.add(new Struct(entry.getKey(), entry.getValue(), lines, layout(entry.getKey())));
            }
        }
    }

    private GroupLayout layout(String name) {
        try {
            return (GroupLayout) classes.loadClass(PACKAGE + "." + name)
                    .getMethod("layout")
                    .invoke(null);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("jextract's class of " + name, e);
        }
    }

    @Override
    public void close() {
        try {
            classes.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
