package io.thimble.vmm.boot;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The kernel's command line: parameters between blanks, where double quotes hold a parameter with blanks together and
 * everything behind a parameter {@code --} goes to init (Documentation/admin-guide/kernel-parameters.rst). Immutable.
 */
public final class CommandLine {
    /** The longest command line that Linux on x86 keeps: {@code COMMAND_LINE_SIZE} less the zero byte. */
    public static final int MAX_LENGTH = 2047;

    private static final CommandLine EMPTY = new CommandLine("", "");
    private static final String SEPARATOR = "--";

    private final String kernelPart;
    private final String initPart;

    private CommandLine(String kernelPart, String initPart) {
        this.kernelPart = kernelPart;
        this.initPart = initPart;
    }

    /** Returns the empty command line. */
    public static CommandLine empty() {
        return EMPTY;
    }

    /**
     * Takes a command line as the user wrote it.
     *
     * @param text printable ASCII; blanks at its ends are dropped
     * @throws BootException if it has any other character; the message names it and its place
     */
    public static CommandLine parse(String text) throws BootException {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < ' ' || c > '~') {
                throw new BootException(String.format(
                        "The kernel command line may have printable ASCII only: U+%04X at position %d", (int) c, i));
            }
        }
        String stripped = text.strip();
        int at = separator(stripped);
        return at < 0
                ? new CommandLine(stripped, "")
                : new CommandLine(
                        stripped.substring(0, at).strip(),
                        stripped.substring(at + SEPARATOR.length()).strip());
    }

    /**
     * Adds parameters behind those for the kernel. Where a parameter occurs twice, Linux mostly takes the last one.
     *
     * @param text as for {@link #parse}; what follows a {@code --} in it is added to what goes to init
     */
    public CommandLine append(String text) throws BootException {
        CommandLine more = parse(text);
        return new CommandLine(join(kernelPart, more.kernelPart), join(initPart, more.initPart));
    }

    /**
     * Adds those of the given parameters that this command line does not set already, whatever their values: a user's
     * {@code console=hvc0} keeps a default {@code console=ttyS0} away. They go to the front, so that where parameters of
     * different names contradict each other - {@code quiet} and {@code loglevel=7} - Linux takes the user's.
     *
     * @param defaults as for {@link #parse}
     */
    public CommandLine withDefaults(String defaults) throws BootException {
        CommandLine more = parse(defaults);
        String added = "";
        for (String parameter : words(more.kernelPart)) {
            if (!sets(nameOf(parameter))) {
                added = join(added, parameter);
            }
        }
        return new CommandLine(join(added, kernelPart), initPart.isEmpty() ? more.initPart : initPart);
    }

    /**
     * Returns whether a kernel parameter is there, with or without a value. As for Linux, {@code -} and {@code _} are the
     * same in names.
     */
    public boolean sets(String name) {
        String wanted = name.replace('-', '_');
        return words(kernelPart).stream()
                .anyMatch(p -> nameOf(p).replace('-', '_').equals(wanted));
    }

    /**
     * Returns the bytes for guest memory, with the zero byte at the end.
     *
     * @param maxLength how many characters the kernel takes, without the zero byte
     * @throws BootException if it is longer; the message has both lengths
     */
    byte[] toBytes(int maxLength) throws BootException {
        String text = toString();
        int limit = Math.min(maxLength, BootLayout.COMMAND_LINE_SPACE - 1);
        if (text.length() > limit) {
            throw new BootException("The kernel command line has " + text.length()
                    + " characters, but this kernel takes " + limit + " at most: shorten it");
        }
        return (text + '\0').getBytes(StandardCharsets.US_ASCII);
    }

    /** Returns the command line as the kernel gets it. */
    @Override
    public String toString() {
        return initPart.isEmpty() ? kernelPart : join(kernelPart, SEPARATOR + " " + initPart);
    }

    private static String join(String a, String b) {
        return a.isEmpty() || b.isEmpty() ? a + b : a + " " + b;
    }

    private static String nameOf(String parameter) {
        int equals = parameter.indexOf('=');
        String name = equals < 0 ? parameter : parameter.substring(0, equals);
        return name.startsWith("\"") ? name.substring(1) : name;
    }

    private static int separator(String text) {
        int at = 0;
        for (String word : words(text)) {
            at = text.indexOf(word, at);
            if (word.equals(SEPARATOR)) {
                return at;
            }
            at += word.length();
        }
        return -1;
    }

    /** Splits at blanks outside double quotes; the quotes stay. */
    private static List<String> words(String text) {
        List<String> words = new ArrayList<>();
        boolean quoted = false;
        int start = 0;
        for (int i = 0; i <= text.length(); i++) {
            boolean atEnd = i == text.length();
            if (!atEnd && text.charAt(i) == '"') {
                quoted = !quoted;
            }
            if (atEnd || (!quoted && text.charAt(i) == ' ')) {
                if (i > start) {
                    words.add(text.substring(start, i));
                }
                start = i + 1;
            }
        }
        return words;
    }
}
