/** {@code thimble doctor}: what this host can do, and what to do about the rest. */
package io.thimble.cli.doctor;
