/** What the tests of all devices share. */
@NullMarked
package io.thimble.virtio;

import org.jspecify.annotations.NullMarked;
