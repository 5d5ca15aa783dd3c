// Operations copy in and copy out: files and trees of directories. Specification: docs/agent.md.
#ifndef THIMBLE_COPY_H
#define THIMBLE_COPY_H

#include "wire.h"

// Each reads the request behind OPEN and ends with the transfer, or with ERROR.
void copy_in(struct wire *wire);
void copy_out(struct wire *wire);

// Where a transfer is, for messages: the path of the current entry.
const char *trail(void);
void trail_start(const char *path);
size_t trail_enter(const char *name); // returns what trail_leave needs
void trail_leave(size_t before);

enum { COPY_ENTRY = 16 }; // mode u16, u16 0, nanoseconds u32, seconds s64; then the name

#endif
