/** A driver that tests steer by hand. */
@NullMarked
package io.thimble.virtio.testing;

import org.jspecify.annotations.NullMarked;
