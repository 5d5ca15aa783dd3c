/** Kernels that nobody here built, as their makers ship them; given by {@code kvm-host/run}. */
@org.jspecify.annotations.NullMarked
package io.thimble.it.kernels;
