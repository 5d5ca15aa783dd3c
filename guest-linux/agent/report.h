// Everything the agent tells: frames to the host, messages to the console.
#ifndef THIMBLE_REPORT_H
#define THIMBLE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

enum stop_action {
    STOP_POWER_OFF = 0,
    STOP_REBOOT = 1,
};

enum stop_cause {
    CAUSE_COMMAND_ENDED = 0,
    CAUSE_HOST = 1,
    CAUSE_POWER_BUTTON = 2,
    CAUSE_CTRL_ALT_DEL = 3,
    CAUSE_SIGNAL = 4,
};

// Opens the control device; a tty is made raw. False (with errno) when there is none.
bool control_open(const char *path);

// The descriptor to poll for requests, or -1.
int control_fd(void);

// Reads what has arrived and hands over whole frames. Closes the channel when the host is gone.
void control_read(frame_handler *handler);

// Waits until the host has taken what was written, as long as it keeps taking some.
void control_drain(void);

// Microseconds since the kernel started, at most 2^32 - 1 (71 minutes).
uint32_t uptime(void);

// What HELLO says of the agent.
enum hello_flag {
    HELLO_INIT = 1,    // it is PID 1
    HELLO_LISTENS = 2, // it takes connections
    HELLO_SESSION = 4, // the command's streams are on a connection, not on the console
};

void report_hello(uint8_t flags, uint32_t started);
void report_ready(void);
void report_exit(uint32_t status, bool stopped);
void report_input_taken(uint64_t bytes);
void report_stopping(enum stop_action action, enum stop_cause cause);

// Writes "thimble-agent: subject: what" to stderr and sends it as a LOG frame. subject may be NULL.
void complain(const char *subject, const char *what);

// Waits until a tty's output has left, as long as it keeps leaving.
void drain_tty(int fd);

#endif
