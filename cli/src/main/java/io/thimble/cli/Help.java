package io.thimble.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Properties;

/** The launcher's texts. */
final class Help {
    private Help() {}

    static String overview() {
        return """
                usage: ./thimble run [OPTION]... [--] [COMMAND [ARGUMENT]...]
                       ./thimble doctor
                       ./thimble --help | --version
                """;
    }

    static String all() {
        return overview() + resource("help.txt");
    }

    static String version() {
        Properties properties = new Properties();
        try (InputStream in = open("version.properties")) {
            properties.load(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return "thimble " + properties.getProperty("version") + System.lineSeparator();
    }

    private static String resource(String name) {
        try (InputStream in = open(name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static InputStream open(String name) {
        InputStream in = Help.class.getResourceAsStream(name);
        if (in == null) {
            throw new IllegalStateException("the launcher's jar lacks " + name);
        }
        return in;
    }
}
