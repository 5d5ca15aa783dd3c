#include "status.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "frame.h"
#include "wire.h"

// A line of /proc/meminfo, in bytes; 0 when there is none.
static uint64_t memory(const char *text, const char *name) {
    const char *at = strstr(text, name);
    return at ? (uint64_t)strtoull(at + strlen(name), NULL, 10) << 10 : 0;
}

void status_send(int connection) {
    char text[2048] = "";
    uint8_t payload[8 * 4 + 4 * 2];
    struct sysinfo info = {0};
    struct timespec now;
    FILE *file = fopen("/proc/meminfo", "re");
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
    }
    sysinfo(&info);
    clock_gettime(CLOCK_BOOTTIME, &now);
    put_u64(payload, memory(text, "MemTotal:"));
    put_u64(payload + 8, memory(text, "MemFree:"));
    put_u64(payload + 16, memory(text, "MemAvailable:"));
    put_u64(payload + 24, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    put_u32(payload + 32, info.procs);
    put_u32(payload + 36, (uint32_t)(info.loads[0] * 100 >> SI_LOAD_SHIFT));
    wire_send(connection, WIRE_STATUS, payload, sizeof payload);
}
