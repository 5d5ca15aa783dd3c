package io.thimble.vmm.agent;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What the agent is to run, as a cpio archive that is appended to the initial RAM disk: files below {@code /.thimble}.
 * Strings travel as they are, each ended by a NUL, so nothing is quoted and nothing is cut; what {@code execve} does not
 * take (6 MiB in all, 128 KiB each) the agent refuses with status 126.
 *
 * <p>Append {@link #toBytes()} at a multiple of 4 bytes: pad the RAM disk with zeros before it. This works behind a plain
 * archive and behind a compressed one.
 *
 * @param command program and arguments; empty for an interactive shell on the console
 * @param environment variables that come on top of the agent's own (PATH, HOME, TERM and the like)
 * @param hostname the guest's name, or null for the agent's default
 * @param directory where the command starts, or null for the root directory
 * @param controlDevice the guest's device for the control channel, or null for {@code /dev/ttyS1}
 * @param stream whether the console is a stream for programs, not a terminal for people
 * @param rows of the console's terminal, 0 if unknown
 * @param columns of the console's terminal, 0 if unknown
 * @param session where the agent connects to with the command's streams ({@code vsock:PORT}), or null for the console
 * @param idle whether nothing runs, no shell either: the agent waits for requests
 */
public record CommandSegment(
        List<String> command,
        Map<String, String> environment,
        @Nullable String hostname,
        @Nullable String directory,
        @Nullable String controlDevice,
        boolean stream,
        int rows,
        int columns,
        @Nullable String session,
        boolean idle) {

    private static final String FOLDER = ".thimble";
    private static final int MAX_HOSTNAME = 64; // __NEW_UTS_LEN
    private static final int PRIVATE_FILE = 0600;
    private static final int PRIVATE_FOLDER = 0700;

    /**
     * Checks everything that could not be handed over.
     *
     * @throws IllegalArgumentException if a string holds a NUL or an unpaired surrogate, the program is empty, a variable's name is
     *     empty or holds {@code =}, the host name is empty or longer than 64 bytes, or the window is out of range
     */
    public CommandSegment {
        command = List.copyOf(command);
        environment = Map.copyOf(environment);
        command.forEach(argument -> checked("argument", argument));
        if (!command.isEmpty() && command.getFirst().isEmpty()) {
            throw new IllegalArgumentException("the command's program is empty");
        }
        environment.forEach((name, value) -> {
            if (name.isEmpty() || name.indexOf('=') >= 0) {
                throw new IllegalArgumentException("\"" + name + "\" is no name of an environment variable");
            }
            checked("environment variable", name);
            checked("environment variable " + name, value);
        });
        if (hostname != null && (hostname.isEmpty() || checked("host name", hostname).length > MAX_HOSTNAME)) {
            throw new IllegalArgumentException("a host name has 1 to " + MAX_HOSTNAME + " bytes");
        }
        if (directory != null) {
            checked("directory", directory);
        }
        if (controlDevice != null) {
            checked("control device", controlDevice);
        }
        if (session != null) {
            checked("session", session);
        }
        if (rows < 0 || rows > 0xFFFF || columns < 0 || columns > 0xFFFF) {
            throw new IllegalArgumentException(
                    "a terminal of " + rows + " rows and " + columns + " columns is out of range");
        }
    }

    /** Runs {@code command} with the agent's defaults. */
    public static CommandSegment of(List<String> command) {
        return new CommandSegment(command, Map.of(), null, null, null, false, 0, 0, null, false);
    }

    /** Returns the archive; its length is a multiple of 4. */
    public byte[] toBytes() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            CpioWriter cpio = new CpioWriter(bytes).directory(FOLDER, PRIVATE_FOLDER);
            file(cpio, "argv", strings(command));
            List<String> variables = new ArrayList<>();
            environment.forEach((name, value) -> variables.add(name + "=" + value));
            variables.sort(null);
            file(cpio, "env", strings(variables));
            file(cpio, "hostname", text(hostname));
            file(cpio, "cwd", text(directory));
            file(cpio, "control", text(controlDevice));
            file(cpio, "console", text(stream ? "stream" : null));
            file(cpio, "winsize", text(rows > 0 && columns > 0 ? rows + " " + columns : null));
            file(cpio, "session", text(session));
            file(cpio, "idle", text(idle ? "yes" : null));
            cpio.finish();
        } catch (IOException e) {
            throw new UncheckedIOException("a byte array cannot fail", e);
        }
        return bytes.toByteArray();
    }

    private static void file(CpioWriter cpio, String name, byte[] content) throws IOException {
        if (content.length > 0) {
            cpio.file(FOLDER + "/" + name, PRIVATE_FILE, content);
        }
    }

    private static byte[] strings(List<String> list) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (String string : list) {
            bytes.writeBytes(text(string));
            bytes.write(0);
        }
        return bytes.toByteArray();
    }

    private static byte[] text(@Nullable String text) {
        return text == null ? new byte[0] : text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] checked(String what, String text) {
        if (text.indexOf('\0') >= 0) {
            throw new IllegalArgumentException(what + " holds a NUL character");
        }
        try {
            ByteBuffer encoded = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
            byte[] bytes = new byte[encoded.remaining()];
            encoded.get(bytes);
            return bytes;
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException(what + " is no valid Unicode text", e);
        }
    }
}
