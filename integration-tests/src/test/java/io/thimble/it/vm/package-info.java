/** Virtual machines through the public API, on the host's {@code /dev/kvm}. */
@org.jspecify.annotations.NullMarked
package io.thimble.it.vm;
