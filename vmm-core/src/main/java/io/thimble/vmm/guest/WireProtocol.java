package io.thimble.vmm.guest;

/** Numbers of the agent's connections ({@code docs/agent.md}; {@code guest-linux/agent/wire.h} holds the same). */
final class WireProtocol {
    /** Length u24 and type u8, little endian. */
    static final int HEADER = 4;

    static final int MAX_PAYLOAD = 65536;
    static final int MAGIC = 0x4C424D54;
    static final int VERSION = 1;

    /** Bytes of each stream that may be on the way before there is credit. */
    static final int WINDOW = 262144;

    /** Credit is given in steps of at least so many bytes. */
    static final int CREDIT_STEP = WINDOW / 4;

    /** All arguments, and all variables, each with a NUL. */
    static final int MAX_STRINGS = 8 << 20;

    static final int MAX_PATH = 4095;
    static final int MAX_NAME = 255;
    static final int MAX_DEPTH = 256;

    static final int EXEC = 1;
    static final int COPY_IN = 2;
    static final int COPY_OUT = 3;
    static final int GET_STATUS = 4;

    // Host to guest.
    static final int OPEN = 0x01;
    static final int ARGUMENTS = 0x10;
    static final int ENVIRONMENT = 0x11;
    static final int DIRECTORY = 0x12;
    static final int USER = 0x13;
    static final int TERMINAL = 0x14;
    static final int START = 0x15;
    static final int STDIN = 0x20;
    static final int STDIN_END = 0x21;
    static final int CREDIT = 0x22;
    static final int SIGNAL = 0x23;
    static final int WINDOW_SIZE = 0x24;

    // Either way: trees of files.
    static final int PATH = 0x40;
    static final int FILE = 0x41;
    static final int FOLDER = 0x42;
    static final int LINK = 0x43;
    static final int DATA = 0x44;
    static final int HOLE = 0x45;
    static final int UP = 0x46;
    static final int DONE = 0x47;

    // Guest to host.
    static final int ERROR = 0x81;
    static final int STARTED = 0x82;
    static final int STDOUT = 0x83;
    static final int STDERR = 0x84;
    static final int STDOUT_END = 0x85;
    static final int STDERR_END = 0x86;
    static final int EXIT = 0x87;
    static final int STDIN_CREDIT = 0x88;
    static final int STDIN_CLOSED = 0x89;
    static final int END = 0x8A;
    static final int STATUS = 0x90;

    /** Flag of START: standard error goes where standard output goes. */
    static final int START_MERGED = 1;

    /** FILE, FOLDER and LINK: mode u16, 0 u16, nanoseconds u32, seconds s64; then the name. */
    static final int ENTRY = 16;

    private WireProtocol() {}
}
