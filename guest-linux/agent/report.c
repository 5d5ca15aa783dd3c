#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
    WRITE_TIMEOUT_MS = 2000, // for a device that takes nothing
    DRAIN_SECONDS = 5,       // without any progress
};

static int control = -1;
static struct frame_decoder decoder;

static void control_close(void) {
    close(control);
    control = -1;
}

bool control_open(const char *path) {
    control = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (control < 0)
        return false;
    if (!isatty(control))
        return true;
    struct termios tty;
    if (tcgetattr(control, &tty) == 0) {
        cfmakeraw(&tty);
        tty.c_cflag |= CLOCAL | CREAD;
        cfsetspeed(&tty, B115200);
        if (tcsetattr(control, TCSANOW, &tty) == 0)
            return true;
    }
    int error = errno;
    control_close();
    errno = error;
    return false;
}

int control_fd(void) {
    return control;
}

void control_read(frame_handler *handler) {
    uint8_t bytes[256];
    ssize_t n = read(control, bytes, sizeof bytes);
    if (n > 0)
        frame_decode(&decoder, bytes, (size_t)n, handler);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        control_close();
}

void control_drain(void) {
    if (control >= 0)
        drain_tty(control);
}

static void send(uint8_t type, const void *payload, size_t length) {
    uint8_t frame[FRAME_MAX];
    size_t size = frame_encode(frame, type, payload, length);
    for (size_t sent = 0; sent < size && control >= 0;) {
        ssize_t n = write(control, frame + sent, size - sent);
        if (n > 0) {
            sent += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = control, .events = POLLOUT};
            if (poll(&room, 1, WRITE_TIMEOUT_MS) == 0)
                control_close();
        } else if (n == 0 || errno != EINTR) {
            control_close();
        }
    }
}

uint32_t uptime(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t micros = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    return micros > UINT32_MAX ? UINT32_MAX : (uint32_t)micros;
}

void report_hello(uint8_t flags, uint32_t started) {
    struct utsname name;
    uint8_t payload[8 + sizeof name.release] = {0};
    put_u16(payload, PROTOCOL_VERSION);
    payload[2] = flags;
    put_u32(payload + 4, started);
    size_t length = 0;
    if (uname(&name) == 0) {
        length = strlen(name.release);
        memcpy(payload + 8, name.release, length);
    }
    send(FRAME_HELLO, payload, 8 + length);
}

void report_ready(void) {
    uint8_t payload[4];
    put_u32(payload, uptime());
    send(FRAME_READY, payload, sizeof payload);
}

void report_exit(uint32_t status, bool stopped) {
    uint8_t payload[5];
    put_u32(payload, status);
    payload[4] = stopped ? 1 : 0;
    send(FRAME_EXIT, payload, sizeof payload);
}

void report_input_taken(uint64_t bytes) {
    uint8_t payload[8];
    put_u64(payload, bytes);
    send(FRAME_INPUT_TAKEN, payload, sizeof payload);
}

void report_stopping(enum stop_action action, enum stop_cause cause) {
    uint8_t payload[2] = {(uint8_t)action, (uint8_t)cause};
    send(FRAME_STOPPING, payload, sizeof payload);
}

void complain(const char *subject, const char *what) {
    static const char PREFIX[] = "thimble-agent: ";
    size_t subject_length = subject ? strlen(subject) : 0;
    if (subject_length > 256)
        subject_length = 256;
    struct iovec line[] = {
        {(void *)PREFIX, sizeof PREFIX - 1},
        {(void *)subject, subject_length},
        {": ", subject_length > 0 ? 2 : 0},
        {(void *)what, strlen(what)},
        {"\n", 1},
    };
    char text[FRAME_MAX_PAYLOAD];
    size_t length = 0;
    for (int i = 1; i < 4; i++) {
        size_t part = line[i].iov_len < sizeof text - length ? line[i].iov_len : sizeof text - length;
        if (part > 0)
            memcpy(text + length, line[i].iov_base, part);
        length += part;
    }
    if (writev(STDERR_FILENO, line, 5) < 0) {
        // Without a console the LOG frame alone has to do.
    }
    send(FRAME_LOG, text, length);
}

void drain_tty(int fd) {
    int before = -1, now = 0;
    while (ioctl(fd, TIOCOUTQ, &now) == 0 && now != before) {
        before = now;
        // SIGALRM has a handler that does nothing, so that it interrupts tcdrain.
        struct itimerval limit = {.it_value = {.tv_sec = DRAIN_SECONDS}}, off = {0};
        setitimer(ITIMER_REAL, &limit, NULL);
        int drained = tcdrain(fd);
        setitimer(ITIMER_REAL, &off, NULL);
        if (drained == 0)
            return;
    }
}
