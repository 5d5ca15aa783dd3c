// A program's life on a connection: its streams, signals and exit status as frames. Specification: docs/agent.md.
#ifndef THIMBLE_SESSION_H
#define THIMBLE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "wire.h"

struct session {
    struct wire *wire;      // what the host has sent so far; its descriptor is the connection
    struct program program; // stdio and terminal are set here
    bool connecting;        // the connection is being made still
    bool has_terminal;
    bool merged; // standard error goes where standard output goes
    bool is_init; // TERM goes to all processes without our help
    uint16_t rows, columns; // 0 = unknown
    int report; // -1, or where to tell how the start went: closed when the program runs, else a session_report before
};

struct session_report {
    uint32_t status;
    char subject[256];
    char reason[128];
};

// Runs the program until it has ended, its output has been passed on and the host has closed. When the connection is lost before, the
// program's group is killed. Returns the program's exit status. Makes this process a session leader when there is a terminal.
uint32_t session_run(struct session *session);

#endif
