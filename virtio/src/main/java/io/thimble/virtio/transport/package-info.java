/** How a driver finds and steers a device (virtio 1.2, sections 2.1, 3.1 and 4). */
@NullMarked
package io.thimble.virtio.transport;

import org.jspecify.annotations.NullMarked;
