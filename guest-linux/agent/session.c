#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "frame.h"

enum { STREAMS = 2, CONTROL_D = 4, NUMBER_OF_SIGNALS = 64, CREDIT_STEP = WIRE_WINDOW / 4 };

struct stream {
    int fd;
    uint64_t credit;
    bool ready; // worth a read
    bool over;  // nothing follows
    bool told;  // and the host knows
};

static struct {
    struct wire *wire;
    int fd; // the connection
    int signals;
    int master, slave; // of the terminal, or -1
    pid_t child;       // 0 = ended
    uint32_t status;
    uint8_t exit_kind, exit_value;
    bool connecting, is_init;
    bool lost;        // the connection
    bool terminating; // the guest is being stopped
    bool started, exit_told, end_told, failed;

    struct stream out[STREAMS];
    unsigned turn;

    // Standard input: a ring, because frames behind the data must get through while the program does not read.
    int input; // -1 = closed
    bool input_ends, input_closed_untold;
    bool line_open;   // what the terminal got last was no end of a line
    unsigned ends;    // how often the terminal got its end of file
    size_t first, used;
    uint32_t consumed;
    uint8_t ring[WIRE_WINDOW];

    size_t have, sent;
    uint8_t frame[WIRE_HEADER + WIRE_MAX_PAYLOAD];
} s;

static bool prepare_frame(uint8_t type, size_t length) {
    wire_header(s.frame, type, length);
    s.have = WIRE_HEADER + length;
    s.sent = 0;
    return true;
}

static void close_input(void) {
    if (s.input >= 0 && s.input != s.master)
        close(s.input);
    s.input = -1;
    s.used = 0;
}

