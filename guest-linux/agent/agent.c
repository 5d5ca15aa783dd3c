// thimble-agent: the first process of a bundled guest, or a helper beside another init. docs/control-channel.md specifies what it is told
// and tells on the control channel, docs/agent.md what the host asks for on connections.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "buttons.h"
#include "command.h"
#include "relay.h"
#include "report.h"
#include "segment.h"
#include "serve.h"
#include "system.h"
#include "user.h"

#define SEGMENT_DIRECTORY "/.thimble"
#define CONTROL_DEVICE "/dev/ttyS1"
#define LISTEN_ADDRESS "vsock:1024"

enum {
    HEAD_START_MS = 10,  // of the command, before the channel is opened
    GRACE_MS = 2000,       // between TERM and KILL when nobody said otherwise
    GRACE_MAX_MS = 600000, // the most a host may ask for
    KILL_MS = 1000,        // for processes that do not even end by KILL
    NEVER = -1,
};

enum phase { RUNNING, TERMINATING, KILLING };

static struct {
    bool is_init;
    uint32_t started; // uptime
    bool shell; // the command is the login shell that runs when none was given
    bool power; // not PID 1, but asked to stop the machine at the end
    int console; // the command's terminal
    pid_t command; // 0 = ended
    bool session;  // the command is the process that serves a connection with the program's streams
    uint32_t status;
    enum phase phase;
    enum stop_action action;
    int64_t deadline; // milliseconds, CLOCK_MONOTONIC
} agent = {.console = -1};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// PID 1 stops every process of the machine, any other agent what it has started itself.
static void signal_all(int number) {
    if (agent.is_init) {
        kill(-1, number);
    } else {
        serve_signal(number);
        if (agent.command > 0 && !agent.session)
            kill(-agent.command, number);
    }
}

static void stop(enum stop_action action, enum stop_cause cause, uint32_t grace_ms) {
    int64_t deadline = now_ms() + (grace_ms < GRACE_MAX_MS ? grace_ms : GRACE_MAX_MS);
    if (agent.phase == RUNNING) {
        agent.phase = TERMINATING;
        agent.action = action;
        agent.deadline = deadline;
        report_stopping(action, cause);
        signal_all(SIGTERM);
        if (agent.command > 0 && agent.shell && !agent.session)
            kill(-agent.command, SIGHUP); // an interactive shell ignores TERM
        signal_all(SIGCONT);
    } else if (agent.phase == TERMINATING && deadline < agent.deadline) {
        agent.deadline = deadline;
    }
}

static void on_button(enum stop_action action, enum stop_cause cause) {
    stop(action, cause, GRACE_MS);
}

static void on_request(uint8_t type, const uint8_t *payload, size_t length) {
    if (type == FRAME_SHUTDOWN && length >= 5) {
        stop(payload[0] == STOP_REBOOT ? STOP_REBOOT : STOP_POWER_OFF, CAUSE_HOST, get_u32(payload + 1));
    } else if (type == FRAME_WINDOW_SIZE && length >= 4 && agent.console >= 0) {
        struct winsize size = {.ws_row = get_u16(payload), .ws_col = get_u16(payload + 2)};
        ioctl(agent.console, TIOCSWINSZ, &size);
    } else if (type == FRAME_INPUT_END && length >= 8) {
        relay_end(get_u64(payload));
    }
}

static void command_ended(uint32_t status) {
    agent.command = 0;
    agent.status = status;
    report_exit(status, agent.phase != RUNNING);
    stop(STOP_POWER_OFF, CAUSE_COMMAND_ENDED, GRACE_MS);
}

// Reaps the command and orphans. False when no process is left.
static bool reap(void) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (!WIFSTOPPED(status))
            serve_reaped(pid);
        if (pid != agent.command)
            continue;
        if (!WIFSTOPPED(status)) {
            command_ended(command_status(status));
        } else if (WSTOPSIG(status) != SIGSTOP) {
            // The terminal stopped it (Ctrl-Z, or a read in the background), and no shell is there to resume it.
            tcsetpgrp(agent.console, pid);
            kill(-pid, SIGCONT);
        }
    }
    return pid == 0 || errno != ECHILD;
}

static void on_signal(uint32_t number) {
    switch (number) {
    case SIGUSR1: // busybox halt
    case SIGUSR2: // busybox poweroff
        if (agent.is_init)
            stop(STOP_POWER_OFF, CAUSE_SIGNAL, GRACE_MS);
        break;
    case SIGTERM: // busybox reboot
        stop(agent.is_init ? STOP_REBOOT : STOP_POWER_OFF, CAUSE_SIGNAL, GRACE_MS);
        break;
    case SIGINT: // the kernel's Ctrl-Alt-Del
        if (agent.is_init)
            stop(STOP_REBOOT, CAUSE_CTRL_ALT_DEL, GRACE_MS);
        else
            stop(STOP_POWER_OFF, CAUSE_SIGNAL, GRACE_MS);
        break;
    }
}

