/**
 * Jazzer's targets: in an ordinary test run each gets its committed inputs ({@code src/test/resources}), and
 * {@code tools/fuzz} looks for new ones.
 */
@NullMarked
package io.thimble.virtio.fuzz;

import org.jspecify.annotations.NullMarked;
