/** Fuzz targets: what reads a guest's bytes. {@code tools/fuzz} looks for inputs; the tests run those that are kept. */
package io.thimble.vmm.fuzz;
