// What only the first process of a machine does: mounts, network name, power.
#ifndef THIMBLE_SYSTEM_H
#define THIMBLE_SYSTEM_H

#include <stdbool.h>

#include "report.h"

// Mounts the kernel's file systems, makes descriptors 0-2 valid, brings up the loopback interface.
void system_prepare(void);

// Opens the terminal behind /dev/console as the session's controlling terminal (PID 1 stays its session leader: when a session
// leader ends, the kernel hangs the terminal up and throws away the output that has not left yet). Returns a descriptor.
int system_console(void);

// Writes everything back, unmounts what has a backing store or makes it read-only, then powers off or resets. Does not return.
_Noreturn void system_stop(enum stop_action action, int console);

#endif
