#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frame.h"
#include "user.h"

// What an entry gets when it is complete.
struct attributes {
    mode_t mode;
    struct timespec modified;
};

static struct {
    struct wire *wire;
    char target[WIRE_MAX_PATH + 1], copy[WIRE_MAX_PATH + 1];
    const char *root; // the target's own name, in the directory at level 0
    bool root_seen;
    struct account owner;
    uint64_t entries, bytes;

    // directory[0] is the target's parent; directory[depth] the one that entries go to.
    size_t depth;
    int directory[WIRE_MAX_DEPTH + 1];
    size_t before[WIRE_MAX_DEPTH + 1]; // of the trail
    struct attributes attributes[WIRE_MAX_DEPTH + 1];

    int file; // that DATA goes to, or -1
    off_t offset;
    struct attributes file_attributes;
} c;

// The reason why the transfer ends here; an errno unless the text says it.
static bool refuse(enum wire_error code, const char *reason) {
    wire_send_error(c.wire->fd, code, 0, code == ERROR_FILE ? trail() : NULL, reason);
    return false;
}

static bool failed(void) {
    wire_send_error(c.wire->fd, ERROR_FILE, errno, trail(), strerror(errno));
    return false;
}

static bool make_parents(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        bool made = mkdir(path, 0755) == 0 || errno == EEXIST;
        *slash = '/';
        if (!made)
            return false;
    }
    return mkdir(path, 0755) == 0 || errno == EEXIST;
}

static bool open_target(void) {
    trail_start(c.target);
    strcpy(c.copy, c.target);
    char *parent = dirname(c.copy);
    if (!make_parents(parent))
        return failed();
    c.directory[0] = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c.directory[0] < 0)
        return failed();
    strcpy(c.copy, c.target);
    c.root = basename(c.copy);
    if (strcmp(c.root, "/") == 0)
        c.root = ".";
    return true;
}

// Directories are followed here only if they are directories: a link in one's place is refused.
static bool finish(int fd, const struct attributes *attributes) {
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, attributes->modified};
    if (c.owner.user.given && fchown(fd, c.owner.user.uid, c.owner.user.gid) < 0)
        return failed();
    return fchmod(fd, attributes->mode) < 0 || futimens(fd, times) < 0 ? failed() : true;
}

static bool remove_old(const char *name) {
    return unlinkat(c.directory[c.depth], name, 0) == 0 || errno == ENOENT ? true : failed();
}

