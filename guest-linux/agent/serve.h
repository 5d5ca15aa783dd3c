// Connections with the host: who listens, who answers. Specification: docs/agent.md.
#ifndef THIMBLE_SERVE_H
#define THIMBLE_SERVE_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#include "command.h"
#include "session.h"

// Listens at an address, "vsock:PORT" or "unix:PATH". False (with errno) when that cannot be.
bool serve_open(const char *address);

// Begins to connect to an address, without waiting. -1 (with errno) when nobody can be there.
int serve_connect(const char *address, bool *connecting);

// Fills *fd with what to wait for; its descriptor is -1 when there is nothing.
void serve_poll(struct pollfd *fd);

// Takes a connection, each in a process of its own.
void serve_run(const struct pollfd *fd, bool is_init);

// Runs a program in a process of its own that serves a connection. Returns that process, or -1 with *failure filled in; the
// process ends with the program's exit status.
pid_t serve_program(struct session *session, int connection, struct failure *failure);

// Tells that a process has ended, which may be one of these.
void serve_reaped(pid_t pid);

// Signals the processes that serve.
void serve_signal(int number);

#endif
