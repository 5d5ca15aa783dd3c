// A guest without an operating system that does to every virtio-mmio device what no driver should: random accesses to its
// registers, and rings and chains of which most are wrong in some way, for ever. Made a flat 64-bit program at 1 MiB, with the first
// 4 GiB mapped one to one. Prints "ready", then a dot each ROUNDS steps. -DSEED=... is the random numbers' beginning.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long u64;

__asm__(".globl _start\n_start: movl $0x1f0000, %esp\n call run\n");

enum {
    WINDOWS = 0xd0000000,
    WINDOW = 0x1000,
    MOST = 16,
    ROUNDS = 64,
    COM1 = 0x3f8,
    // What a broken device may overwrite: behind this program, below the end of 64 MiB.
    AREA = 4 << 20,
    AREA_SIZE = 32 << 20,
    QUEUE_NUM = 0x38,
    QUEUE_NUM_MAX = 0x34,
    STATUS = 0x70,
    NOTIFY = 0x50,
};

static u64 random_state = SEED;

static u32 rnd(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (u32)(random_state >> 16);
}

static u32 below(u32 limit) {
    return (u32)((u64)(u16)rnd() * limit >> 16);
}

static u32 read32(u64 at) {
    return *(volatile u32 *)at;
}

static void write32(u64 at, u32 value) {
    *(volatile u32 *)at = value;
}

static void print(const char *text) {
    for (; *text; text++)
        __asm__ volatile("outb %0, %1" : : "a"(*text), "Nd"((u16)COM1));
}

// An address that is good mostly: else anywhere, beyond memory, or at its very end.
static u64 address(u32 alignment) {
    switch (below(24)) {
    case 0:
        return (u64)rnd() << 32 | rnd();
    case 1:
        return 0xffffffffffff0000ul + rnd() % 0x10000;
    case 2:
        return (64ul << 20) - below(4096);
    case 3:
        return AREA + rnd() % AREA_SIZE;
    default:
        return AREA + (rnd() % AREA_SIZE & -alignment);
    }
}

static u32 length(void) {
    switch (below(12)) {
    case 0:
        return rnd();
    case 1:
        return 0;
    case 2:
        return rnd() % (1 << 20);
    default:
        return 1 + below(4096);
    }
}

struct queue {
    u64 descriptors, driver;
    u32 size, index;
};

static void set_up_queue(u64 base, u32 index, struct queue *queue) {
    write32(base + 0x30, index);
    u32 most = read32(base + QUEUE_NUM_MAX);
    queue->size = below(16) ? 1u << below(8) : rnd();
    if (queue->size > most && below(8))
        queue->size = most;
    queue->descriptors = address(16);
    queue->driver = address(2);
    u64 device = address(4);
    queue->index = 0;
    if (queue->driver >= AREA && queue->driver < AREA + AREA_SIZE)
        write32(queue->driver & ~3ul, 0);
    write32(base + QUEUE_NUM, queue->size);
    write32(base + 0x80, (u32)queue->descriptors);
    write32(base + 0x84, (u32)(queue->descriptors >> 32));
    write32(base + 0x90, (u32)queue->driver);
    write32(base + 0x94, (u32)(queue->driver >> 32));
    write32(base + 0xa0, (u32)device);
    write32(base + 0xa4, (u32)(device >> 32));
    write32(base + 0x44, below(16) ? 1 : rnd());
}

static int writable(u64 at, u64 size) {
    return at >= AREA && at <= AREA + AREA_SIZE - size;
}

static void fill_ring(struct queue *queue) {
    u32 size = queue->size & 0xff;
    if (!size || !writable(queue->descriptors, 16 * 256) || !writable(queue->driver, 1024))
        return;
    for (u32 i = 0; i < 1 + below(12); i++) {
        u64 at = queue->descriptors + 16 * below(size);
        u64 buffer = address(1);
        *(volatile u64 *)at = buffer;
        write32(at + 8, length());
        // Flags: NEXT, WRITE, INDIRECT; and the next descriptor.
        write32(at + 12, (below(8) ? below(4) : rnd()) | (below(8) ? below(size) : rnd()) << 16);
        if (writable(buffer, 64)) // what a device takes for a header
            for (u32 word = 0; word < 11; word++)
                write32(buffer + 4 * word, below(3) ? below(16) : rnd());
    }
    u32 more = below(16) ? 1 + below(3) : rnd();
    for (u32 i = 0; i < (more & 7); i++)
        *(volatile u16 *)(queue->driver + 4 + 2 * ((queue->index + i) & (size - 1))) = (u16)(below(16) ? below(size) : rnd());
    queue->index += more;
    *(volatile u16 *)queue->driver = (u16)below(2);
    *(volatile u16 *)(queue->driver + 2) = (u16)queue->index;
}

// A driver's steps with one of them wrong now and then, then rings at work.
static void drive(u64 base) {
    struct queue queues[8];
    write32(base + STATUS, 0);
    write32(base + STATUS, 1);
    write32(base + STATUS, 3);
    for (u32 half = 0; half < 2; half++) {
        write32(base + 0x14, half);
        u32 offered = read32(base + 0x10);
        write32(base + 0x24, half);
        write32(base + 0x20, below(20) ? offered & (rnd() | half) : rnd());
    }
    write32(base + STATUS, 11);
    u32 count = 2 + below(7);
    for (u32 i = 0; i < count; i++)
        set_up_queue(base, below(16) ? i : rnd(), &queues[i]);
    write32(base + STATUS, below(16) ? 15 : rnd());
    for (u32 i = 0; i < 1 + below(20); i++) {
        u32 queue = below(count);
        fill_ring(&queues[queue]);
        write32(base + NOTIFY, below(16) ? queue : rnd());
        if (!below(8))
            write32(base + 0x100 + 4 * below(16), rnd());
        write32(base + 0x64, read32(base + 0x60));
    }
}

static void poke(u64 base) {
    u64 at = base + (below(8) ? 4 * below(80) : rnd() % WINDOW);
    switch (below(6)) {
    case 0:
        *(volatile u8 *)at = (u8)rnd();
        break;
    case 1:
        *(volatile u16 *)(at & ~1ul) = (u16)rnd();
        break;
    case 2:
        *(volatile u64 *)(at & ~7ul) = (u64)rnd() << 32 | rnd();
        break;
    case 3:
        (void)*(volatile u64 *)(at & ~7ul);
        break;
    case 4:
        (void)read32(at & ~3ul);
        break;
    default:
        write32(at & ~3ul, below(3) ? below(256) : rnd());
    }
}

void run(void) {
    u64 devices[MOST];
    u32 count = 0;
    for (u32 i = 0; i < MOST; i++) {
        u64 base = WINDOWS + (u64)i * WINDOW;
        if (read32(base) == 0x74726976)
            devices[count++] = base;
    }
    char found[3] = {'0' + count / 10, '0' + count % 10, 0};
    print(found);
    print(" devices\n");
    for (u32 round = 0;; round++) {
        u64 base = devices[below(count)];
        if (below(3))
            drive(base);
        else
            for (u32 i = 0; i < 32; i++)
                poke(base);
        if (!(round & (ROUNDS - 1)))
            print(".");
    }
}
