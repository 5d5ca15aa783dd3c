// The one program the agent was started for.
#ifndef THIMBLE_COMMAND_H
#define THIMBLE_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "segment.h"

enum {
    STATUS_CANNOT_RUN = 126,
    STATUS_NOT_FOUND = 127,
    STATUS_SIGNAL = 128, // + signal number
};

// Why a command could not be started.
struct failure {
    uint32_t status;     // the exit status that stands for it
    const char *subject; // what it is about
    const char *reason;
};

// Starts the command, or a login shell when there is none, in a process group of its own, in the foreground of the terminal fd, which
// is its standard input, output and error; input >= 0 is its standard input instead. fd -1 leaves all three as they are. Returns once the program is running.
// Returns its process id, or -1 with *failure filled in.
pid_t command_start(const struct segment *segment, int fd, int input, struct failure *failure);

// The exit status a shell would give for what waitpid told.
uint32_t command_status(int wait_status);

#endif
