package io.thimble.vmm.legacy;

import java.util.List;

/**
 * An AT keyboard behind the i8042: command replies and the three keys of Ctrl-Alt-Del, scan code set 2 (IBM PS/2
 * Technical Reference, keyboards; commands as Linux's {@code include/linux/libps2.h} and {@code atkbd.c} send them).
 * Not thread-safe: the controller locks.
 */
public final class AtKeyboard {
    private static final int CMD_SETLEDS = 0xed;
    private static final int CMD_ECHO = 0xee;
    private static final int CMD_SCANSET = 0xf0;
    private static final int CMD_GETID = 0xf2;
    private static final int CMD_SETREP = 0xf3;
    private static final int CMD_ENABLE = 0xf4;
    private static final int CMD_RESET_DIS = 0xf5;
    private static final int CMD_RESET_DEF = 0xf6;
    private static final int CMD_RESEND = 0xfe;
    private static final int CMD_RESET_BAT = 0xff;
    private static final int RET_ACK = 0xfa;
    private static final int RET_BAT = 0xaa;
    private static final int RET_NAK = 0xfe;
    private static final int ID_FIRST = 0xab;
    private static final int ID_SECOND = 0x83;
    /** What the controller's translation makes of {@link #ID_SECOND}. */
    private static final int ID_SECOND_TRANSLATED = 0x41;

    private static final int SET_2 = 2;
    private static final int NONE = -1;
    private static final int REPLIES = 16;
    private static final int SCAN_CODES = 16;

    /** Ctrl, Alt, Del (extended) down, then Del, Alt, Ctrl up, as the keyboard sends it in set 2. */
    private static final byte[] CTRL_ALT_DEL_SET_2 = {
        0x14, 0x11, (byte) 0xe0, 0x71, (byte) 0xe0, (byte) 0xf0, 0x71, (byte) 0xf0, 0x11, (byte) 0xf0, 0x14
    };

    /** The same translated to set 1, in which bit 7 is the release. */
    private static final byte[] CTRL_ALT_DEL_SET_1 = {
        0x1d, 0x38, (byte) 0xe0, 0x53, (byte) 0xe0, (byte) 0xd3, (byte) 0xb8, (byte) 0x9d
    };

    /** Answers to commands; they go ahead of scan codes. */
    private final ByteRing replies = new ByteRing(REPLIES);

    private final ByteRing scanCodes = new ByteRing(SCAN_CODES);
    private int commandPending = NONE;
    private int lastByte = RET_ACK;
    private boolean scanning;

    AtKeyboard() {}

    boolean hasByte() {
        return !replies.isEmpty() || !scanCodes.isEmpty();
    }

    int takeByte() {
        lastByte = (replies.isEmpty() ? scanCodes : replies).take() & 0xff;
        return lastByte;
    }

    /** Types the keys, all or none. Returns false if scanning is off or the buffer has no room. */
    boolean pressCtrlAltDel(boolean translate) {
        byte[] codes = translate ? CTRL_ALT_DEL_SET_1 : CTRL_ALT_DEL_SET_2;
        if (!scanning || scanCodes.capacity() - scanCodes.size() < codes.length) {
            return false;
        }
        scanCodes.put(codes, 0, codes.length);
        return true;
    }

    /** Takes a byte from the controller: a command, or the parameter of the one before. */
    void command(int value, boolean translate) {
        int command = commandPending;
        commandPending = NONE;
        switch (command) {
            case CMD_SETLEDS, CMD_SETREP -> reply(RET_ACK);
            case CMD_SCANSET -> selectSet(value);
            default -> start(value, translate);
        }
    }

    private void start(int value, boolean translate) {
        switch (value) {
            case CMD_SETLEDS, CMD_SETREP, CMD_SCANSET -> {
                commandPending = value;
                reply(RET_ACK);
            }
            case CMD_ECHO -> reply(CMD_ECHO);
            case CMD_GETID -> {
                reply(RET_ACK);
                reply(ID_FIRST);
                reply(translate ? ID_SECOND_TRANSLATED : ID_SECOND);
            }
            case CMD_ENABLE -> {
                scanning = true;
                reply(RET_ACK);
            }
            case CMD_RESET_DIS -> {
                scanning = false;
                scanCodes.clear();
                reply(RET_ACK);
            }
            case CMD_RESET_DEF -> {
                scanCodes.clear();
                reply(RET_ACK);
            }
            case CMD_RESET_BAT -> {
                scanning = true;
                replies.clear();
                scanCodes.clear();
                reply(RET_ACK);
                reply(RET_BAT);
            }
            case CMD_RESEND -> reply(lastByte);
            default -> reply(RET_NAK);
        }
    }

    /** Scan code set 2 is the only one; parameter 0 asks which it is. */
    private void selectSet(int set) {
        if (set == 0) {
            reply(RET_ACK);
            reply(SET_2);
        } else {
            reply(set == SET_2 ? RET_ACK : RET_NAK);
        }
    }

    /** Queues an answer. A guest that reads none of them loses the newest. */
    private void reply(int value) {
        if (!replies.isFull()) {
            replies.put((byte) value);
        }
    }

    State state() {
        return new State(replies.toList(), scanCodes.toList(), commandPending, lastByte, scanning);
    }

    void restore(State state) {
        replies.replace(state.replies);
        scanCodes.replace(state.scanCodes);
        commandPending = state.commandPending;
        lastByte = state.lastByte & 0xff;
        scanning = state.scanning;
    }

    /**
     * What the guest can see of the keyboard.
     *
     * @param replies unread answers, oldest first
     * @param scanCodes unread scan codes, oldest first
     * @param commandPending the command that waits for its parameter, or -1
     * @param lastByte what a resend sends
     * @param scanning whether keys are reported
     */
    public record State(
            List<Integer> replies, List<Integer> scanCodes, int commandPending, int lastByte, boolean scanning) {
        /** Copies the lists. */
        public State {
            replies = List.copyOf(replies);
            scanCodes = List.copyOf(scanCodes);
        }
    }
}
