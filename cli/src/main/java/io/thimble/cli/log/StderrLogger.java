package io.thimble.cli.log;

import java.io.Serial;
import org.jspecify.annotations.Nullable;
import org.slf4j.Marker;
import org.slf4j.event.Level;
import org.slf4j.helpers.LegacyAbstractLogger;
import org.slf4j.helpers.MessageFormatter;

/** Writes one line an event. Any thread. */
final class StderrLogger extends LegacyAbstractLogger {
    @Serial
    private static final long serialVersionUID = 1;

    StderrLogger(String name) {
        this.name = name;
    }

    @Override
    protected void handleNormalizedLoggingCall(
            Level level,
            @Nullable Marker marker,
            String messagePattern,
            Object @Nullable [] arguments,
            @Nullable Throwable throwable) {
        System.err.println("thimble: " + level + " " + name.substring(name.lastIndexOf('.') + 1) + ": "
                + MessageFormatter.basicArrayFormat(messagePattern, arguments));
        if (throwable != null) {
            throwable.printStackTrace();
        }
    }

    @Override
    protected @Nullable String getFullyQualifiedCallerName() {
        return null;
    }

    @Override
    public boolean isTraceEnabled() {
        return false;
    }

    @Override
    public boolean isDebugEnabled() {
        return false;
    }

    @Override
    public boolean isInfoEnabled() {
        return StderrLogging.isEnabled();
    }

    @Override
    public boolean isWarnEnabled() {
        return StderrLogging.isEnabled();
    }

    @Override
    public boolean isErrorEnabled() {
        return StderrLogging.isEnabled();
    }
}
