/** {@code ./thimble} as a process of its own. */
package io.thimble.it.cli;
