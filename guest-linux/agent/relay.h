// Passes what arrives on the console to the command's standard input, a pipe: so that it has an end, which a terminal has not.
#ifndef THIMBLE_RELAY_H
#define THIMBLE_RELAY_H

#include <poll.h>
#include <stdint.h>

// Makes the console a plain stream of bytes (raw) and the pipe. Returns the end that the command reads,
// or -1.
int relay_open(int console);

// Fills *fd with what to wait for; its descriptor is -1 when there is nothing.
void relay_poll(struct pollfd *fd);

// Moves what can be moved.
void relay_run(const struct pollfd *fd);

// The console carries this many bytes of input in all: the pipe ends behind them.
void relay_end(uint64_t bytes);

#endif
