/** What integration tests share: guest programs written by hand, captured consoles, counts of what the host holds. */
@org.jspecify.annotations.NullMarked
package io.thimble.it.support;
