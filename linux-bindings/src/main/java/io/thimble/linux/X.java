package io.thimble.linux;

/** Placeholder. */
public final class X {
    private X() {}
}
