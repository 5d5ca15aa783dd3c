/** One program a class; each class's Javadoc says how to run it. */
package io.thimble.examples;
