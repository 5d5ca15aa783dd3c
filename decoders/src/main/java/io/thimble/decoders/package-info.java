/** One class a format; nothing of a library is loaded before its format is met. */
package io.thimble.decoders;
