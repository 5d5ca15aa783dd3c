#include "copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frame.h"

static int connection;
static uint64_t entries, bytes, skipped;

static char path[WIRE_MAX_PATH + 1 + WIRE_MAX_NAME + 1];
static size_t path_length;

const char *trail(void) {
    return path;
}

void trail_start(const char *start) {
    path_length = strlen(start);
    if (path_length > WIRE_MAX_PATH)
        path_length = WIRE_MAX_PATH;
    memcpy(path, start, path_length);
    path[path_length] = 0;
}

// Of a path that is longer than a path can be, the end is missing.
size_t trail_enter(const char *name) {
    size_t before = path_length, length = strlen(name);
    if (path_length + 1 + length < sizeof path) {
        if (path_length == 0 || path[path_length - 1] != '/')
            path[path_length++] = '/';
        memcpy(path + path_length, name, length + 1);
        path_length += length;
    }
    return before;
}

void trail_leave(size_t before) {
    path_length = before;
    path[before] = 0;
}

static bool refuse(const char *reason) {
    wire_send_error(connection, ERROR_FILE, 0, trail(), reason);
    return false;
}

static bool failed(void) {
    wire_send_error(connection, ERROR_FILE, errno, trail(), strerror(errno));
    return false;
}

static bool send_entry(uint8_t type, const struct stat *status, const char *name, const char *target, size_t target_length) {
    static uint8_t payload[COPY_ENTRY + WIRE_MAX_NAME + 1 + WIRE_MAX_PATH];
    size_t length = strlen(name);
    put_u16(payload, status->st_mode & 07777);
    put_u16(payload + 2, 0);
    put_u32(payload + 4, (uint32_t)status->st_mtim.tv_nsec);
    put_u64(payload + 8, (uint64_t)status->st_mtim.tv_sec);
    memcpy(payload + COPY_ENTRY, name, length);
    length += COPY_ENTRY;
    if (target) {
        payload[length++] = 0;
        memcpy(payload + length, target, target_length);
        length += target_length;
    }
    entries++;
    return wire_send(connection, type, payload, length);
}

static bool send_hole(off_t length) {
    uint8_t payload[8];
    put_u64(payload, (uint64_t)length);
    return wire_send(connection, WIRE_HOLE, payload, sizeof payload);
}

// Sends up to most bytes from where the file is. Returns how many, or -1 when the transfer is over.
static off_t send_bytes(int fd, off_t most) {
    static uint8_t frame[WIRE_HEADER + WIRE_MAX_PAYLOAD];
    off_t sent = 0;
    while (sent < most) {
        size_t room = most - sent < WIRE_MAX_PAYLOAD ? (size_t)(most - sent) : WIRE_MAX_PAYLOAD;
        ssize_t n = read(fd, frame + WIRE_HEADER, room);
        if (n < 0) {
            failed();
            return -1;
        }
        if (n == 0)
            break;
        wire_header(frame, WIRE_DATA, (size_t)n);
        if (!wire_write(connection, frame, WIRE_HEADER + (size_t)n))
            return -1;
        sent += n;
        bytes += (uint64_t)n;
    }
    return sent;
}

// A file with holes: what lseek says is between them.
static bool send_sparse(int fd, off_t size) {
    for (off_t at = 0; at < size;) {
        off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0 || data > size) // ENXIO: nothing but a hole
            data = size;
        if (data > at && !send_hole(data - at))
            return false;
        if (data == size)
            return true;
        off_t end = lseek(fd, data, SEEK_HOLE);
        if (end < 0 || end > size)
            end = size;
        if (lseek(fd, data, SEEK_SET) < 0)
            return failed();
        off_t sent = send_bytes(fd, end - data);
        if (sent < 0)
            return false;
        if (sent < end - data)
            return true; // it was cut meanwhile
        at = end;
    }
    return true;
}

static bool send_file(int fd, const struct stat *status, const char *name) {
    if (!send_entry(WIRE_FILE, status, name, NULL, 0))
        return false;
    bool sparse = status->st_blocks < status->st_size / 512;
    // Files of /proc have no size and content nevertheless: up to the end, whatever the size.
    bool done = sparse ? send_sparse(fd, status->st_size) : send_bytes(fd, INT64_MAX) >= 0;
    return done && wire_send(connection, WIRE_UP, NULL, 0);
}

static bool send_tree(int fd, const struct stat *status, const char *name, unsigned depth);

static bool send_child(int directory, const char *name, unsigned depth) {
    struct stat status;
    char target[WIRE_MAX_PATH];
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? true : failed(); // gone meanwhile
    if (S_ISLNK(status.st_mode)) {
        ssize_t length = readlinkat(directory, name, target, sizeof target);
        return length < 0 ? failed() : send_entry(WIRE_LINK, &status, name, target, (size_t)length);
    }
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
        skipped++;
        return true;
    }
    // Not blocking, in case it has become a pipe meanwhile.
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return failed();
    bool done = send_tree(fd, &status, name, depth);
    close(fd);
    return done;
}

static bool send_folder(int fd, const struct stat *status, const char *name, unsigned depth) {
    if (depth == WIRE_MAX_DEPTH)
        return refuse("too many directories inside each other");
    if (!send_entry(WIRE_FOLDER, status, name, NULL, 0))
        return false;
    DIR *directory = fdopendir(dup(fd));
    if (!directory)
        return failed();
    bool done = true;
    for (struct dirent *entry; done && (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        size_t before = trail_enter(entry->d_name);
        done = send_child(fd, entry->d_name, depth + 1);
        trail_leave(before);
    }
    closedir(directory);
    return done && wire_send(connection, WIRE_UP, NULL, 0);
}

static bool send_tree(int fd, const struct stat *status, const char *name, unsigned depth) {
    if (S_ISREG(status->st_mode))
        return send_file(fd, status, name);
    if (S_ISDIR(status->st_mode))
        return send_folder(fd, status, name, depth);
    return refuse("neither a file nor a directory");
}

void copy_out(struct wire *wire) {
    char source[WIRE_MAX_PATH + 1];
    struct wire_frame frame;
    struct stat status;
    uint8_t payload[24];
    connection = wire->fd;
    if (!wire_next(wire, &frame))
        return;
    if (frame.type != WIRE_PATH || !wire_text(&frame, source, WIRE_MAX_PATH)) {
        wire_send_error(connection, ERROR_PROTOCOL, 0, NULL, "no path");
        return;
    }
    trail_start(source);
    int fd = open(source, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) {
        failed();
        return;
    }
    if (!send_tree(fd, &status, "", 0))
        return;
    put_u64(payload, entries);
    put_u64(payload + 8, bytes);
    put_u64(payload + 16, skipped);
    wire_send(connection, WIRE_DONE, payload, sizeof payload);
    // Until the host has taken it all.
    while (wire_next(wire, &frame)) {
    }
}