static bool prepare_output(int index) {
    static const uint8_t DATA[] = {WIRE_STDOUT, WIRE_STDERR}, END[] = {WIRE_STDOUT_END, WIRE_STDERR_END};
    struct stream *stream = &s.out[index];
    if (!stream->over && stream->ready && stream->credit > 0) {
        size_t most = stream->credit < WIRE_MAX_PAYLOAD ? (size_t)stream->credit : WIRE_MAX_PAYLOAD;
        ssize_t n = read(stream->fd, s.frame + WIRE_HEADER, most);
        if (n > 0) {
            stream->credit -= (uint64_t)n;
            return prepare_frame(DATA[index], (size_t)n);
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            stream->ready = errno == EINTR;
        // A terminal says EIO at its end. What the program had written is read when nothing is left; others may hold the pipe still.
        if (n == 0 || (n < 0 && errno != EINTR && (errno != EAGAIN || s.child == 0)))
            stream->over = true;
    }
    if (stream->over && !stream->told) {
        stream->told = true;
        return prepare_frame(END[index], 0);
    }
    return false;
}

// Puts the next frame together. False when there is nothing to say now.
static bool prepare_next(void) {
    if (s.end_told || s.failed)
        return false;
    if (s.input_closed_untold) {
        s.input_closed_untold = false;
        return prepare_frame(WIRE_STDIN_CLOSED, 0);
    }
    if (s.consumed >= CREDIT_STEP) {
        put_u32(s.frame + WIRE_HEADER, s.consumed);
        s.consumed = 0;
        return prepare_frame(WIRE_STDIN_CREDIT, 4);
    }
    if (s.child == 0 && !s.exit_told) {
        s.exit_told = true;
        s.frame[WIRE_HEADER] = s.exit_kind;
        s.frame[WIRE_HEADER + 1] = s.exit_value;
        return prepare_frame(WIRE_EXIT, 2);
    }
    for (unsigned i = 0; i < STREAMS; i++) {
        s.turn ^= 1; // each gets its share of the connection
        if (prepare_output((int)s.turn))
            return true;
    }
    if (s.exit_told && s.out[0].told && s.out[1].told) {
        s.end_told = true;
        return prepare_frame(WIRE_END, 0);
    }
    return false;
}

static void flush(void) {
    while (!s.connecting && !s.lost && (s.sent < s.have || prepare_next())) {
        ssize_t n = write(s.fd, s.frame + s.sent, s.have - s.sent);
        if (n > 0)
            s.sent += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            return;
        else if (n == 0 || errno != EINTR)
            s.lost = true;
    }
}

static void write_input(void) {
    while (s.input >= 0 && s.used > 0) {
        size_t length = s.used < sizeof s.ring - s.first ? s.used : sizeof s.ring - s.first;
        ssize_t n = write(s.input, s.ring + s.first, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_input();
            s.input_closed_untold = true;
            return;
        }
        s.line_open = s.ring[s.first + (size_t)n - 1] != '\n';
        s.used -= (size_t)n;
        s.first = s.used == 0 ? 0 : (s.first + (size_t)n) % sizeof s.ring;
        s.consumed += (uint32_t)n;
    }
    if (s.input >= 0 && s.input_ends) {
        // An end of file behind part of a line ends only that.
        while (s.input == s.master && s.ends < 1u + s.line_open) {
            ssize_t n = write(s.master, (char[]){CONTROL_D}, 1);
            if (n < 0 && errno == EAGAIN)
                return;
            if (n > 0)
                s.ends++;
            else if (n == 0 || errno != EINTR)
                break;
        }
        close_input();
    }
}

static bool take_input(const struct wire_frame *frame) {
    if (s.input < 0)
        return true; // on the way when the program closed it
    if (s.input_ends || frame->length > sizeof s.ring - s.used)
        return false;
    for (size_t done = 0; done < frame->length;) {
        size_t at = (s.first + s.used) % sizeof s.ring;
        size_t part = frame->length - done < sizeof s.ring - at ? frame->length - done : sizeof s.ring - at;
        memcpy(s.ring + at, frame->payload + done, part);
        s.used += part;
        done += part;
    }
    write_input();
    return true;
}

static bool take_frame(const struct wire_frame *frame) {
    const uint8_t *at = frame->payload;
    switch (frame->type) {
    case WIRE_STDIN:
        return take_input(frame);
    case WIRE_STDIN_END:
        s.input_ends = true;
        write_input();
        return true;
    case WIRE_CREDIT:
        if (frame->length < 5 || at[0] < 1 || at[0] > STREAMS)
            return false;
        s.out[at[0] - 1].credit += get_u32(at + 1);
        return true;
    case WIRE_SIGNAL:
        if (frame->length < 1 || at[0] < 1 || at[0] > NUMBER_OF_SIGNALS)
            return false;
        if (s.child > 0)
            kill(-s.child, at[0]);
        return true;
    case WIRE_WINDOW_SIZE:
        if (frame->length < 4)
            return false;
        if (s.master >= 0)
            ioctl(s.master, TIOCSWINSZ, &(struct winsize){.ws_row = get_u16(at), .ws_col = get_u16(at + 2)});
        return true;
    }
    return true; // of a later version
}

static void take_frames(void) {
    struct wire_frame frame;
    int taken;
    while ((taken = wire_take(s.wire, &frame)) > 0) {
        if (!take_frame(&frame)) {
            taken = -1;
            break;
        }
    }
    if (taken < 0) {
        // Between two frames of ours, or not at all.
        if (s.sent == s.have)
            wire_send_error(s.fd, ERROR_PROTOCOL, 0, NULL, "a frame that breaks the rules");
        s.lost = true;
    }
}

static void read_connection(void) {
    long n = wire_fill(s.wire);
    if (n > 0)
        take_frames();
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        s.lost = true;
}

static void ended(int status) {
    s.child = 0;
    s.status = command_status(status);
    s.exit_kind = WIFSIGNALED(status) ? 1 : 0;
    s.exit_value = (uint8_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    for (int i = 0; i < STREAMS; i++)
        s.out[i].ready = true;
    if (s.input >= 0) {
        close_input();
        s.input_closed_untold = true;
    }
}

static void reap_child(void) {
    int status;
    while (s.child > 0 && waitpid(s.child, &status, WNOHANG | (s.master >= 0 ? WUNTRACED : 0)) > 0) {
        if (!WIFSTOPPED(status)) {
            ended(status);
        } else if (WSTOPSIG(status) != SIGSTOP) {
            // The terminal stopped it (Ctrl-Z, or a read in the background), and no shell is there to resume it.
            tcsetpgrp(s.slave, s.child);
            kill(-s.child, SIGCONT);
        }
    }
}

static void read_signals(void) {
    struct signalfd_siginfo info;
    while (read(s.signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGTERM) {
            s.terminating = true;
            if (s.child > 0 && !s.is_init)
                kill(-s.child, SIGTERM);
            if (s.child > 0 && s.master >= 0)
                kill(-s.child, SIGHUP); // an interactive shell ignores TERM
        }
    }
    reap_child();
}

static void finish_connecting(void) {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(s.fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 || error != 0)
        s.lost = true;
    s.connecting = false;
}

static void wait_for_events(void) {
    struct pollfd fds[3 + STREAMS];
    bool pending = s.sent < s.have;
    fds[0] = (struct pollfd){.fd = s.fd, .events = (short)(s.connecting ? POLLOUT : pending ? POLLIN | POLLOUT : POLLIN)};
    fds[1] = (struct pollfd){.fd = s.signals, .events = POLLIN};
    fds[2] = (struct pollfd){.fd = s.input, .events = s.used > 0 || s.input_ends ? POLLOUT : 0};
    if (s.input == s.master && s.used == 0 && !s.input_ends)
        fds[2].fd = -1; // its hang-up is told by reading
    for (int i = 0; i < STREAMS; i++) {
        const struct stream *stream = &s.out[i];
        fds[3 + i] = (struct pollfd){.fd = stream->over || stream->ready || stream->credit == 0 ? -1 : stream->fd, .events = POLLIN};
    }
    if (poll(fds, 3 + STREAMS, -1) < 0)
        return;
    if (fds[0].revents && s.connecting)
        finish_connecting();
    else if (fds[0].revents & ~POLLOUT)
        read_connection();
    if (fds[1].revents)
        read_signals();
    if (fds[2].revents & POLLOUT) {
        write_input();
    } else if (fds[2].revents) {
        close_input(); // nobody reads it any more
        s.input_closed_untold = true;
    }
    for (int i = 0; i < STREAMS; i++)
        s.out[i].ready |= fds[3 + i].revents != 0;
}

static bool open_terminal(const struct session *session, int stdio[3]) {
    int unlock = 0;
    s.master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (s.master < 0 || ioctl(s.master, TIOCSPTLCK, &unlock) < 0)
        return false;
    s.slave = ioctl(s.master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (s.slave < 0)
        return false;
    struct termios tty;
    if (tcgetattr(s.slave, &tty) == 0) {
        tty.c_iflag |= IUTF8;
        tcsetattr(s.slave, TCSANOW, &tty);
    }
    if (session->program.user.given)
        fchown(s.slave, session->program.user.uid, (gid_t)-1);
    if (session->rows > 0 && session->columns > 0)
        ioctl(s.slave, TIOCSWINSZ, &(struct winsize){.ws_row = session->rows, .ws_col = session->columns});
    // This process leads the terminal's session, as the program would not outlive its output: when a leader ends, Linux drops what is on
    // the way.
    setsid();
    ioctl(s.slave, TIOCSCTTY, 0);
    for (int i = 0; i < 3; i++)
        stdio[i] = s.slave;
    s.input = s.out[0].fd = s.master;
    s.out[1].over = true;
    return true;
}

static bool open_pipes(const struct session *session, int stdio[3]) {
    int in[2], out[2], error[2] = {-1, -1};
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || (!session->merged && pipe2(error, O_CLOEXEC) < 0))
        return false;
    stdio[0] = in[0];
    stdio[1] = out[1];
    stdio[2] = session->merged ? out[1] : error[1];
    s.input = in[1];
    s.out[0].fd = out[0];
    s.out[1].fd = error[0];
    s.out[1].over = session->merged;
    fcntl(s.input, F_SETFL, O_NONBLOCK); // our ends only: they are open files of their own
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    if (!session->merged)
        fcntl(error[0], F_SETFL, O_NONBLOCK);
    return true;
}

static void tell_failure(const struct session *session, const struct failure *failure) {
    s.status = failure->status;
    s.failed = true;
    enum wire_error code = failure->status == STATUS_NOT_FOUND ? ERROR_NOT_FOUND : ERROR_CANNOT_RUN;
    s.have = wire_encode_error(s.frame, code, failure->error, failure->subject, failure->reason);
    if (session->report >= 0) {
        struct session_report report = {.status = failure->status};
        snprintf(report.subject, sizeof report.subject, "%s", failure->subject);
        snprintf(report.reason, sizeof report.reason, "%s", failure->reason);
        write(session->report, &report, sizeof report);
    }
}

static void start(struct session *session) {
    struct program *program = &session->program;
    struct failure failure;
    program->dies_with_us = true;
    program->terminal = -1;
    if (!(session->has_terminal ? open_terminal(session, program->stdio) : open_pipes(session, program->stdio))) {
        failure = (struct failure){STATUS_CANNOT_RUN, errno, session->has_terminal ? "terminal" : "pipe", strerror(errno)};
        tell_failure(session, &failure);
        return;
    }
    program->terminal = s.slave;
    s.child = command_start(program, &failure);
    if (!session->has_terminal) {
        close(program->stdio[0]);
        close(program->stdio[1]);
        if (!session->merged)
            close(program->stdio[2]);
    }
    if (s.child < 0) {
        tell_failure(session, &failure);
    } else {
        put_u32(s.frame + WIRE_HEADER, (uint32_t)s.child);
        prepare_frame(WIRE_STARTED, 4);
    }
}

uint32_t session_run(struct session *session) {
    sigset_t watched;
    s.master = s.slave = s.input = -1; // here: an initializer would put the buffers into the binary
    s.wire = session->wire;
    s.fd = session->wire->fd;
    s.connecting = session->connecting;
    s.is_init = session->is_init;
    s.out[0].credit = s.out[1].credit = WIRE_WINDOW;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    s.signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    fcntl(s.fd, F_SETFL, O_NONBLOCK);
    start(session);
    if (session->report >= 0)
        close(session->report);
    reap_child();
    take_frames(); // those that came with the request
    while (!s.lost) {
        flush();
        bool done = (s.end_told || s.failed) && s.sent == s.have;
        if (s.lost || (done && s.terminating))
            break;
        wait_for_events();
    }
    if (s.child > 0) {
        int status = 0;
        kill(-s.child, SIGKILL);
        if (waitpid(s.child, &status, 0) == s.child)
            s.status = command_status(status);
    }
    return s.status;
}
