/** What the launcher does with log events. */
package io.thimble.cli.log;
