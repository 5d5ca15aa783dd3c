/** Measurements side by side with peers; {@code benchmarks/README.md} has the commands and the figures. */
package io.thimble.benchmarks;
