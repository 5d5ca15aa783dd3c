#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "report.h"

// The pipe is nonblocking on our side only: its two ends are two open files.
static struct {
    int console;
    int pipe; // -1 = nothing to pass on any more
    uint64_t taken;
    uint64_t total; // UINT64_MAX = the host has not said yet
    size_t have, written; // of buffer
    uint8_t buffer[4096];
} relay = {.console = -1, .pipe = -1, .total = UINT64_MAX};

static void finish(void) {
    close(relay.pipe);
    relay.pipe = -1;
}

static void finish_if_complete(void) {
    if (relay.pipe >= 0 && relay.written == relay.have && relay.taken >= relay.total)
        finish();
}

int relay_open(int console) {
    struct termios tty;
    int ends[2];
    if (tcgetattr(console, &tty) == 0) {
        cfmakeraw(&tty);
        tty.c_cflag |= CLOCAL | CREAD;
        tcsetattr(console, TCSANOW, &tty);
    }
    // A stream controls no session: job control would let only one group of processes read it, and the agent has to.
    ioctl(console, TIOCNOTTY);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    relay.console = console;
    relay.pipe = ends[1];
    return ends[0];
}

void relay_poll(struct pollfd *fd) {
    *fd = (struct pollfd){.fd = -1};
    if (relay.pipe >= 0 && relay.written < relay.have)
        *fd = (struct pollfd){.fd = relay.pipe, .events = POLLOUT};
    else if (relay.pipe >= 0)
        *fd = (struct pollfd){.fd = relay.console, .events = POLLIN};
}

static void pass_on(void) {
    while (relay.written < relay.have) {
        ssize_t n = write(relay.pipe, relay.buffer + relay.written, relay.have - relay.written);
        if (n < 0 && errno != EINTR) {
            // EPIPE: nobody reads. What is left stays in the console, and the host keeps the rest.
            if (errno != EAGAIN)
                finish();
            return;
        }
        if (n > 0)
            relay.written += (size_t)n;
    }
}

void relay_run(const struct pollfd *fd) {
    if (fd->fd < 0 || !fd->revents)
        return;
    if (fd->fd == relay.console) {
        ssize_t n = read(relay.console, relay.buffer, sizeof relay.buffer);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            return;
        if (n <= 0) {
            finish();
            return;
        }
        relay.have = (size_t)n;
        relay.written = 0;
        relay.taken += (size_t)n;
    }
    pass_on();
    if (relay.pipe >= 0 && relay.written == relay.have)
        report_input_taken(relay.taken);
    finish_if_complete();
}

void relay_end(uint64_t bytes) {
    relay.total = bytes;
    finish_if_complete();
}
