/** KVM's bindings against the host's {@code /dev/kvm}, with hand-assembled guests and without the VMM above them. */
@NullMarked
package io.thimble.it.bindings;

import org.jspecify.annotations.NullMarked;
