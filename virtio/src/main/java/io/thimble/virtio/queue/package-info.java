/**
 * The device's side of virtqueues (virtio 1.2, sections 2.6 to 2.8) as functions over guest memory: no threads, no system
 * calls, no knowledge of devices or transports.
 */
@NullMarked
package io.thimble.virtio.queue;

import org.jspecify.annotations.NullMarked;
