package io.thimble.memory;

/** Placeholder. */
public final class X {
    private X() {}
}
