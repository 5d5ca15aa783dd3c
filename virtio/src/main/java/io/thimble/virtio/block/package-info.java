/** The block device (virtio 1.2, section 5.2) over files and block devices of the host. */
@NullMarked
package io.thimble.virtio.block;

import org.jspecify.annotations.NullMarked;
