/** The console device (virtio 1.2, section 5.3): a console, and any number of named ports. */
@NullMarked
package io.thimble.virtio.console;

import org.jspecify.annotations.NullMarked;