static int open_signals(void) {
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGALRM);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Returns when no process is left, or when the deadline for killing them has passed.
static void loop(int signals) {
    enum { SIGNALS, CONTROL, RELAY, SERVE, BUTTONS };
    struct pollfd fds[BUTTONS + BUTTONS_MAX_FDS];
    for (bool left = reap(); left || agent.phase == RUNNING; left = reap()) {
        int timeout = NEVER;
        if (agent.phase != RUNNING) {
            int64_t rest = agent.deadline - now_ms();
            if (rest <= 0 && agent.phase == KILLING)
                return;
            if (rest <= 0) {
                agent.phase = KILLING;
                agent.deadline = now_ms() + KILL_MS;
                signal_all(SIGKILL);
                continue;
            }
            timeout = (int)rest;
        }
        fds[SIGNALS] = (struct pollfd){.fd = signals, .events = POLLIN};
        fds[CONTROL] = (struct pollfd){.fd = control_fd(), .events = POLLIN};
        relay_poll(&fds[RELAY]);
        serve_poll(&fds[SERVE]);
        if (agent.phase != RUNNING)
            fds[SERVE].fd = -1;
        int buttons = agent.is_init ? buttons_poll(fds + BUTTONS) : 0;
        if (poll(fds, (nfds_t)(BUTTONS + buttons), timeout) <= 0)
            continue;
        struct signalfd_siginfo info;
        if (fds[SIGNALS].revents) {
            while (read(signals, &info, sizeof info) == sizeof info)
                on_signal(info.ssi_signo);
        }
        if (fds[CONTROL].revents)
            control_read(on_request);
        if (buttons > 0)
            buttons_read(fds + BUTTONS, buttons, on_button);
        relay_run(&fds[RELAY]);
        serve_run(&fds[SERVE], agent.is_init);
    }
}

static void nothing(int number) {
    (void)number;
}

static _Noreturn void finish(void) {
    if (agent.is_init)
        system_stop(agent.action, agent.console);
    control_drain();
    if (agent.power) {
        const char *program = agent.action == STOP_REBOOT ? "reboot" : "poweroff";
        execlp(program, program, (char *)NULL);
        complain(program, strerror(errno));
    }
    if (agent.console >= 0)
        tcsetpgrp(agent.console, getpgrp());
    _exit((int)agent.status);
}

static void set_window(const struct segment *segment) {
    struct winsize size = {.ws_row = segment->rows, .ws_col = segment->columns};
    if (size.ws_row > 0 && size.ws_col > 0)
        ioctl(agent.console, TIOCSWINSZ, &size);
}

// PID 1 listens without being told; that a kernel has no vsock is no error then.
static bool listen_to_host(const char *address) {
    if (!address && !agent.is_init)
        return false;
    bool listens = serve_open(address ? address : LISTEN_ADDRESS);
    if (!listens && address)
        complain(address, strerror(errno));
    return listens;
}

static pid_t start_on_console(const struct segment *segment, struct program *program, struct failure *failure) {
    int input = agent.is_init && segment->stream ? relay_open(agent.console) : -1;
    if (agent.is_init) {
        for (int i = 0; i < 3; i++)
            program->stdio[i] = agent.console;
        program->terminal = agent.console;
    } else if (isatty(STDIN_FILENO)) {
        program->terminal = STDIN_FILENO;
    }
    if (input >= 0)
        program->stdio[0] = input;
    pid_t pid = command_start(program, failure);
    if (input >= 0)
        close(input); // so that the relay learns when the command has closed its own
    return pid;
}

// On a connection if the segment names one and somebody is there, else on the console.
static pid_t start_command(const struct segment *segment, struct failure *failure) {
    struct account account;
    struct program program = {.argv = segment->argv,
                              .environment = segment->env,
                              .string_bytes = segment->string_bytes,
                              .directory = segment->cwd,
                              .stdio = {-1, -1, -1},
                              .terminal = -1};
    if (segment->user) {
        const char *problem = user_find(&account, segment->user);
        if (problem) {
            *failure = (struct failure){STATUS_CANNOT_RUN, 0, segment->user, problem};
            return -1;
        }
        program.user = account.user;
    }
    struct session session = {.program = program,
                              .has_terminal = !segment->stream,
                              .is_init = agent.is_init,
                              .rows = segment->rows,
                              .columns = segment->columns};
    int connection = segment->session ? serve_connect(segment->session, &session.connecting) : -1;
    agent.session = connection >= 0;
    return agent.session ? serve_program(&session, connection, failure) : start_on_console(segment, &program, failure);
}

