/** The launcher: its command line, the {@code run} command, its exit statuses. */
package io.thimble.cli;
