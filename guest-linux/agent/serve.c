#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "copy.h"
#include "exec.h"
#include "frame.h"
#include "status.h"
#include "wire.h"

enum { MAX_CONNECTIONS = 256, BACKLOG = 128, OPEN_BYTES = 8 };

static int listener = -1;
static pid_t processes[MAX_CONNECTIONS];
static size_t count;

union address {
    struct sockaddr any;
    struct sockaddr_vm vm;
    struct sockaddr_un un;
};

static socklen_t parse(const char *text, unsigned cid, union address *address) {
    char *end;
    *address = (union address){0};
    if (strncmp(text, "vsock:", 6) == 0) {
        unsigned long port = strtoul(text + 6, &end, 10);
        address->vm = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = (unsigned)port};
        return *end == 0 && end > text + 6 && port < UINT32_MAX ? sizeof address->vm : 0;
    }
    size_t length = strlen(text);
    if (strncmp(text, "unix:", 5) != 0 || length - 5 >= sizeof address->un.sun_path)
        return 0;
    address->un.sun_family = AF_UNIX;
    memcpy(address->un.sun_path, text + 5, length - 5);
    return sizeof address->un;
}

static int open_socket(const char *text, unsigned cid, union address *address, socklen_t *length) {
    *length = parse(text, cid, address);
    if (*length == 0) {
        errno = EINVAL;
        return -1;
    }
    return socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int give_up(int fd) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

bool serve_open(const char *text) {
    union address address;
    socklen_t length;
    listener = open_socket(text, VMADDR_CID_ANY, &address, &length);
    if (listener >= 0 && (bind(listener, &address.any, length) < 0 || listen(listener, BACKLOG) < 0))
        listener = give_up(listener);
    return listener >= 0;
}

int serve_connect(const char *text, bool *connecting) {
    union address address;
    socklen_t length;
    int fd = open_socket(text, VMADDR_CID_HOST, &address, &length);
    *connecting = false;
    if (fd >= 0 && connect(fd, &address.any, length) < 0) {
        *connecting = errno == EINPROGRESS;
        if (!*connecting)
            return give_up(fd);
    }
    return fd;
}

void serve_poll(struct pollfd *fd) {
    *fd = (struct pollfd){.fd = count < MAX_CONNECTIONS ? listener : -1, .events = POLLIN};
}

// Leaves a process of its own nothing of the agent's but its connection and, if it is not -1, another descriptor.
static void keep(int connection, int other) {
    int low = connection < other || other < 0 ? connection : other, high = connection < other ? other : connection;
    // An empty range is refused, which does no harm. Linux before 5.9 refuses all; programs do not get the descriptors anyway.
    syscall(SYS_close_range, 3, low - 1, 0);
    syscall(SYS_close_range, low + 1, high - 1, 0);
    syscall(SYS_close_range, high + 1, ~0U, 0);
}

static _Noreturn void answer(int connection, bool is_init) {
    static struct wire wire;
    struct wire_frame frame;
    sigset_t term;
    wire.fd = connection;
    keep(connection, -1);
    fcntl(connection, F_SETFL, 0);
    // The end of the guest ends everything here but a program, which is asked to end by itself.
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &term, NULL);
    if (!wire_next(&wire, &frame))
        _exit(EXIT_SUCCESS);
    if (frame.type != WIRE_OPEN || frame.length < OPEN_BYTES || get_u32(frame.payload) != WIRE_MAGIC) {
        wire_send_error(connection, ERROR_PROTOCOL, 0, NULL, "this is the agent of a Thimble guest: docs/agent.md");
    } else if (get_u16(frame.payload + 4) != WIRE_VERSION) {
        wire_send_error(connection, ERROR_VERSION, 0, NULL, "the agent speaks version 1");
    } else {
        switch (get_u16(frame.payload + 6)) {
        case OPERATION_EXEC:
            exec_serve(&wire, is_init);
            break;
        case OPERATION_COPY_IN:
            copy_in(&wire);
            break;
        case OPERATION_COPY_OUT:
            copy_out(&wire);
            break;
        case OPERATION_STATUS:
            status_send(connection);
            break;
        default:
            wire_send_error(connection, ERROR_PROTOCOL, 0, NULL, "an unknown operation");
        }
    }
    _exit(EXIT_SUCCESS);
}

void serve_run(const struct pollfd *fd, bool is_init) {
    if (fd->fd < 0 || !fd->revents)
        return;
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
        return;
    pid_t pid = fork();
    if (pid == 0)
        answer(connection, is_init);
    if (pid > 0)
        processes[count++] = pid;
    else
        wire_send_error(connection, ERROR_RESOURCES, errno, "fork", strerror(errno));
    close(connection);
}

pid_t serve_program(struct session *session, int connection, struct failure *failure) {
    static struct wire wire;
    static struct session_report report;
    int ends[2];
    *failure = (struct failure){STATUS_CANNOT_RUN, 0, "fork", NULL};
    pid_t pid = pipe2(ends, O_CLOEXEC) < 0 ? -1 : fork();
    if (pid == 0) {
        wire.fd = connection;
        keep(connection, ends[1]);
        session->wire = &wire;
        session->report = ends[1];
        _exit((int)session_run(session));
    }
    failure->error = errno;
    failure->reason = strerror(errno);
    if (pid < 0)
        return -1;
    processes[count++] = pid;
    close(connection);
    close(ends[1]);
    ssize_t n = read(ends[0], &report, sizeof report);
    close(ends[0]);
    if (n == 0)
        return pid;
    *failure = (struct failure){report.status, 0, report.subject, report.reason};
    return -1;
}

void serve_reaped(pid_t pid) {
    for (size_t i = 0; i < count; i++)
        if (processes[i] == pid)
            processes[i] = processes[--count];
}

void serve_signal(int number) {
    for (size_t i = 0; i < count; i++)
        kill(processes[i], number);
}
