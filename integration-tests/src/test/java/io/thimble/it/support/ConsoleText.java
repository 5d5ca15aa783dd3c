package io.thimble.it.support;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Pattern;

/** What a guest printed, kept for a test that can wait for a part of it. Thread-safe. */
public final class ConsoleText extends OutputStream {
    private static final Pattern KERNEL_LOG = Pattern.compile("^\\[ *\\d+\\.\\d{6}] .*\n", Pattern.MULTILINE);

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(); // guarded by lock

    @Override
    public void write(int b) {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] source, int offset, int length) {
        lock.lock();
        try {
            bytes.write(source, offset, length);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Returns all bytes so far. */
    public byte[] bytes() {
        lock.lock();
        try {
            return bytes.toByteArray();
        } finally {
            lock.unlock();
        }
    }

    /** Returns the text so far, with a terminal's line ends made {@code \n}. */
    public String text() {
        return new String(bytes(), StandardCharsets.UTF_8).replace("\r\n", "\n");
    }

    /** Returns the text so far without the lines of the kernel's own log, which share the console. */
    public String withoutKernelLog() {
        return KERNEL_LOG.matcher(text()).replaceAll("");
    }

    /** Waits until the text contains something; false if it does not before the deadline. */
    public boolean awaitText(String wanted, Duration deadline) throws InterruptedException {
        long left = deadline.toNanos();
        lock.lock();
        try {
            while (!text().contains(wanted)) {
                if (left <= 0) {
                    return false;
                }
                left = changed.awaitNanos(left);
            }
            return true;
        } finally {
            lock.unlock();
        }
    }

    /** Waits until so many bytes are there; false if they are not before the deadline. */
    public boolean awaitBytes(int count, Duration deadline) throws InterruptedException {
        long left = TimeUnit.NANOSECONDS.convert(deadline);
        lock.lock();
        try {
            while (bytes.size() < count) {
                if (left <= 0) {
                    return false;
                }
                left = changed.awaitNanos(left);
            }
            return true;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public String toString() {
        return text();
    }
}
