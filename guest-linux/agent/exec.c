#include "exec.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "frame.h"
#include "session.h"
#include "user.h"

enum { START_MERGED = 1, DEFAULTS = 6 };

// NUL-terminated strings, one behind the other. The address space is there from the beginning, the memory as it is needed.
struct strings {
    char *bytes;
    size_t length, count;
};

static struct {
    struct strings arguments, environment;
    char directory[WIRE_MAX_PATH + 1];
    char user[256];
    struct account account;
    char defaults[DEFAULTS][300];
} request;

static bool add_strings(struct strings *strings, const struct wire_frame *frame) {
    if (frame->length > WIRE_MAX_STRINGS - strings->length)
        return false;
    if (!strings->bytes) {
        void *memory = mmap(NULL, WIRE_MAX_STRINGS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED)
            return false;
        strings->bytes = memory;
    }
    memcpy(strings->bytes + strings->length, frame->payload, frame->length);
    strings->length += frame->length;
    for (size_t i = 0; i < frame->length; i++)
        strings->count += frame->payload[i] == 0;
    return true;
}

static bool complete(const struct strings *strings) {
    return strings->length == 0 || strings->bytes[strings->length - 1] == 0;
}

static char **pointers(const struct strings *strings, size_t extra) {
    size_t size = (strings->count + extra + 1) * sizeof(char *);
    char **list = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (list == MAP_FAILED)
        return NULL;
    char *at = strings->bytes;
    for (size_t i = 0; i < strings->count; i++, at += strlen(at) + 1)
        list[i] = at;
    return list;
}

static bool has_variable(char *const *list, const char *entry) {
    size_t key = (size_t)(strchr(entry, '=') - entry) + 1;
    for (; *list; list++)
        if (strncmp(*list, entry, key) == 0)
            return true;
    return false;
}

// What the environment gets unless the host has set it.
static void add_defaults(char **list, size_t count, bool has_terminal) {
    const struct account *account = &request.account;
    const char *name = account->user.given ? account->name : "root", *home = account->user.given ? account->home : "/root";
    const char *const formats[DEFAULTS] = {"PATH=%s", "HOME=%s", "USER=%s", "LOGNAME=%s", "SHELL=%s", "TERM=%s"};
    const char *const values[DEFAULTS] = {"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", home, name, name, "/bin/sh",
                                          has_terminal ? "vt220" : NULL};
    for (size_t i = 0; i < DEFAULTS && values[i]; i++) {
        snprintf(request.defaults[i], sizeof request.defaults[i], formats[i], values[i]);
        if (!has_variable(list, request.defaults[i]))
            list[count++] = request.defaults[i];
    }
}

// Takes a frame of the request. NULL, or what is wrong with it.
static const char *take(const struct wire_frame *frame, struct session *session) {
    switch (frame->type) {
    case WIRE_ARGUMENTS:
        return add_strings(&request.arguments, frame) ? NULL : "the arguments are too long";
    case WIRE_ENVIRONMENT:
        return add_strings(&request.environment, frame) ? NULL : "the environment is too long";
    case WIRE_DIRECTORY:
        session->program.directory = request.directory;
        return wire_text(frame, request.directory, WIRE_MAX_PATH) ? NULL : "no name of a directory";
    case WIRE_USER:
        return wire_text(frame, request.user, sizeof request.user - 1) ? NULL : "no name of a user";
    case WIRE_TERMINAL:
        if (frame->length < 4)
            return "no size of a terminal";
        session->has_terminal = true;
        session->rows = get_u16(frame->payload);
        session->columns = get_u16(frame->payload + 2);
        return NULL;
    default:
        return NULL; // of a later version
    }
}

static const char *prepare(struct session *session) {
    if (request.arguments.count == 0 || request.arguments.bytes[0] == 0)
        return "no program";
    if (!complete(&request.arguments) || !complete(&request.environment))
        return "a string that does not end";
    struct program *program = &session->program;
    program->argv = pointers(&request.arguments, 0);
    program->environment = pointers(&request.environment, DEFAULTS);
    if (!program->argv || !program->environment)
        return "no memory";
    for (size_t i = 0; i < request.environment.count; i++)
        if (!strchr(program->environment[i], '='))
            return "a variable without a value";
    add_defaults(program->environment, request.environment.count, session->has_terminal);
    program->string_bytes = request.arguments.length + request.environment.length + sizeof request.defaults +
                            (request.arguments.count + request.environment.count) * sizeof(char *);
    return NULL;
}

void exec_serve(struct wire *wire, bool is_init) {
    struct session session = {.wire = wire, .is_init = is_init, .report = -1};
    struct wire_frame frame;
    const char *problem = NULL;
    while (wire_next(wire, &frame) && frame.type != WIRE_START && !(problem = take(&frame, &session))) {
    }
    if (!problem && frame.type != WIRE_START)
        return; // the host is gone
    if (!problem && request.user[0]) {
        const char *unknown = user_find(&request.account, request.user);
        session.program.user = request.account.user;
        if (unknown) {
            wire_send_error(wire->fd, ERROR_CANNOT_RUN, 0, request.user, unknown);
            return;
        }
    }
    session.merged = !problem && frame.length > 0 && (frame.payload[0] & START_MERGED);
    if (!problem)
        problem = prepare(&session);
    if (problem) {
        wire_send_error(wire->fd, ERROR_PROTOCOL, 0, NULL, problem);
        return;
    }
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL); // TERM is its business now
    session_run(&session);
}
