package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import java.io.IOException;

/** Loads a kernel with everything that it is given into guest memory laid out as in {@link BootLayout}. */
public final class BootLoader {
    /**
     * What is to be booted.
     *
     * @param image the kernel; stays the caller's to close
     * @param protocol how an ELF kernel is entered; other images have one way only
     * @param initrd the initrd, perhaps without contents; stays the caller's to close
     * @param commandLine the command line as the kernel gets it
     * @param rsdpAddress the ACPI root pointer's guest-physical address, 0 if there is none
     * @param memoryIsZero whether all of guest memory is known to be zero
     */
    public record Request(
            KernelImage image,
            BootProtocol protocol,
            Initrd initrd,
            CommandLine commandLine,
            long rsdpAddress,
            boolean memoryIsZero) {}

    private BootLoader() {}

    /**
     * Loads it.
     *
     * @throws InsufficientMemoryException if guest memory is too small
     * @throws BootException if something does not fit the kernel: a command line too long, PVH where it has no such entry
     * @throws IOException if a file cannot be read
     */
    public static LoadedKernel load(GuestMemory memory, Request request) throws IOException {
        KernelImage image = request.image;
        MemoryNeeds.check(image, request.initrd.size(), memory.size());
        return switch (image) {
            case FlatBinary binary -> loadFlat(memory, request, binary);
            case BzImage bzImage -> loadLinux(memory, request, bzImage.entryMode(), bzImage.entry());
            case RawKernel raw -> loadLinux(memory, request, EntryMode.LONG_64, raw.entry());
            case ElfKernel elf ->
                request.protocol == BootProtocol.PVH
                        ? loadLinux(memory, request, EntryMode.PVH_32, pvhEntry(elf))
                        : loadLinux(memory, request, EntryMode.LONG_64, elf.entry());
        };
    }

    private static LoadedKernel loadFlat(GuestMemory memory, Request request, FlatBinary binary) throws IOException {
        if (request.initrd.size() > 0 || !request.commandLine.toString().isEmpty()) {
            throw new BootException("A flat binary takes neither an initrd nor a command line");
        }
        binary.load(memory, request.memoryIsZero);
        return new LoadedKernel(
                binary.entryMode(), binary.entry(), binary.codeSegment(), 0, binary.start(), binary.end(), 0, 0);
    }

    private static LoadedKernel loadLinux(GuestMemory memory, Request request, EntryMode mode, long entry)
            throws IOException {
        KernelImage image = request.image;
        Initrd initrd = request.initrd;
        byte[] commandLine = request.commandLine.toBytes(image.maxCommandLineLength());
        long initrdSize = initrd.size();
        long initrdAddress = initrdSize == 0 ? 0 : initrd.place(memory, image);
        image.load(memory, request.memoryIsZero);
        initrd.load(memory, initrdAddress);
        memory.write(BootLayout.COMMAND_LINE_ADDRESS, commandLine, 0, commandLine.length);
        E820 e820 = E820.of(memory);
        long bootInfo;
        if (mode == EntryMode.PVH_32) {
            PvhStartInfo.write(memory, e820, initrdAddress, initrdSize, request.rsdpAddress);
            bootInfo = BootLayout.PVH_START_INFO_ADDRESS;
        } else {
            ZeroPage.write(memory, image, e820, commandLine.length - 1, initrdAddress, initrdSize, request.rsdpAddress);
            bootInfo = BootLayout.ZERO_PAGE_ADDRESS;
        }
        return new LoadedKernel(mode, entry, 0, bootInfo, image.start(), image.end(), initrdAddress, initrdSize);
    }

    private static long pvhEntry(ElfKernel elf) throws BootException {
        return elf.pvhEntry()
                .orElseThrow(() -> new BootException(elf.describe()
                        + ": this kernel has no PVH entry (CONFIG_PVH=y would give it one): use the Linux protocol"));
    }
}
