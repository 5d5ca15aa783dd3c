package io.thimble.vmm.guest;

import static io.thimble.vmm.guest.WireProtocol.*;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A program that is to run in the guest.
 *
 * @param command program and arguments
 * @param environment on top of PATH, HOME, USER, LOGNAME, SHELL, and TERM on a terminal
 * @param directory where it starts; null for the root directory
 * @param user as whom it runs, {@code USER} or {@code USER:GROUP}, names or numbers; null for root
 * @param terminal whether its streams are a terminal
 * @param rows of that, 0 if unknown
 * @param columns of that, 0 if unknown
 * @param merged whether standard error goes where standard output goes
 */
public record ExecRequest(
        List<String> command,
        Map<String, String> environment,
        @Nullable String directory,
        @Nullable String user,
        boolean terminal,
        int rows,
        int columns,
        boolean merged) {
    private static final int MAX_USER = 255;

    /**
     * Checks everything that could not be handed over.
     *
     * @throws IllegalArgumentException naming what is wrong
     */
    public ExecRequest {
        command = List.copyOf(command);
        environment = Map.copyOf(environment);
        if (command.isEmpty() || command.getFirst().isEmpty()) {
            throw new IllegalArgumentException("no program is named");
        }
        environment.keySet().forEach(name -> {
            if (name.isEmpty() || name.indexOf('=') >= 0) {
                throw new IllegalArgumentException("\"" + name + "\" is no name of an environment variable");
            }
        });
        if (rows < 0 || rows > 0xFFFF || columns < 0 || columns > 0xFFFF) {
            throw new IllegalArgumentException(
                    "a terminal of " + rows + " rows and " + columns + " columns is out of range");
        }
        bounded("the arguments", strings(command), MAX_STRINGS);
        bounded("the environment", strings(variables(environment)), MAX_STRINGS);
        if (directory != null) {
            path("directory", directory);
        }
        if (user != null) {
            bounded("the user", text("user", user), MAX_USER);
        }
    }

    /** Runs {@code command} as root, on pipes. */
    public static ExecRequest of(String... command) {
        return new ExecRequest(List.of(command), Map.of(), null, null, false, 0, 0, false);
    }

    /** Sends the request, OPEN included. */
    void send(WireWriter writer) throws IOException {
        writer.open(EXEC);
        writer.sendAll(ARGUMENTS, strings(command));
        writer.sendAll(WireProtocol.ENVIRONMENT, strings(variables(environment)));
        if (directory != null) {
            writer.send(DIRECTORY, text("directory", directory));
        }
        if (user != null) {
            writer.send(USER, text("user", user));
        }
        if (terminal) {
            writer.send(TERMINAL, windowSize(rows, columns));
        }
        writer.send(START, new byte[] {(byte) (merged ? START_MERGED : 0)});
    }

    static ByteBuffer windowSize(int rows, int columns) {
        return ByteBuffer.allocate(4)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putShort((short) rows)
                .putShort((short) columns)
                .flip();
    }

    /** Returns the bytes of a path in the guest: 1 to 4095, without NUL. */
    static byte[] path(String what, String path) {
        byte[] bytes = bounded(what + " \"" + path + "\"", text(what, path), MAX_PATH);
        if (bytes.length == 0) {
            throw new IllegalArgumentException(what + " is empty");
        }
        return bytes;
    }

    private static List<String> variables(Map<String, String> environment) {
        List<String> variables = new ArrayList<>();
        environment.forEach((name, value) -> variables.add(name + "=" + value));
        variables.sort(null);
        return variables;
    }

    private static byte[] strings(List<String> list) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (String string : list) {
            bytes.writeBytes(text("argument or variable", string));
            bytes.write(0);
        }
        return bytes.toByteArray();
    }

    private static byte[] bounded(String what, byte[] bytes, int most) {
        if (bytes.length > most) {
            throw new IllegalArgumentException(what + ": " + bytes.length + " bytes are too long, at most " + most);
        }
        return bytes;
    }

    static byte[] text(String what, String text) {
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
