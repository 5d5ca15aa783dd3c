// Operation exec: a request of the host for a program. Specification: docs/agent.md.
#ifndef THIMBLE_EXEC_H
#define THIMBLE_EXEC_H

#include <stdbool.h>

#include "wire.h"

// Reads the request behind OPEN, runs the program and ends with the connection.
void exec_serve(struct wire *wire, bool is_init);

#endif
