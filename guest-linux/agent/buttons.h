// The power button and Ctrl-Alt-Del, as the kernel's input devices tell them. (A kernel without virtual terminals does not turn
// Ctrl-Alt-Del into a signal for PID 1; one with them does, and then both arrive.)
#ifndef THIMBLE_BUTTONS_H
#define THIMBLE_BUTTONS_H

#include <poll.h>
#include <stdbool.h>

#include "report.h"

enum { BUTTONS_MAX_FDS = 9 };

typedef void button_handler(enum stop_action action, enum stop_cause cause);

// Opens the devices that exist and watches for those that come later (the kernel probes a keyboard after starting init).
void buttons_open(void);

// Fills in the descriptors to poll and returns how many.
int buttons_poll(struct pollfd *fds);

// Handles the descriptors that poll found readable.
void buttons_read(const struct pollfd *fds, int count, button_handler *handler);

#endif
