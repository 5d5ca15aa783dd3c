/** The entropy device (virtio 1.2, section 5.4). */
@NullMarked
package io.thimble.virtio.rng;

import org.jspecify.annotations.NullMarked;
