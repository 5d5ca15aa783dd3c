/** The memory balloon device (virtio 1.2, section 5.5): a guest gives memory back to its host. */
@NullMarked
package io.thimble.virtio.balloon;

import org.jspecify.annotations.NullMarked;
