package io.thimble.vmm;

/** Placeholder. */
public final class X {
    private X() {}
}
