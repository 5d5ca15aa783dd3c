// touch-memory MIB ACCESSES: takes memory page by page, then reads words of it by chance. Prints nanoseconds a page and a read.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static double nanos(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

int main(int count, char **arguments) {
    if (count != 3)
        return 64;
    size_t size = strtoul(arguments[1], NULL, 10) << 20;
    long accesses = strtol(arguments[2], NULL, 10);
    volatile uint64_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    double begin = nanos();
    for (size_t at = 0; at < size / 8; at += 512)
        memory[at] = at;
    double taken = nanos();
    uint64_t state = 88172645463325252u, sum = 0;
    for (long i = 0; i < accesses; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sum += memory[state % (size / 8)];
    }
    double done = nanos();
    printf("TOUCHED %.1f %.2f %d\n", (taken - begin) / (size >> 12), (done - taken) / accesses, (int)(sum & 1));
}
