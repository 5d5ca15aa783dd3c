#include "command.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// execve takes a quarter of the stack limit for the strings, at most 6 MiB and at least 128 KiB (fs/exec.c, bprm_stack_limits). The limit is
// raised only for a command that needs it, because the command inherits it.
static void make_room(size_t string_bytes) {
    enum { SLACK = 256 << 10, MOST = 6 << 20 };
    struct rlimit stack;
    size_t wanted = (string_bytes < MOST ? string_bytes + SLACK : MOST) * 4;
    if (getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur != RLIM_INFINITY && stack.rlim_cur < wanted) {
        stack.rlim_cur = wanted < stack.rlim_max ? wanted : stack.rlim_max;
        setrlimit(RLIMIT_STACK, &stack);
    }
}

// Runs between vfork and execve, on the parent's memory: system calls only, and nothing of the parent's is changed but *error.
static void become(const struct segment *segment, const char *file, char *const argv[], int fd, int input, volatile int *error) {
    setpgid(0, 0);
    if (fd >= 0) {
        for (int target = STDIN_FILENO; target <= STDERR_FILENO; target++)
            dup2(fd, target);
    }
    // All signals are blocked still, so that a background process may do this.
    tcsetpgrp(STDIN_FILENO, getpid());
    if (input >= 0)
        dup2(input, STDIN_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (segment->cwd && chdir(segment->cwd) < 0) {
        *error = -errno;
        _exit(STATUS_CANNOT_RUN);
    }
    execvp(file, argv);
    *error = errno;
    _exit(STATUS_CANNOT_RUN);
}

pid_t command_start(const struct segment *segment, int fd, int input, struct failure *failure) {
    static char *const shell[] = {"-sh", NULL};
    char *const *argv = segment->argv ? segment->argv : shell;
    const char *file = segment->argv ? argv[0] : "/bin/sh";
    volatile int error = 0;
    make_room(segment->string_bytes);
    environ = segment->env; // execvp looks for the program in the command's own PATH
    pid_t pid = vfork();
    if (pid == 0)
        become(segment, file, argv, fd, input, &error);
    if (pid > 0 && error == 0)
        return pid;
    *failure = (struct failure){STATUS_CANNOT_RUN, file, strerror(error)};
    if (pid < 0)
        *failure = (struct failure){STATUS_CANNOT_RUN, "fork", strerror(errno)};
    else if (error < 0)
        *failure = (struct failure){STATUS_CANNOT_RUN, segment->cwd, strerror(-error)};
    else if (error == ENOENT || error == ENOTDIR)
        *failure = (struct failure){STATUS_NOT_FOUND, file, "not found"};
    else if (error == E2BIG)
        failure->reason = "the arguments and environment are too long for the kernel (6 MiB in all, 128 KiB each)";
    return -1;
}

uint32_t command_status(int wait_status) {
    return WIFSIGNALED(wait_status) ? STATUS_SIGNAL + (uint32_t)WTERMSIG(wait_status) : (uint32_t)WEXITSTATUS(wait_status);
}
