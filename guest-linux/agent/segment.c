#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Far above what execve takes (6 MiB), so that too long a list is refused by execve with its own error.
#define MAX_FILE ((off_t)64 << 20)

static const char *const FILES[] = {"argv", "env", "hostname", "cwd", "control", "winsize", "console", "session", "listen", "user", "idle"};

// Memory that is never given back. The first malloc of a process costs 0.4 ms on a host without hardware virtualization, a tenth of what
// the agent takes to start the command: short lists come out of a page that is there anyway.
static void *allocate(size_t size) {
    static _Alignas(char *) char page[4096];
    static size_t used;
    size = (size + sizeof(char *) - 1) & ~(sizeof(char *) - 1);
    if (size <= sizeof page - used) {
        used += size;
        return page + used - size;
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

struct content {
    char *bytes; // NUL-terminated; NULL when the file is absent
    size_t length;
};

static const char *read_file(struct content *content, int directory, const char *name) {
    *content = (struct content){0};
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NULL : "a file of the command segment cannot be opened";
    const char *problem = "a file of the command segment cannot be read";
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= MAX_FILE) {
        size_t length = (size_t)status.st_size;
        char *bytes = allocate(length + 1);
        size_t have = 0;
        while (bytes && have < length) {
            ssize_t n = read(fd, bytes + have, length - have);
            if (n <= 0)
                break;
            have += (size_t)n;
        }
        if (bytes && have == length) {
            bytes[length] = 0;
            *content = (struct content){bytes, length};
            problem = NULL;
        }
    }
    close(fd);
    return problem;
}

// Splits NUL-terminated strings into pointers, with room for extra more and the final NULL.
static char **split(const struct content *content, size_t extra, size_t *count) {
    *count = 0;
    for (size_t i = 0; i < content->length; i++)
        *count += content->bytes[i] == 0;
    if (content->length > 0 && content->bytes[content->length - 1] != 0)
        ++*count;
    char **list = allocate((*count + extra + 1) * sizeof *list);
    if (list) {
        char *at = content->bytes;
        for (size_t i = 0; i < *count; i++, at += strlen(at) + 1)
            list[i] = at;
        list[*count] = NULL;
    }
    return list;
}

static bool has_key(char *const *list, size_t count, const char *entry) {
    size_t key = (size_t)(strchrnul(entry, '=') - entry);
    for (size_t i = 0; i < count; i++)
        if (strncmp(list[i], entry, key) == 0 && list[i][key] == '=')
            return true;
    return false;
}

static size_t bytes_of(char *const *list) {
    size_t bytes = sizeof *list;
    for (; *list; list++)
        bytes += sizeof *list + strlen(*list) + 1;
    return bytes;
}

static const char *parse(struct segment *segment, const struct content *files, char *const base[]) {
    size_t count, bases = 0;
    if (files[0].length > 0) {
        segment->argv = split(&files[0], 0, &count);
        if (!segment->argv)
            return "no memory for the command's arguments";
    }
    while (base[bases])
        bases++;
    segment->env = split(&files[1], bases, &count);
    if (!segment->env)
        return "no memory for the command's environment";
    size_t own = count;
    for (size_t i = 0; i < bases; i++)
        if (!has_key(segment->env, own, base[i]))
            segment->env[count++] = base[i];
    segment->env[count] = NULL;
    segment->string_bytes = bytes_of(segment->env) + (segment->argv ? bytes_of(segment->argv) : 0);
    segment->hostname = files[2].bytes;
    segment->cwd = files[3].bytes;
    segment->control = files[4].bytes;
    if (files[5].bytes) {
        char *rest;
        segment->rows = (uint16_t)strtoul(files[5].bytes, &rest, 10);
        segment->columns = (uint16_t)strtoul(rest, NULL, 10);
    }
    segment->stream = files[6].bytes && strcmp(files[6].bytes, "stream") == 0;
    segment->session = files[7].bytes;
    segment->listen = files[8].bytes;
    segment->user = files[9].bytes;
    segment->idle = files[10].bytes != NULL;
    return NULL;
}

const char *segment_read(struct segment *segment, const char *directory, char *const base[]) {
    enum { COUNT = sizeof FILES / sizeof *FILES };
    struct content files[COUNT] = {0};
    *segment = (struct segment){0};
    const char *problem = NULL;
    int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        for (size_t i = 0; i < COUNT && !problem; i++)
            problem = read_file(&files[i], fd, FILES[i]);
        close(fd);
    }
    const char *unparsed = parse(segment, files, base);
    return problem ? problem : unparsed;
}

void segment_remove(const char *directory) {
    int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        unlinkat(fd, FILES[i], 0);
    close(fd);
    rmdir(directory);
}
