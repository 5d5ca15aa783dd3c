package io.thimble.vmm.guest;

/** Text of the guest's that ends up in messages, logs and on terminals. */
public final class GuestText {
    /** The most bytes of it that are shown. */
    static final int MAX = 1024;

    private GuestText() {}

    /** Returns the text without line breaks, escape sequences and invisible characters: each is a question mark. */
    public static String printable(String text) {
        StringBuilder safe = new StringBuilder(text.length());
        text.codePoints().forEach(c -> {
            int type = Character.getType(c);
            boolean hidden = Character.isISOControl(c)
                    || type == Character.FORMAT
                    || type == Character.LINE_SEPARATOR
                    || type == Character.PARAGRAPH_SEPARATOR
                    || type == Character.UNASSIGNED;
            safe.appendCodePoint(hidden ? '?' : c);
        });
        return safe.toString();
    }
}
