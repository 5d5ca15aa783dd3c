/** What a device and a transport know of each other (virtio 1.2, sections 2.1 to 2.5 and 3); neither knows more. */
@NullMarked
package io.thimble.virtio.device;

import org.jspecify.annotations.NullMarked;
