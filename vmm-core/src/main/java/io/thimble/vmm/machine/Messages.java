package io.thimble.vmm.machine;

/** One line of text for an exception. */
final class Messages {
    private Messages() {}

    /** Returns the exception's message, or its class where it has none. */
    static String of(Throwable failure) {
        String message = failure.getMessage();
        return message == null ? failure.getClass().getSimpleName() : message;
    }
}
