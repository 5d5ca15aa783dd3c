/** Virtio devices under the guests' own drivers. */
@org.jspecify.annotations.NullMarked
package io.thimble.it.virtio;