static bool add_file(const char *name, const struct attributes *attributes) {
    if (!remove_old(name))
        return false;
    c.file = openat(c.directory[c.depth], name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (c.file < 0)
        return failed();
    c.offset = 0;
    c.file_attributes = *attributes;
    return true;
}

static bool add_folder(const char *name, const struct attributes *attributes) {
    if (c.depth == WIRE_MAX_DEPTH)
        return refuse(ERROR_FILE, "too many directories inside each other");
    if (mkdirat(c.directory[c.depth], name, 0700) < 0 && errno != EEXIST)
        return failed();
    int fd = openat(c.directory[c.depth], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return failed();
    c.depth++;
    c.directory[c.depth] = fd;
    c.attributes[c.depth] = *attributes;
    return true;
}

static bool add_link(const char *name, const char *target, const struct attributes *attributes) {
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, attributes->modified};
    int directory = c.directory[c.depth];
    if (!remove_old(name))
        return false;
    if (symlinkat(target, directory, name) < 0)
        return failed();
    if (c.owner.user.given && fchownat(directory, name, c.owner.user.uid, c.owner.user.gid, AT_SYMLINK_NOFOLLOW) < 0)
        return failed();
    return utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? failed() : true;
}

static bool is_component(const char *name, size_t length) {
    return length > 0 && length <= WIRE_MAX_NAME && !memchr(name, 0, length) && !memchr(name, '/', length) &&
           !(name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')));
}

static bool add_entry(const struct wire_frame *frame) {
    char name[WIRE_MAX_NAME + 1], target[WIRE_MAX_PATH + 1] = "";
    if (frame->length < COPY_ENTRY || c.file >= 0)
        return refuse(ERROR_PROTOCOL, "an entry at the wrong place");
    const char *text = (const char *)frame->payload + COPY_ENTRY;
    size_t length = frame->length - COPY_ENTRY;
    struct attributes attributes = {.mode = get_u16(frame->payload) & 07777,
                                    .modified = {(time_t)get_u64(frame->payload + 8), (long)get_u32(frame->payload + 4)}};
    if (attributes.modified.tv_nsec > 999999999)
        return refuse(ERROR_PROTOCOL, "a time that is none");
    if (frame->type == WIRE_LINK) {
        const char *end = memchr(text, 0, length);
        size_t rest = end ? length - (size_t)(end - text) - 1 : 0;
        if (rest == 0 || rest > WIRE_MAX_PATH || memchr(end + 1, 0, rest))
            return refuse(ERROR_PROTOCOL, "a link without a target");
        memcpy(target, end + 1, rest);
        target[rest] = 0;
        length = (size_t)(end - text);
    }
    if (c.depth == 0 ? c.root_seen || length > 0 : !is_component(text, length))
        return refuse(ERROR_PROTOCOL, "a name that is none");
    c.root_seen = true;
    c.entries++;
    memcpy(name, text, length);
    name[length] = 0;
    c.before[c.depth] = c.depth == 0 ? strlen(trail()) : trail_enter(name);
    const char *place = c.depth == 0 ? c.root : name;
    switch (frame->type) {
    case WIRE_FILE:
        return add_file(place, &attributes);
    case WIRE_FOLDER:
        return add_folder(place, &attributes);
    default:
        if (!add_link(place, target, &attributes))
            return false;
        trail_leave(c.before[c.depth]);
        return true;
    }
}

static bool add_data(const struct wire_frame *frame) {
    if (c.file < 0)
        return refuse(ERROR_PROTOCOL, "content without a file");
    if (!wire_write(c.file, frame->payload, frame->length))
        return failed();
    c.offset += (off_t)frame->length;
    c.bytes += frame->length;
    return true;
}

static bool add_hole(const struct wire_frame *frame) {
    if (c.file < 0 || frame->length < 8 || get_u64(frame->payload) > (uint64_t)(INT64_MAX - c.offset))
        return refuse(ERROR_PROTOCOL, "a hole without a file, or too large");
    c.offset = lseek(c.file, (off_t)get_u64(frame->payload), SEEK_CUR);
    return c.offset < 0 || ftruncate(c.file, c.offset) < 0 ? failed() : true;
}

static bool go_up(void) {
    int fd;
    bool done;
    if (c.file >= 0) {
        fd = c.file;
        done = finish(fd, &c.file_attributes);
        c.file = -1;
    } else if (c.depth > 0) {
        fd = c.directory[c.depth];
        done = finish(fd, &c.attributes[c.depth]);
        c.depth--;
    } else {
        return refuse(ERROR_PROTOCOL, "an end without a beginning");
    }
    close(fd);
    trail_leave(c.before[c.depth]);
    return done;
}

static bool set_owner(const struct wire_frame *frame) {
    char text[256];
    if (!wire_text(frame, text, sizeof text - 1))
        return refuse(ERROR_PROTOCOL, "no name of a user");
    const char *problem = user_find(&c.owner, text);
    if (problem)
        wire_send_error(c.wire->fd, ERROR_FILE, 0, text, problem);
    return !problem;
}

static bool finish_transfer(void) {
    uint8_t payload[16];
    if (!c.root_seen || c.depth > 0 || c.file >= 0)
        return refuse(ERROR_PROTOCOL, "an end in the middle");
    put_u64(payload, c.entries);
    put_u64(payload + 8, c.bytes);
    wire_send(c.wire->fd, WIRE_DONE, payload, sizeof payload);
    return false;
}

static bool take(const struct wire_frame *frame) {
    switch (frame->type) {
    case WIRE_USER:
        return set_owner(frame);
    case WIRE_FILE:
    case WIRE_FOLDER:
    case WIRE_LINK:
        return add_entry(frame);
    case WIRE_DATA:
        return add_data(frame);
    case WIRE_HOLE:
        return add_hole(frame);
    case WIRE_UP:
        return go_up();
    case WIRE_DONE:
        return finish_transfer();
    default:
        return true; // of a later version
    }
}

void copy_in(struct wire *wire) {
    struct wire_frame frame;
    c.wire = wire;
    c.file = -1; // here: an initializer would put all of it into the binary
    umask(0);
    if (!wire_next(wire, &frame))
        return;
    if (frame.type != WIRE_PATH || !wire_text(&frame, c.target, WIRE_MAX_PATH)) {
        refuse(ERROR_PROTOCOL, "no path");
        return;
    }
    if (!open_target())
        return;
    while (wire_next(wire, &frame) && take(&frame)) {
    }
}
