/** The bundled guest, unpacked on first use into a cache directory. */
package io.thimble.guest;
