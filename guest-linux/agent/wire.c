#include "wire.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"

int wire_take(struct wire *wire, struct wire_frame *frame) {
    size_t have = wire->have - wire->at;
    if (have < WIRE_HEADER)
        return 0;
    const uint8_t *header = wire->bytes + wire->at;
    size_t length = get_u32(header) & 0xFFFFFF;
    if (length > WIRE_MAX_PAYLOAD)
        return -1;
    if (have < WIRE_HEADER + length)
        return 0;
    *frame = (struct wire_frame){header[3], header + WIRE_HEADER, length};
    wire->at += WIRE_HEADER + length;
    return 1;
}

long wire_fill(struct wire *wire) {
    if (wire->at > 0) {
        wire->have -= wire->at;
        memmove(wire->bytes, wire->bytes + wire->at, wire->have);
        wire->at = 0;
    }
    ssize_t n = read(wire->fd, wire->bytes + wire->have, sizeof wire->bytes - wire->have);
    if (n > 0)
        wire->have += (size_t)n;
    return n;
}

bool wire_next(struct wire *wire, struct wire_frame *frame) {
    int taken;
    while ((taken = wire_take(wire, frame)) == 0) {
        long n = wire_fill(wire);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
    }
    if (taken < 0)
        wire_send_error(wire->fd, ERROR_PROTOCOL, 0, NULL, "a frame is too long");
    return taken > 0;
}

void wire_header(uint8_t *at, uint8_t type, size_t length) {
    put_u32(at, (uint32_t)length | (uint32_t)type << 24);
}

bool wire_write(int fd, const void *bytes, size_t length) {
    for (const uint8_t *at = bytes; length > 0;) {
        ssize_t n = write(fd, at, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

bool wire_send(int fd, uint8_t type, const void *payload, size_t length) {
    uint8_t small[WIRE_HEADER + 512];
    wire_header(small, type, length);
    if (length <= sizeof small - WIRE_HEADER) {
        if (length > 0)
            memcpy(small + WIRE_HEADER, payload, length);
        return wire_write(fd, small, WIRE_HEADER + length);
    }
    return wire_write(fd, small, WIRE_HEADER) && wire_write(fd, payload, length);
}

static size_t append(uint8_t *out, size_t at, const char *text) {
    size_t length = strlen(text), room = WIRE_ERROR_MAX - at;
    if (length > room)
        length = room;
    memcpy(out + at, text, length);
    return at + length;
}

size_t wire_encode_error(uint8_t *out, enum wire_error code, int error, const char *subject, const char *reason) {
    size_t size = WIRE_HEADER + 4;
    put_u16(out + WIRE_HEADER, (uint16_t)code);
    put_u16(out + WIRE_HEADER + 2, (uint16_t)error);
    if (subject) {
        size = append(out, size, subject);
        size = append(out, size, ": ");
    }
    size = append(out, size, reason);
    wire_header(out, WIRE_ERROR, size - WIRE_HEADER);
    return size;
}

void wire_send_error(int fd, enum wire_error code, int error, const char *subject, const char *reason) {
    uint8_t frame[WIRE_ERROR_MAX];
    wire_write(fd, frame, wire_encode_error(frame, code, error, subject, reason));
}

bool wire_text(const struct wire_frame *frame, char *out, size_t most) {
    if (frame->length == 0 || frame->length > most || memchr(frame->payload, 0, frame->length))
        return false;
    memcpy(out, frame->payload, frame->length);
    out[frame->length] = 0;
    return true;
}
