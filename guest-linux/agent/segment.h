// What the host wants run: the files of the command segment. Format: docs/control-channel.md.
#ifndef THIMBLE_SEGMENT_H
#define THIMBLE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct segment {
    char **argv;         // NULL-terminated; NULL when no command was given
    char **env;          // NULL-terminated KEY=VALUE entries; never NULL
    size_t string_bytes; // bytes of argv and env that execve copies, pointers included
    const char *hostname;
    const char *cwd;
    const char *control; // path of the control device
    const char *session; // address to connect to with the command's streams
    const char *listen;  // address to listen at
    const char *user;    // as whom the command runs
    bool stream;         // the command wants streams for programs, not a terminal for people
    bool idle;           // no command, and no shell either
    uint16_t rows, columns; // 0 = unknown
};

// Reads the segment's files from directory (absent files leave their field NULL or 0).
// base is the environment that the segment's own entries override.
// Returns NULL, or what is wrong.
const char *segment_read(struct segment *segment, const char *directory, char *const base[]);

// Removes the segment's files and the directory, which frees their memory.
void segment_remove(const char *directory);

#endif
