/** What the Maven build runs to assemble the guest; not part of the jar. */
package io.thimble.guest.build;
