// Frames of the control channel. Specification: docs/control-channel.md.
#ifndef THIMBLE_FRAME_H
#define THIMBLE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_SYNC = 0xA5,
    FRAME_HEADER = 4, // sync u8, type u8, length u16
    FRAME_CRC = 2,
    FRAME_MAX_PAYLOAD = 512,
    FRAME_MAX = FRAME_HEADER + FRAME_MAX_PAYLOAD + FRAME_CRC,
    PROTOCOL_VERSION = 1,
};

// Guest to host.
enum {
    FRAME_HELLO = 0x01,
    FRAME_READY = 0x02,
    FRAME_EXIT = 0x03,
    FRAME_STOPPING = 0x04,
    FRAME_LOG = 0x05,
    FRAME_INPUT_TAKEN = 0x06,
};

// Host to guest.
enum {
    FRAME_SHUTDOWN = 0x81,
    FRAME_WINDOW_SIZE = 0x82,
    FRAME_INPUT_END = 0x83,
};

// Receives each frame whose CRC is right; payload is valid during the call only.
typedef void frame_handler(uint8_t type, const uint8_t *payload, size_t length);

// Decoder state; all zero is the initial state.
struct frame_decoder {
    size_t used;
    uint8_t buffer[FRAME_MAX];
};

void put_u16(uint8_t *at, uint16_t value);
void put_u32(uint8_t *at, uint32_t value);
void put_u64(uint8_t *at, uint64_t value);
uint16_t get_u16(const uint8_t *at);
uint32_t get_u32(const uint8_t *at);
uint64_t get_u64(const uint8_t *at);

// Encodes a frame into out (FRAME_MAX bytes) and returns its size. A longer payload is cut to FRAME_MAX_PAYLOAD.
size_t frame_encode(uint8_t *out, uint8_t type, const void *payload, size_t length);

// Feeds bytes; bytes that belong to no valid frame are skipped.
void frame_decode(struct frame_decoder *decoder, const uint8_t *bytes, size_t length, frame_handler *handler);

#endif