// Starts the command, then opens the channel and reports both: opening a serial port takes longer than anything else here, and the
// command need not wait for it, not even where there is one CPU only. A problem means that the segment says nothing that could be run.
static void start(int signals, const struct segment *segment, const char *problem, const char *device, bool wants_command) {
    struct failure failure = {STATUS_CANNOT_RUN, 0, NULL, problem};
    pid_t pid = -1;
    if (!problem && wants_command)
        pid = start_command(segment, &failure);
    if (pid > 0) {
        agent.command = pid;
        agent.shell = !segment->argv;
        struct pollfd ended = {.fd = signals, .events = POLLIN};
        if (agent.is_init)
            poll(&ended, 1, HEAD_START_MS);
    }
    if (agent.is_init) {
        // Before the host is told that the guest is ready: from then on it may press a button.
        reboot(RB_DISABLE_CAD);
        buttons_open();
    }
    bool listens = listen_to_host(segment->listen);
    if (control_open(device))
        report_hello((agent.is_init ? HELLO_INIT : 0) | (listens ? HELLO_LISTENS : 0) | (agent.session ? HELLO_SESSION : 0), agent.started);
    else if (!agent.is_init || segment->control)
        complain(device, strerror(errno));
    if (pid > 0 || !wants_command) {
        report_ready();
    } else {
        complain(failure.subject, failure.reason);
        command_ended(failure.status);
    }
}

static void run_as_init(int signals) {
    static char *const base[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LOGNAME=root",
                                 "SHELL=/bin/sh", "TERM=vt220", NULL};
    struct segment segment;
    system_prepare();
    agent.console = system_console();
    const char *problem = segment_read(&segment, SEGMENT_DIRECTORY, base);
    segment_remove(SEGMENT_DIRECTORY);
    const char *hostname = segment.hostname ? segment.hostname : "thimble";
    if (sethostname(hostname, strlen(hostname)) < 0)
        complain("hostname", strerror(errno));
    set_window(&segment);
    start(signals, &segment, problem, segment.control ? segment.control : CONTROL_DEVICE, !segment.idle);
    loop(signals);
    finish();
}

static _Noreturn void usage(void) {
    complain(NULL, "usage: thimble-agent [--control DEVICE] [--segment DIRECTORY] [--listen ADDRESS] [--session ADDRESS] [--power] [--] [COMMAND [ARGUMENT]...]");
    _exit(2);
}

static void run_beside_init(int signals, char **arguments) {
    const char *device = NULL, *directory = SEGMENT_DIRECTORY, *listen = NULL, *session = NULL;
    for (; *arguments && (*arguments)[0] == '-'; arguments++) {
        if (strcmp(*arguments, "--") == 0) {
            arguments++;
            break;
        } else if (strcmp(*arguments, "--power") == 0) {
            agent.power = true;
        } else if (strcmp(*arguments, "--control") == 0 && arguments[1]) {
            device = *++arguments;
        } else if (strcmp(*arguments, "--segment") == 0 && arguments[1]) {
            directory = *++arguments;
        } else if (strcmp(*arguments, "--listen") == 0 && arguments[1]) {
            listen = *++arguments;
        } else if (strcmp(*arguments, "--session") == 0 && arguments[1]) {
            session = *++arguments;
        } else {
            usage();
        }
    }
    struct segment segment;
    const char *problem = segment_read(&segment, directory, environ);
    if (problem) {
        complain(directory, problem);
        _exit(STATUS_CANNOT_RUN);
    }
    if (*arguments)
        segment.argv = arguments;
    if (listen)
        segment.listen = listen;
    if (session)
        segment.session = session;
    if (!device)
        device = segment.control ? segment.control : getenv("THIMBLE_CONTROL");
    if (!device)
        device = CONTROL_DEVICE;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (isatty(STDIN_FILENO))
        agent.console = STDIN_FILENO;
    set_window(&segment);
    start(signals, &segment, NULL, device, segment.argv != NULL);
    loop(signals);
    finish();
}

int main(int argc, char **argv) {
    agent.is_init = getpid() == 1;
    agent.started = uptime();
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
    int signals = open_signals();
    // PID 1's arguments are what was left of the kernel's command line, not meant for it.
    if (agent.is_init)
        run_as_init(signals);
    else
        run_beside_init(signals, argc > 0 ? argv + 1 : argv);
}
