#include "command.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// What a program that cannot be started failed at.
enum step { STEP_EXEC, STEP_DIRECTORY, STEP_USER };

struct trouble {
    enum step step;
    int error;
};

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

// The system calls themselves: the C library's functions would act on all threads, which after vfork are the parent's.
static int change_user(const struct user *user) {
    if (syscall(SYS_setgroups, user->groups, user->group) < 0)
        return -1;
    return syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0 ||
                   syscall(SYS_setresuid, user->uid, user->uid, user->uid) < 0
               ? -1
               : 0;
}

static const int usual_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM};

static _Noreturn void give_up(volatile struct trouble *trouble, enum step step) {
    trouble->error = errno;
    trouble->step = step;
    _exit(STATUS_CANNOT_RUN);
}

// Runs between vfork and execve, on the parent's memory: system calls only, and nothing of the parent's is changed but *trouble.
static void become(const struct program *program, const char *file, char *const argv[], volatile struct trouble *trouble) {
    setpgid(0, 0);
    for (int target = STDIN_FILENO; target <= STDERR_FILENO; target++) {
        if (program->stdio[target] >= 0)
            dup2(program->stdio[target], target);
    }
    // All signals are blocked still, so that a background process may do this.
    if (program->terminal >= 0)
        tcsetpgrp(program->terminal, getpid());
    // What the agent's own parent ignored - a shell that starts it in the background ignores INT - would stay ignored.
    for (size_t i = 0; i < sizeof usual_signals / sizeof *usual_signals; i++)
        signal(usual_signals[i], SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (program->user.given && change_user(&program->user) < 0)
        give_up(trouble, STEP_USER);
    if (program->dies_with_us)
        prctl(PR_SET_PDEATHSIG, SIGKILL); // after the change of user, which would undo it
    if (program->directory && chdir(program->directory) < 0)
        give_up(trouble, STEP_DIRECTORY);
    execvp(file, argv);
    give_up(trouble, STEP_EXEC);
}

static void explain(struct failure *failure, const struct program *program, const char *file, enum step step, int error) {
    *failure = (struct failure){STATUS_CANNOT_RUN, error, file, strerror(error)};
    if (step == STEP_DIRECTORY) {
        failure->subject = program->directory;
    } else if (step == STEP_USER) {
        failure->subject = "user";
    } else if (error == ENOENT || error == ENOTDIR) {
        failure->status = STATUS_NOT_FOUND;
        failure->reason = "not found";
    } else if (error == E2BIG) {
        failure->reason = "the arguments and environment are too long for the kernel (6 MiB in all, 128 KiB each)";
    }
}

pid_t command_start(const struct program *program, struct failure *failure) {
    static char *const shell[] = {"-sh", NULL};
    char *const *argv = program->argv ? program->argv : shell;
    const char *file = program->argv ? argv[0] : "/bin/sh";
    volatile struct trouble trouble = {0};
    make_room(program->string_bytes);
    environ = program->environment; // execvp looks for the program in the command's own PATH
    pid_t pid = vfork();
    if (pid == 0)
        become(program, file, argv, &trouble);
    if (pid > 0 && trouble.error == 0)
        return pid;
    if (pid < 0)
        *failure = (struct failure){STATUS_CANNOT_RUN, errno, "fork", strerror(errno)};
    else
        explain(failure, program, file, trouble.step, trouble.error);
    return -1;
}

uint32_t command_status(int wait_status) {
    return WIFSIGNALED(wait_status) ? STATUS_SIGNAL + (uint32_t)WTERMSIG(wait_status) : (uint32_t)WEXITSTATUS(wait_status);
}
