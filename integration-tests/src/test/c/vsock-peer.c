/*
 * What the vsock tests talk to in the guest: vsock-peer PORT listens, and serves each connection in a process of its own.
 * The first byte of a connection says what is done with the rest:
 *   E               echo until the end of the stream, then end the output
 *   S               take all until the end of the stream, then answer how many bytes there were (8 bytes, little endian)
 *   G count         give so many bytes of a pattern (8 bytes, little endian), then end the output and wait for the end
 *   F count         as G, but the same bytes again and again, for measuring
 *   H               take nothing; wait for the end of the connection
 *   X               close at once, with unread bytes perhaps
 *   C port count    connect so many times to the host's port (4 bytes each, little endian), at once, echo on each of them;
 *                   then answer how many came to their end in good order (8 bytes)
 * On the console it says "vsock-peer ready" when it listens.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static unsigned char buffer[256 * 1024];

static void die(const char *what)
{
    printf("vsock-peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int read_all(int fd, void *to, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = read(fd, (char *)to + done, length - done);
        if (n <= 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

static int write_all(int fd, const void *from, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = write(fd, (const char *)from + done, length - done);
        if (n <= 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

static int await_end(int fd)
{
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        ;
    return (int)n;
}

static int echo(int fd)
{
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        if (write_all(fd, buffer, (size_t)n))
            return -1;
    return n < 0 ? -1 : shutdown(fd, SHUT_WR);
}

static void sink(int fd)
{
    uint64_t total = 0;
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        total += (uint64_t)n;
    write_all(fd, &total, sizeof total);
}

/* Byte i of the pattern is i ^ i / 256 ^ i / 65536, cut to 8 bits. */
static void generate(int fd)
{
    uint64_t count;
    if (read_all(fd, &count, sizeof count))
        return;
    for (uint64_t done = 0; done < count;) {
        size_t part = count - done < sizeof buffer ? (size_t)(count - done) : sizeof buffer;
        for (size_t i = 0; i < part; i++) {
            uint64_t at = done + i;
            buffer[i] = (unsigned char)(at ^ at >> 8 ^ at >> 16);
        }
        if (write_all(fd, buffer, part))
            return;
        done += part;
    }
    shutdown(fd, SHUT_WR);
    await_end(fd);
}

/* The same bytes again and again, for measuring. */
static void flood(int fd)
{
    uint64_t count;
    if (read_all(fd, &count, sizeof count))
        return;
    while (count > 0) {
        size_t part = count < sizeof buffer ? (size_t)count : sizeof buffer;
        if (write_all(fd, buffer, part))
            return;
        count -= part;
    }
    shutdown(fd, SHUT_WR);
    await_end(fd);
}

static int connect_to_host(uint32_t port)
{
    struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port};
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void connect_many(int fd)
{
    uint32_t order[2];
    if (read_all(fd, order, sizeof order))
        return;
    uint64_t good = 0;
    for (uint32_t i = 0; i < order[1]; i++) {
        pid_t child = fork();
        if (child < 0)
            die("fork");
        if (child == 0) {
            int host = connect_to_host(order[0]);
            _exit(host < 0 || echo(host));
        }
    }
    for (uint32_t i = 0; i < order[1]; i++) {
        int status;
        if (wait(&status) > 0 && status == 0)
            good++;
    }
    write_all(fd, &good, sizeof good);
}

static void serve(int fd)
{
    char what;
    if (read_all(fd, &what, 1))
        return;
    switch (what) {
    case 'E': echo(fd); break;
    case 'S': sink(fd); break;
    case 'G': generate(fd); break;
    case 'F': flood(fd); break;
    case 'H': poll(&(struct pollfd){.fd = fd}, 1, -1); break;
    case 'X': break;
    case 'C': connect_many(fd); break;
    default: printf("vsock-peer: what is %d?\n", what);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    struct sockaddr_vm here = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = (unsigned)atoi(argv[1])};
    int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (listener < 0)
        die("socket");
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 1024))
        die("listen");
    printf("vsock-peer ready\n");
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            die("accept");
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        pid_t child = fork();
        if (child < 0)
            die("fork");
        if (child == 0) {
            close(listener);
            serve(fd);
            close(fd);
            _exit(0);
        }
        close(fd);
    }
}
