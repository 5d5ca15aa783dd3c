package io.thimble.kvm;

import io.thimble.kvm.abi.KvmCaps;
import io.thimble.kvm.abi.KvmClearDirtyLogLayout;
import io.thimble.kvm.abi.KvmClockDataLayout;
import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmDirtyLogLayout;
import io.thimble.kvm.abi.KvmEnableCapLayout;
import io.thimble.kvm.abi.KvmIoctls;
import io.thimble.kvm.abi.KvmIoeventfdLayout;
import io.thimble.kvm.abi.KvmIrqLevelLayout;
import io.thimble.kvm.abi.KvmIrqchipLayout;
import io.thimble.kvm.abi.KvmIrqfdLayout;
import io.thimble.kvm.abi.KvmMsiLayout;
import io.thimble.kvm.abi.KvmPitConfigLayout;
import io.thimble.kvm.abi.KvmPitState2Layout;
import io.thimble.kvm.abi.KvmUserspaceMemoryRegion2Layout;
import io.thimble.kvm.abi.KvmUserspaceMemoryRegionLayout;
import io.thimble.linux.EventFd;
import io.thimble.linux.Fd;
import io.thimble.linux.Mman;
import io.thimble.linux.Syscall;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A virtual machine: its memory slots, interrupt controllers and vCPUs (api.rst, "VM ioctls").
 *
 * <p>All methods but {@link #close} may be called from any thread; the kernel serializes them. The kernel frees the VM
 * when this object and all its vCPUs are closed. Memory given to a slot must stay mapped until the slot is deleted or
 * the VM is freed.
 */
public final class KvmVm implements AutoCloseable {
    private final Kvm kvm;
    private final Fd fd;

    /** Bytes of each slot, so that the kernel is never given a bitmap that is too small for its slot. */
    private final Map<Integer, Long> slotSizes = new ConcurrentHashMap<>();

    /** The in-kernel IOAPIC's pins, whose levels are encoded once so that {@link #irqLine} does not allocate. */
    private static final int ENCODED_LINES = 24;

    /** For each of those lines {@code struct kvm_irq_level} with level 0, then with level 1. */
    private static final MemorySegment IRQ_LEVELS = encodeIrqLevels();

    KvmVm(Kvm kvm, Fd fd) {
        this.kvm = kvm;
        this.fd = fd;
    }

    private static MemorySegment encodeIrqLevels() {
        MemorySegment levels = Arena.global().allocate(2 * ENCODED_LINES * KvmIrqLevelLayout.SIZEOF, Long.BYTES);
        for (int i = 0; i < 2 * ENCODED_LINES; i++) {
            encodeIrqLevel(levels.asSlice(i * KvmIrqLevelLayout.SIZEOF), i / 2, i % 2);
        }
        return levels;
    }

    private static void encodeIrqLevel(MemorySegment at, int gsi, int level) {
        at.set(ValueLayout.JAVA_INT, KvmIrqLevelLayout.OFFSETOF_IRQ, gsi);
        at.set(ValueLayout.JAVA_INT, KvmIrqLevelLayout.OFFSETOF_LEVEL, level);
    }

    private long ioctl(long request, long argument) {
        return Syscall.ioctl(fd.number(), request, argument);
    }

    private long ioctl(String operation, long request, long argument) {
        return KvmException.checked(operation, ioctl(request, argument));
    }

    private long ioctl(String operation, long request, MemorySegment argument) {
        return KvmException.checked(operation, ioctl(request, argument.address()));
    }

    /** Returns what {@code KVM_CHECK_EXTENSION} says of a {@code KVM_CAP_*} for this VM. */
    public int checkExtension(int capability) {
        return (int) ioctl("KVM_CHECK_EXTENSION", KvmIoctls.KVM_CHECK_EXTENSION, capability);
    }

    /** Enables a capability of the VM ({@code KVM_ENABLE_CAP}); at most four arguments. */
    public void enableCap(int capability, long... args) {
        if (args.length > KvmEnableCapLayout.COUNTOF_ARGS) {
            throw new IllegalArgumentException("more arguments than four: " + args.length);
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment cap = arena.allocate(KvmEnableCapLayout.SIZEOF, Long.BYTES);
            cap.set(ValueLayout.JAVA_INT, KvmEnableCapLayout.OFFSETOF_CAP, capability);
            for (int i = 0; i < args.length; i++) {
                cap.set(ValueLayout.JAVA_LONG, KvmEnableCapLayout.OFFSETOF_ARGS + (long) i * Long.BYTES, args[i]);
            }
            ioctl("KVM_ENABLE_CAP " + capability, KvmIoctls.KVM_ENABLE_CAP, cap);
        }
    }

    /**
     * Creates, moves or changes a memory slot ({@code KVM_SET_USER_MEMORY_REGION}).
     *
     * @param slot its number
     * @param flags {@code KVM_MEM_*}
     * @param guestPhysAddr where the guest sees it; page aligned
     * @param memorySize bytes, a multiple of the page size; 0 deletes the slot
     * @param userspaceAddr where it is mapped in this process; page aligned
     */
    public void setUserMemoryRegion(int slot, int flags, long guestPhysAddr, long memorySize, long userspaceAddr) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment region = arena.allocate(KvmUserspaceMemoryRegionLayout.SIZEOF, Long.BYTES);
            region.set(ValueLayout.JAVA_INT, KvmUserspaceMemoryRegionLayout.OFFSETOF_SLOT, slot);
            region.set(ValueLayout.JAVA_INT, KvmUserspaceMemoryRegionLayout.OFFSETOF_FLAGS, flags);
            region.set(ValueLayout.JAVA_LONG, KvmUserspaceMemoryRegionLayout.OFFSETOF_GUEST_PHYS_ADDR, guestPhysAddr);
            region.set(ValueLayout.JAVA_LONG, KvmUserspaceMemoryRegionLayout.OFFSETOF_MEMORY_SIZE, memorySize);
            region.set(ValueLayout.JAVA_LONG, KvmUserspaceMemoryRegionLayout.OFFSETOF_USERSPACE_ADDR, userspaceAddr);
            ioctl("KVM_SET_USER_MEMORY_REGION of slot " + slot, KvmIoctls.KVM_SET_USER_MEMORY_REGION, region);
            slotSizes.put(slot, memorySize);
        }
    }

    /**
     * Like {@link #setUserMemoryRegion}, with a part of a guest_memfd behind private pages
     * ({@code KVM_SET_USER_MEMORY_REGION2}; needs {@code KVM_CAP_USER_MEMORY2}).
     *
     * @param guestMemfd used if {@code flags} has {@code KVM_MEM_GUEST_MEMFD}
     * @param guestMemfdOffset bytes into it
     */
    public void setUserMemoryRegion2(
            int slot,
            int flags,
            long guestPhysAddr,
            long memorySize,
            long userspaceAddr,
            int guestMemfd,
            long guestMemfdOffset) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment region = arena.allocate(KvmUserspaceMemoryRegion2Layout.SIZEOF, Long.BYTES);
            region.set(ValueLayout.JAVA_INT, KvmUserspaceMemoryRegion2Layout.OFFSETOF_SLOT, slot);
            region.set(ValueLayout.JAVA_INT, KvmUserspaceMemoryRegion2Layout.OFFSETOF_FLAGS, flags);
            region.set(ValueLayout.JAVA_LONG, KvmUserspaceMemoryRegion2Layout.OFFSETOF_GUEST_PHYS_ADDR, guestPhysAddr);
            region.set(ValueLayout.JAVA_LONG, KvmUserspaceMemoryRegion2Layout.OFFSETOF_MEMORY_SIZE, memorySize);
            region.set(ValueLayout.JAVA_LONG, KvmUserspaceMemoryRegion2Layout.OFFSETOF_USERSPACE_ADDR, userspaceAddr);
            region.set(
                    ValueLayout.JAVA_LONG,
                    KvmUserspaceMemoryRegion2Layout.OFFSETOF_GUEST_MEMFD_OFFSET,
                    guestMemfdOffset);
            region.set(ValueLayout.JAVA_INT, KvmUserspaceMemoryRegion2Layout.OFFSETOF_GUEST_MEMFD, guestMemfd);
            ioctl("KVM_SET_USER_MEMORY_REGION2 of slot " + slot, KvmIoctls.KVM_SET_USER_MEMORY_REGION2, region);
            slotSizes.put(slot, memorySize);
        }
    }

    /** Tells whether the host has {@link #setUserMemoryRegion2}. */
    public boolean hasUserMemoryRegion2() {
        return checkExtension(KvmCaps.KVM_CAP_USER_MEMORY2) > 0;
    }

    /** Places three pages that Intel's real mode needs ({@code KVM_SET_TSS_ADDR}), outside of every memory slot. */
    public void setTssAddr(long guestPhysAddr) {
        ioctl("KVM_SET_TSS_ADDR", KvmIoctls.KVM_SET_TSS_ADDR, guestPhysAddr);
    }

    /** Places one page that Intel's real mode needs ({@code KVM_SET_IDENTITY_MAP_ADDR}); before the first vCPU. */
    public void setIdentityMapAddr(long guestPhysAddr) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocateFrom(ValueLayout.JAVA_LONG, guestPhysAddr);
            ioctl("KVM_SET_IDENTITY_MAP_ADDR", KvmIoctls.KVM_SET_IDENTITY_MAP_ADDR, address);
        }
    }

    /** Creates the PIC, IOAPIC and (with each vCPU) local APIC in the kernel; before the first vCPU. */
    public void createIrqchip() {
        ioctl("KVM_CREATE_IRQCHIP", KvmIoctls.KVM_CREATE_IRQCHIP, 0);
    }

    /**
     * Keeps only the local APICs in the kernel ({@code KVM_CAP_SPLIT_IRQCHIP}); before the first vCPU.
     *
     * @param ioapicPins for how many pins of a user-space IOAPIC routes are reserved
     */
    public void createSplitIrqchip(int ioapicPins) {
        enableCap(KvmCaps.KVM_CAP_SPLIT_IRQCHIP, ioapicPins);
    }

    /**
     * Creates the i8254 timer in the kernel ({@code KVM_CREATE_PIT2}); after {@link #createIrqchip}.
     *
     * @param flags {@code KVM_PIT_SPEAKER_DUMMY} answers port 0x61 too
     */
    public void createPit2(int flags) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment config = arena.allocate(KvmPitConfigLayout.SIZEOF, Long.BYTES);
            config.set(ValueLayout.JAVA_INT, KvmPitConfigLayout.OFFSETOF_FLAGS, flags);
            ioctl("KVM_CREATE_PIT2", KvmIoctls.KVM_CREATE_PIT2, config);
        }
    }

    /** Reads the i8254's state, a {@code struct kvm_pit_state2}. */
    public MemorySegment getPit2(Arena arena) {
        MemorySegment state = arena.allocate(KvmPitState2Layout.SIZEOF, Long.BYTES);
        ioctl("KVM_GET_PIT2", KvmIoctls.KVM_GET_PIT2, state);
        return state;
    }

    /** Restores what {@link #getPit2} gave. */
    public void setPit2(MemorySegment state) {
        ioctl("KVM_SET_PIT2", KvmIoctls.KVM_SET_PIT2, KvmVcpu.sized(state, KvmPitState2Layout.SIZEOF));
    }

    /**
     * Reads an interrupt controller's state, a {@code struct kvm_irqchip}.
     *
     * @param chipId {@code KVM_IRQCHIP_PIC_MASTER}, {@code KVM_IRQCHIP_PIC_SLAVE} or {@code KVM_IRQCHIP_IOAPIC}
     */
    public MemorySegment getIrqchip(Arena arena, int chipId) {
        MemorySegment chip = arena.allocate(KvmIrqchipLayout.SIZEOF, Long.BYTES);
        chip.set(ValueLayout.JAVA_INT, KvmIrqchipLayout.OFFSETOF_CHIP_ID, chipId);
        ioctl("KVM_GET_IRQCHIP", KvmIoctls.KVM_GET_IRQCHIP, chip);
        return chip;
    }

    /** Restores what {@link #getIrqchip} gave. */
    public void setIrqchip(MemorySegment chip) {
        ioctl("KVM_SET_IRQCHIP", KvmIoctls.KVM_SET_IRQCHIP, KvmVcpu.sized(chip, KvmIrqchipLayout.SIZEOF));
    }

    /** Sets the level of an interrupt line ({@code KVM_IRQ_LINE}); GSI 0..15 reach both PIC and IOAPIC by default. */
    public void irqLine(int gsi, boolean asserted) {
        int level = asserted ? 1 : 0;
        if (gsi >= 0 && gsi < ENCODED_LINES) {
            irqLine(gsi, IRQ_LEVELS.address() + (2L * gsi + level) * KvmIrqLevelLayout.SIZEOF);
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment encoded = arena.allocate(KvmIrqLevelLayout.SIZEOF, Long.BYTES);
            encodeIrqLevel(encoded, gsi, level);
            irqLine(gsi, encoded.address());
        }
    }

    private void irqLine(int gsi, long encodedLevel) {
        long result = ioctl(KvmIoctls.KVM_IRQ_LINE, encodedLevel);
        if (result < 0) {
            throw new KvmException("KVM_IRQ_LINE of GSI " + gsi, (int) -result);
        }
    }

    /** Lets {@code event} raise a GSI from now on, as an edge ({@code KVM_IRQFD}). */
    public void addIrqfd(EventFd event, int gsi) {
        irqfd(event, gsi, 0, 0);
    }

    /**
     * Lets {@code event} raise a GSI as a level; the kernel lowers it at the guest's end of interrupt and signals
     * {@code resample}, upon which the device raises it again if it still has cause.
     */
    public void addIrqfd(EventFd event, int gsi, EventFd resample) {
        irqfd(event, gsi, KvmConstants.KVM_IRQFD_FLAG_RESAMPLE, resample.fd().number());
    }

    /** Undoes {@link #addIrqfd}; returns when no interrupt of {@code event} is on its way any more. */
    public void removeIrqfd(EventFd event, int gsi) {
        irqfd(event, gsi, KvmConstants.KVM_IRQFD_FLAG_DEASSIGN, 0);
    }

    private void irqfd(EventFd event, int gsi, int flags, int resampleFd) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment irqfd = arena.allocate(KvmIrqfdLayout.SIZEOF, Long.BYTES);
            irqfd.set(
                    ValueLayout.JAVA_INT, KvmIrqfdLayout.OFFSETOF_FD, event.fd().number());
            irqfd.set(ValueLayout.JAVA_INT, KvmIrqfdLayout.OFFSETOF_GSI, gsi);
            irqfd.set(ValueLayout.JAVA_INT, KvmIrqfdLayout.OFFSETOF_FLAGS, flags);
            irqfd.set(ValueLayout.JAVA_INT, KvmIrqfdLayout.OFFSETOF_RESAMPLEFD, resampleFd);
            ioctl("KVM_IRQFD of GSI " + gsi, KvmIoctls.KVM_IRQFD, irqfd);
        }
    }

    /**
     * Signals {@code event} in the kernel, instead of an exit to user space, when the guest writes to an address
     * ({@code KVM_IOEVENTFD}).
     *
     * @param event what to signal
     * @param address a guest-physical address, or a port with {@code KVM_IOEVENTFD_FLAG_PIO}
     * @param length of the write in bytes: 0 (any), 1, 2, 4 or 8
     * @param datamatch the value that must be written with {@code KVM_IOEVENTFD_FLAG_DATAMATCH}
     * @param flags {@code KVM_IOEVENTFD_FLAG_*}; with {@code ..._DEASSIGN} the registration ends
     */
    public void ioeventfd(EventFd event, long address, int length, long datamatch, int flags) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment ioeventfd = arena.allocate(KvmIoeventfdLayout.SIZEOF, Long.BYTES);
            ioeventfd.set(ValueLayout.JAVA_LONG, KvmIoeventfdLayout.OFFSETOF_DATAMATCH, datamatch);
            ioeventfd.set(ValueLayout.JAVA_LONG, KvmIoeventfdLayout.OFFSETOF_ADDR, address);
            ioeventfd.set(ValueLayout.JAVA_INT, KvmIoeventfdLayout.OFFSETOF_LEN, length);
            ioeventfd.set(
                    ValueLayout.JAVA_INT,
                    KvmIoeventfdLayout.OFFSETOF_FD,
                    event.fd().number());
            ioeventfd.set(ValueLayout.JAVA_INT, KvmIoeventfdLayout.OFFSETOF_FLAGS, flags);
            ioctl("KVM_IOEVENTFD of address 0x" + Long.toHexString(address), KvmIoctls.KVM_IOEVENTFD, ioeventfd);
        }
    }

    /** Replaces the table that says where each GSI goes ({@code KVM_SET_GSI_ROUTING}). */
    public void setGsiRouting(List<GsiRoute> routes) {
        try (Arena arena = Arena.ofConfined()) {
            ioctl("KVM_SET_GSI_ROUTING", KvmIoctls.KVM_SET_GSI_ROUTING, GsiRoute.encode(arena, routes));
        }
    }

    /**
     * Delivers a message-signalled interrupt ({@code KVM_SIGNAL_MSI}).
     *
     * @param address the message's address, from 0xfee00000
     * @param data the message's data
     * @return whether the guest accepted it; false if it masks it
     */
    public boolean signalMsi(long address, int data) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment msi = arena.allocate(KvmMsiLayout.SIZEOF, Long.BYTES);
            msi.set(ValueLayout.JAVA_INT, KvmMsiLayout.OFFSETOF_ADDRESS_LO, (int) address);
            msi.set(ValueLayout.JAVA_INT, KvmMsiLayout.OFFSETOF_ADDRESS_HI, (int) (address >>> 32));
            msi.set(ValueLayout.JAVA_INT, KvmMsiLayout.OFFSETOF_DATA, data);
            return ioctl("KVM_SIGNAL_MSI", KvmIoctls.KVM_SIGNAL_MSI, msi) > 0;
        }
    }

    /**
     * Fetches which pages of a slot the guest has written ({@code KVM_GET_DIRTY_LOG}) and, unless manual protection is
     * enabled, forgets them. The slot needs {@code KVM_MEM_LOG_DIRTY_PAGES}.
     *
     * @param bitmap one bit a page, rounded up to a multiple of 64 bits
     * @throws IllegalArgumentException if it is smaller than the slot needs
     */
    public void getDirtyLog(int slot, MemorySegment bitmap) {
        checkBitmap(bitmap, slotSizes.getOrDefault(slot, 0L) / Mman.PAGE_SIZE);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment log = arena.allocate(KvmDirtyLogLayout.SIZEOF, Long.BYTES);
            log.set(ValueLayout.JAVA_INT, KvmDirtyLogLayout.OFFSETOF_SLOT, slot);
            log.set(ValueLayout.JAVA_LONG, KvmDirtyLogLayout.OFFSETOF_DIRTY_BITMAP, bitmap.address());
            ioctl("KVM_GET_DIRTY_LOG of slot " + slot, KvmIoctls.KVM_GET_DIRTY_LOG, log);
        }
    }

    /**
     * Forgets written pages ({@code KVM_CLEAR_DIRTY_LOG}; needs {@code KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2} enabled).
     *
     * @param firstPage a multiple of 64
     * @param numPages a multiple of 64, unless it reaches the slot's end
     */
    public void clearDirtyLog(int slot, long firstPage, int numPages, MemorySegment bitmap) {
        checkBitmap(bitmap, Integer.toUnsignedLong(numPages));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment log = arena.allocate(KvmClearDirtyLogLayout.SIZEOF, Long.BYTES);
            log.set(ValueLayout.JAVA_INT, KvmClearDirtyLogLayout.OFFSETOF_SLOT, slot);
            log.set(ValueLayout.JAVA_INT, KvmClearDirtyLogLayout.OFFSETOF_NUM_PAGES, numPages);
            log.set(ValueLayout.JAVA_LONG, KvmClearDirtyLogLayout.OFFSETOF_FIRST_PAGE, firstPage);
            log.set(ValueLayout.JAVA_LONG, KvmClearDirtyLogLayout.OFFSETOF_DIRTY_BITMAP, bitmap.address());
            ioctl("KVM_CLEAR_DIRTY_LOG of slot " + slot, KvmIoctls.KVM_CLEAR_DIRTY_LOG, log);
        }
    }

    private static void checkBitmap(MemorySegment bitmap, long pages) {
        long needed = (pages + Long.SIZE - 1) / Long.SIZE * Long.BYTES;
        if (bitmap.byteSize() < needed) {
            throw new IllegalArgumentException(
                    "a dirty log of " + pages + " pages needs " + needed + " bytes, not " + bitmap.byteSize());
        }
    }

    /** Returns the guest's clock in nanoseconds since the VM was made ({@code KVM_GET_CLOCK}). */
    public long clock() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment clock = arena.allocate(KvmClockDataLayout.SIZEOF, Long.BYTES);
            ioctl("KVM_GET_CLOCK", KvmIoctls.KVM_GET_CLOCK, clock);
            return clock.get(ValueLayout.JAVA_LONG, KvmClockDataLayout.OFFSETOF_CLOCK);
        }
    }

    /** Sets the guest's clock in nanoseconds ({@code KVM_SET_CLOCK}). */
    public void setClock(long nanoseconds) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment clock = arena.allocate(KvmClockDataLayout.SIZEOF, Long.BYTES);
            clock.set(ValueLayout.JAVA_LONG, KvmClockDataLayout.OFFSETOF_CLOCK, nanoseconds);
            ioctl("KVM_SET_CLOCK", KvmIoctls.KVM_SET_CLOCK, clock);
        }
    }

    /**
     * Creates a vCPU.
     *
     * @param id its number, which is its initial APIC id; below {@code KVM_CAP_MAX_VCPU_ID}
     */
    public KvmVcpu createVcpu(int id) {
        long result = ioctl("KVM_CREATE_VCPU " + id, KvmIoctls.KVM_CREATE_VCPU, id);
        return new KvmVcpu(kvm, id, new Fd((int) result, "kvm-vcpu:" + id));
    }

    @Override
    public void close() {
        fd.close();
    }
}
