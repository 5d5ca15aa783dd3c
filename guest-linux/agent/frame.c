#include "frame.h"

#include <string.h>

void put_u16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

void put_u32(uint8_t *at, uint32_t value) {
    put_u16(at, (uint16_t)value);
    put_u16(at + 2, (uint16_t)(value >> 16));
}

void put_u64(uint8_t *at, uint64_t value) {
    put_u32(at, (uint32_t)value);
    put_u32(at + 4, (uint32_t)(value >> 32));
}

uint16_t get_u16(const uint8_t *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}

uint32_t get_u32(const uint8_t *at) {
    return get_u16(at) | (uint32_t)get_u16(at + 2) << 16;
}

uint64_t get_u64(const uint8_t *at) {
    return get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

// CRC-16/IBM-3740: polynomial 0x1021, initial value 0xFFFF, no reflection. Bitwise: a frame is some ten bytes, and a table would cost two pages.
static uint16_t crc16(const uint8_t *bytes, size_t length) {
    uint16_t crc = 0xFFFF;
    for (size_t i = 0; i < length; i++) {
        crc ^= (uint16_t)(bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

size_t frame_encode(uint8_t *out, uint8_t type, const void *payload, size_t length) {
    if (length > FRAME_MAX_PAYLOAD)
        length = FRAME_MAX_PAYLOAD;
    out[0] = FRAME_SYNC;
    out[1] = type;
    put_u16(out + 2, (uint16_t)length);
    if (length > 0)
        memcpy(out + FRAME_HEADER, payload, length);
    put_u16(out + FRAME_HEADER + length, crc16(out + 1, FRAME_HEADER - 1 + length));
    return FRAME_HEADER + length + FRAME_CRC;
}

// How many bytes at the start are settled: a whole frame (delivered), or bytes that start none; 0 = more bytes are needed.
static size_t settle(const uint8_t *bytes, size_t used, frame_handler *handler) {
    if (bytes[0] != FRAME_SYNC) {
        const uint8_t *next = memchr(bytes, FRAME_SYNC, used);
        return next ? (size_t)(next - bytes) : used;
    }
    if (used < FRAME_HEADER)
        return 0;
    size_t length = get_u16(bytes + 2);
    if (length > FRAME_MAX_PAYLOAD)
        return 1;
    if (used < FRAME_HEADER + length + FRAME_CRC)
        return 0;
    if (crc16(bytes + 1, FRAME_HEADER - 1 + length) != get_u16(bytes + FRAME_HEADER + length))
        return 1;
    handler(bytes[1], bytes + FRAME_HEADER, length);
    return FRAME_HEADER + length + FRAME_CRC;
}

void frame_decode(struct frame_decoder *decoder, const uint8_t *bytes, size_t length, frame_handler *handler) {
    while (length > 0) {
        size_t chunk = sizeof decoder->buffer - decoder->used;
        if (chunk > length)
            chunk = length;
        memcpy(decoder->buffer + decoder->used, bytes, chunk);
        decoder->used += chunk;
        bytes += chunk;
        length -= chunk;
        size_t at = 0;
        while (at < decoder->used) {
            size_t settled = settle(decoder->buffer + at, decoder->used - at, handler);
            if (settled == 0)
                break;
            at += settled;
        }
        decoder->used -= at;
        memmove(decoder->buffer, decoder->buffer + at, decoder->used);
    }
}
