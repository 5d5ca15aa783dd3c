// A guest without an operating system that does to every virtio-mmio device what no driver should: random accesses to its
// registers, and rings and chains, split and packed, of which most are wrong in some way, for ever. Made a flat 64-bit program near the end
// of its 64 MiB, so that small numbers that a balloon takes for pages' do not name its own. Prints how many devices there are, then a dot
// each ROUNDS steps. -DSEED=... is the random numbers' beginning.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long u64;

__asm__(".globl _start\n_start: movl $0x38f0000, %esp\n call run\n");

enum {
    WINDOWS = 0xd0000000,
    WINDOW = 0x1000,
    MOST = 16,
    ROUNDS = 64,
    COM1 = 0x3f8,
    // What a broken device may overwrite: behind this program, below the end of 64 MiB.
    AREA = 4 << 20,
    AREA_SIZE = 32 << 20,
    TABLES = 0x3900000,
    BALLOON = 5, // its device ID
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
    u32 size, index, packed, balloon;
};

static void set_up_queue(u64 base, u32 index, struct queue *queue) {
    write32(base + 0x30, index);
    u32 most = read32(base + QUEUE_NUM_MAX);
    queue->size = below(16) ? 1u << below(8) : rnd();
    if (queue->size > most && below(8))
        queue->size = most;
    queue->descriptors = address(16);
    queue->driver = address(queue->packed ? 4 : 2);
    u64 device = address(4);
    queue->index = 0;
    if (queue->packed && queue->descriptors >= AREA && queue->descriptors < AREA + AREA_SIZE)
        for (u32 i = 0; i < 256; i++) // of another ring's time nothing is available here
            write32((queue->descriptors & ~3ul) + 16 * i + 12, 0);
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

// What a device takes for a header, a command or numbers of pages.
static void fill_buffer(struct queue *queue, u64 buffer) {
    if (!writable(buffer, 64))
        return;
    for (u32 word = 0; word < 11; word++)
        if (queue->balloon)
            write32(buffer + 4 * word, below(3) ? (AREA >> 12) + below(AREA_SIZE >> 12) : rnd() | 1 << 20);
        else
            write32(buffer + 4 * word, below(3) ? below(16) : rnd());
}

static void fill_packed(struct queue *queue) {
    u32 size = queue->size;
    if (!size || size > 256 || !writable(queue->descriptors, 16 * 256))
        return;
    if (writable(queue->driver, 4)) // event suppression
        write32(queue->driver & ~3ul, below(4) ? rnd() & 0x3ffff : rnd());
    for (u32 i = 0; i < 1 + below(12); i++, queue->index++) {
        u64 at = queue->descriptors + 16 * (queue->index % size);
        u64 buffer = address(1);
        u32 flags = (below(8) ? below(4) : rnd()) & 0x7f7f;
        flags |= below(16) ? (queue->index / size & 1 ? 0x8000 : 0x80) : rnd() & 0x8080;
        fill_buffer(queue, buffer);
        *(volatile u64 *)at = buffer;
        write32(at + 8, length());
        write32(at + 12, (rnd() & 0xffff) | flags << 16);
    }
}

static void fill_ring(struct queue *queue) {
    if (queue->packed) {
        fill_packed(queue);
        return;
    }
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
        fill_buffer(queue, buffer);
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
    u32 packed = 0, balloon = read32(base + 8) == BALLOON;
    write32(base + STATUS, 0);
    write32(base + STATUS, 1);
    write32(base + STATUS, 3);
    for (u32 half = 0; half < 2; half++) {
        write32(base + 0x14, half);
        u32 offered = read32(base + 0x10);
        write32(base + 0x24, half);
        u32 accepted = below(20) ? offered & (rnd() | half) : rnd();
        write32(base + 0x20, accepted);
        packed = accepted >> 2 & 1; // of the second half: bit 34
    }
    write32(base + STATUS, 11);
    u32 count = 2 + below(7);
    for (u32 i = 0; i < count; i++) {
        queues[i].packed = packed;
        queues[i].balloon = balloon;
        set_up_queue(base, below(16) ? i : rnd(), &queues[i]);
    }
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

// The first 4 GiB one to one, by tables that no balloon is told of.
static void map(void) {
    volatile u64 *table = (volatile u64 *)TABLES;
    table[0] = (TABLES + 0x1000) | 3;
    for (u32 i = 0; i < 4; i++)
        table[512 + i] = (TABLES + 0x2000 + 0x1000 * (u64)i) | 3;
    for (u64 i = 0; i < 2048; i++)
        table[1024 + i] = i << 21 | 0x83;
    __asm__ volatile("mov %0, %%cr3" : : "r"((u64)TABLES) : "memory");
}

void run(void) {
    map();
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
