// Frames on a connection with the host. Specification: docs/agent.md.
#ifndef THIMBLE_WIRE_H
#define THIMBLE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_HEADER = 4, // length u24, type u8
    WIRE_MAX_PAYLOAD = 65536,
    WIRE_MAGIC = 0x4C424D54, // "TMBL"
    WIRE_VERSION = 1,
    WIRE_WINDOW = 262144,    // bytes of each stream that may be on the way before there is credit
    WIRE_MAX_STRINGS = 8 << 20,
    WIRE_MAX_PATH = 4095,
    WIRE_MAX_NAME = 255,
    WIRE_MAX_DEPTH = 256,
};

enum operation { OPERATION_EXEC = 1, OPERATION_COPY_IN = 2, OPERATION_COPY_OUT = 3, OPERATION_STATUS = 4 };

// Host to guest.
enum {
    WIRE_OPEN = 0x01,
    WIRE_ARGUMENTS = 0x10,
    WIRE_ENVIRONMENT = 0x11,
    WIRE_DIRECTORY = 0x12,
    WIRE_USER = 0x13,
    WIRE_TERMINAL = 0x14,
    WIRE_START = 0x15,
    WIRE_STDIN = 0x20,
    WIRE_STDIN_END = 0x21,
    WIRE_CREDIT = 0x22,
    WIRE_SIGNAL = 0x23,
    WIRE_WINDOW_SIZE = 0x24,
};

// Either way: trees of files.
enum {
    WIRE_PATH = 0x40,
    WIRE_FILE = 0x41,
    WIRE_FOLDER = 0x42,
    WIRE_LINK = 0x43,
    WIRE_DATA = 0x44,
    WIRE_HOLE = 0x45,
    WIRE_UP = 0x46,
    WIRE_DONE = 0x47,
};

// Guest to host.
enum {
    WIRE_ERROR = 0x81,
    WIRE_STARTED = 0x82,
    WIRE_STDOUT = 0x83,
    WIRE_STDERR = 0x84,
    WIRE_STDOUT_END = 0x85,
    WIRE_STDERR_END = 0x86,
    WIRE_EXIT = 0x87,
    WIRE_STDIN_CREDIT = 0x88,
    WIRE_STDIN_CLOSED = 0x89,
    WIRE_END = 0x8A,
    WIRE_STATUS = 0x90,
};

enum wire_error {
    ERROR_PROTOCOL = 1,   // the host broke the rules
    ERROR_VERSION = 2,    // another version of the protocol
    ERROR_NOT_FOUND = 3,  // no such program
    ERROR_CANNOT_RUN = 4, // a program that cannot be run as asked
    ERROR_FILE = 5,       // a file operation failed
    ERROR_RESOURCES = 6,  // no memory, descriptors or processes
};

// What has arrived on a connection; all zero but fd is the initial state.
struct wire {
    int fd;
    size_t at, have;
    uint8_t bytes[WIRE_HEADER + WIRE_MAX_PAYLOAD];
};

struct wire_frame {
    uint8_t type;
    const uint8_t *payload; // valid until the next wire_fill
    size_t length;
};

// Takes a frame that has arrived: 1; 0 when there is no whole one; -1 when the host announces a longer one than there may be.
int wire_take(struct wire *wire, struct wire_frame *frame);

// Reads once: bytes; 0 at the end; -1 with errno. Only when wire_take has returned 0.
long wire_fill(struct wire *wire);

// Waits for a frame. False when the connection has ended or the host broke the rules, which it has been told.
bool wire_next(struct wire *wire, struct wire_frame *frame);

// Writes a frame's header.
void wire_header(uint8_t *at, uint8_t type, size_t length);

// Writes everything to a blocking descriptor. False when the other end is gone.
bool wire_write(int fd, const void *bytes, size_t length);
bool wire_send(int fd, uint8_t type, const void *payload, size_t length);

// Encodes ERROR into out (WIRE_ERROR_MAX bytes) and returns its size. error is an errno or 0; "subject: reason" is the text.
enum { WIRE_ERROR_MAX = WIRE_HEADER + 4 + 1024 };
size_t wire_encode_error(uint8_t *out, enum wire_error code, int error, const char *subject, const char *reason);
void wire_send_error(int fd, enum wire_error code, int error, const char *subject, const char *reason);

// A text of 1 to most bytes without NUL, copied into out (most + 1 bytes). False if it is none.
bool wire_text(const struct wire_frame *frame, char *out, size_t most);

#endif
