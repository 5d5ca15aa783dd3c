package io.thimble.it.support;

import io.thimble.vmm.agent.CpioWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The bundled initial RAM disk with several programs: the host's, with the libraries that they need, and tests' own. */
public final class GuestPrograms {
    private static final Pattern LIBRARY = Pattern.compile("(/\\S+) \\(0x");
    private static final int ALIGNMENT = 4;

    private final Map<String, Path> files = new LinkedHashMap<>();

    /** Adds a program of the host's under its own path. */
    public GuestPrograms host(String program) {
        files.put(program, Path.of(program));
        Matcher libraries =
                LIBRARY.matcher(Commands.run(List.of("ldd", program)).output());
        while (libraries.find()) {
            files.put(String.valueOf(libraries.group(1)), Path.of(libraries.group(1)));
        }
        return this;
    }

    /** Adds {@code /bin/PROGRAM}, built from {@code src/test/c/PROGRAM.c}. */
    public GuestPrograms own(String program) throws IOException, InterruptedException {
        files.put("/bin/" + program, GuestFiles.built(program));
        return this;
    }

    /** Adds a file of the host's under a path of the caller's. */
    public GuestPrograms file(String path, Path file) {
        files.put(path, file);
        return this;
    }

    /** Writes the initial RAM disk. */
    public Path write(Path initrd) throws IOException {
        try (OutputStream out = Files.newOutputStream(initrd)) {
            long size = Files.copy(LinuxVm.initrd(), out);
            out.write(new byte[(int) (-size & (ALIGNMENT - 1))]);
            CpioWriter cpio = new CpioWriter(out);
            for (String directory : directories()) {
                cpio.directory(directory, 0755);
            }
            for (Map.Entry<String, Path> file : files.entrySet()) {
                cpio.file(file.getKey().substring(1), 0755, Files.readAllBytes(file.getValue()));
            }
            cpio.finish();
        }
        return initrd;
    }

    /** Returns all parents, each before what is in it. */
    private Set<String> directories() {
        Set<String> all = new TreeSet<>();
        for (String path : files.keySet()) {
            for (int slash = path.indexOf('/', 1); slash > 0; slash = path.indexOf('/', slash + 1)) {
                all.add(path.substring(1, slash));
            }
        }
        return all;
    }
}
