/** What a provider of bundled guests implements. */
package io.thimble.vmm.spi;
