package io.thimble.cli.log;

import org.slf4j.ILoggerFactory;
import org.slf4j.IMarkerFactory;
import org.slf4j.helpers.BasicMarkerFactory;
import org.slf4j.helpers.NOPMDCAdapter;
import org.slf4j.spi.MDCAdapter;
import org.slf4j.spi.SLF4JServiceProvider;

/**
 * SLF4J's back end in the launcher: events go to the standard error stream if {@link #enable} was called, and nowhere
 * otherwise. There is nothing to configure and next to nothing to load, because a start must not wait for its logger.
 */
public final class StderrLogging implements SLF4JServiceProvider {
    private static volatile boolean enabled;

    private final IMarkerFactory markers = new BasicMarkerFactory();
    private final MDCAdapter mdc = new NOPMDCAdapter();
    private final ILoggerFactory loggers = StderrLogger::new;

    /** Lets events of level INFO and above through from now on. */
    public static void enable() {
        enabled = true;
    }

    static boolean isEnabled() {
        return enabled;
    }

    @Override
    public void initialize() {}

    @Override
    public ILoggerFactory getLoggerFactory() {
        return loggers;
    }

    @Override
    public IMarkerFactory getMarkerFactory() {
        return markers;
    }

    @Override
    public MDCAdapter getMDCAdapter() {
        return mdc;
    }

    @Override
    public String getRequestedApiVersion() {
        return "2.0.99";
    }
}
