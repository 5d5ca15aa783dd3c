// Starts programs: the one the agent was started for, and those that the host asks for.
#ifndef THIMBLE_COMMAND_H
#define THIMBLE_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    STATUS_CANNOT_RUN = 126,
    STATUS_NOT_FOUND = 127,
    STATUS_SIGNAL = 128, // + signal number
    MAX_GROUPS = 64,
};

// As whom a program runs.
struct user {
    bool given; // false = as the agent
    uid_t uid;
    gid_t gid;
    size_t groups;
    gid_t group[MAX_GROUPS];
};

struct program {
    char *const *argv;   // NULL-terminated; NULL = a login shell
    char **environment;  // NULL-terminated
    size_t string_bytes; // of both, as execve counts
    const char *directory; // or NULL
    int stdio[3];        // -1 = as the agent's
    int terminal;        // the terminal in whose foreground it runs, or -1
    bool dies_with_us;   // it is killed when this process ends
    struct user user;
};

// Why a program could not be started.
struct failure {
    uint32_t status;     // the exit status that stands for it
    int error;           // errno, or 0
    const char *subject; // what it is about
    const char *reason;
};

// Starts a program in a process group of its own. Returns its process id once it runs (execve has succeeded), or -1 with *failure
// filled in.
pid_t command_start(const struct program *program, struct failure *failure);

// The exit status that stands for a wait status.
uint32_t command_status(int wait_status);

#endif
