package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalLong;

/**
 * An ELF64 kernel, such as Linux's uncompressed vmlinux: its PT_LOAD segments go to their physical addresses. Entered by
 * the ELF entry point in long mode, or, if it carries the note XEN_ELFNOTE_PHYS32_ENTRY, by PVH.
 */
public final class ElfKernel implements KernelImage {
    private static final int MAX_PROGRAM_HEADERS = 128;
    private static final long PHYSICAL_LIMIT = 1L << 46;

    /** A PT_LOAD segment: {@code fileSize} bytes from the file, then zeros up to {@code memorySize}. */
    record Segment(long fileOffset, long virtualAddress, long physicalAddress, long fileSize, long memorySize) {
        long end() {
            return physicalAddress + memorySize;
        }

        boolean holds(long physical) {
            return physical >= physicalAddress && physical - physicalAddress < fileSize;
        }
    }

    private final BootFile file;
    private final List<Segment> segments;
    private final long entry;
    private final OptionalLong pvhEntry;

    private ElfKernel(BootFile file, List<Segment> segments, long entry, OptionalLong pvhEntry) {
        this.file = file;
        this.segments = segments;
        this.entry = entry;
        this.pvhEntry = pvhEntry;
    }

    /** Reads and checks the headers; the result owns the file. */
    static ElfKernel read(BootFile file) throws IOException {
        try {
            return new Parser(file).parse();
        } catch (EOFException e) {
            throw truncated(file, e);
        }
    }

    /** Returns the guest-physical address of the 64-bit entry point (Linux: {@code startup_64}). */
    public long entry() {
        return entry;
    }

    /** Returns the guest-physical address of the 32-bit PVH entry point, if the kernel has one. */
    public OptionalLong pvhEntry() {
        return pvhEntry;
    }

    @Override
    public long start() {
        return segments.get(0).physicalAddress;
    }

    @Override
    public long end() {
        return segments.get(segments.size() - 1).end();
    }

    @Override
    public int maxCommandLineLength() {
        return CommandLine.MAX_LENGTH;
    }

    @Override
    public long initrdAddressMax() {
        return BootLayout.PCI_HOLE_ADDRESS - 1;
    }

    @Override
    public void load(GuestMemory memory, boolean memoryIsZero) throws IOException {
        for (Segment segment : segments) {
            if (!memory.contains(segment.physicalAddress, segment.memorySize)) {
                throw new InsufficientMemoryException("The kernel " + file.name(), end(), memory.size());
            }
        }
        try {
            for (Segment segment : segments) {
                file.readInto(memory, segment.physicalAddress, segment.fileOffset, segment.fileSize);
                if (!memoryIsZero) {
                    memory.fill(
                            segment.physicalAddress + segment.fileSize, segment.memorySize - segment.fileSize, (byte)
                                    0);
                }
            }
        } catch (EOFException e) {
            throw truncated(file, e);
        }
    }

    @Override
    public String packing() {
        return file.packing();
    }

    @Override
    public String describe() {
        return String.format(
                "%s: ELF vmlinux, %d segments at 0x%x-0x%x, entry 0x%x%s",
                file.name(),
                segments.size(),
                start(),
                end(),
                entry,
                pvhEntry.isPresent() ? String.format(", PVH entry 0x%x", pvhEntry.getAsLong()) : "");
    }

    @Override
    public String toString() {
        return describe();
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    private static KernelImageException truncated(BootFile file, EOFException cause) {
        KernelImageException e = new KernelImageException(file.name(), "the ELF file is truncated");
        e.initCause(cause);
        return e;
    }

    /** Reads the headers of one file. Every offset and size in them is hostile. */
    private static final class Parser {
        private final BootFile file;
        private boolean xenOnly;

        Parser(BootFile file) {
            this.file = file;
        }

        ElfKernel parse() throws IOException {
            ByteBuffer header = file.read(0, Elf.SIZEOF_EHDR);
            checkIdentity(header);
            ByteBuffer table = programHeaders(header);
            OptionalLong pvhEntry = OptionalLong.empty();
            for (int at = 0; at < table.limit() && pvhEntry.isEmpty(); at += Elf.SIZEOF_PHDR) {
                if (table.getInt(at + Elf.P_TYPE) == Elf.PT_NOTE) {
                    pvhEntry = pvhEntryIn(table, at);
                }
            }
            xenOnly &= pvhEntry.isEmpty();
            List<Segment> segments = new ArrayList<>();
            for (int at = 0; at < table.limit(); at += Elf.SIZEOF_PHDR) {
                if (table.getInt(at + Elf.P_TYPE) == Elf.PT_LOAD && table.getLong(at + Elf.P_MEMSZ) != 0) {
                    segments.add(segment(table, at));
                }
            }
            if (segments.isEmpty()) {
                throw invalid("it has no segment to load (no PT_LOAD program header)");
            }
            segments.sort(Comparator.comparingLong(Segment::physicalAddress));
            for (int i = 1; i < segments.size(); i++) {
                if (segments.get(i - 1).end() > segments.get(i).physicalAddress) {
                    throw invalid(String.format(
                            "the segments at 0x%x and 0x%x overlap",
                            segments.get(i - 1).physicalAddress, segments.get(i).physicalAddress));
                }
            }
            long entry = physicalEntry(segments, header.getLong(Elf.E_ENTRY));
            if (pvhEntry.isPresent()) {
                long address = pvhEntry.getAsLong();
                if (segments.stream().noneMatch(s -> s.holds(address))) {
                    throw invalid(String.format("the PVH entry point 0x%x lies in no segment", address));
                }
            }
            return new ElfKernel(file, List.copyOf(segments), entry, pvhEntry);
        }

        private void checkIdentity(ByteBuffer header) throws KernelImageException {
            if (header.get(Elf.EI_CLASS) != Elf.ELFCLASS64) {
                throw invalid("a 32-bit ELF file; only 64-bit kernels can be booted as ELF, 32-bit ones as bzImage");
            }
            short machine = header.getShort(Elf.E_MACHINE);
            if (header.get(Elf.EI_DATA) != Elf.ELFDATA2LSB || machine != Elf.EM_X86_64) {
                throw invalid("an ELF file for another CPU (e_machine " + (machine & 0xffff) + "), not for x86-64");
            }
            short type = header.getShort(Elf.E_TYPE);
            if (type != Elf.ET_EXEC && type != Elf.ET_DYN) {
                throw invalid("an ELF file that is not executable (e_type " + (type & 0xffff) + ")");
            }
        }

        private ByteBuffer programHeaders(ByteBuffer header) throws IOException {
            int size = header.getShort(Elf.E_PHENTSIZE) & 0xffff;
            int count = header.getShort(Elf.E_PHNUM) & 0xffff;
            long offset = header.getLong(Elf.E_PHOFF);
            if (count == 0) {
                throw invalid("it has no program headers");
            }
            if (size != Elf.SIZEOF_PHDR || count > MAX_PROGRAM_HEADERS) {
                throw invalid(count + " program headers of " + size + " bytes; expected at most " + MAX_PROGRAM_HEADERS
                        + " of " + Elf.SIZEOF_PHDR);
            }
            int length = count * Elf.SIZEOF_PHDR;
            requireInFile("the program headers", offset, length);
            return file.read(offset, length);
        }

        private Segment segment(ByteBuffer table, int at) throws KernelImageException {
            Segment segment = new Segment(
                    table.getLong(at + Elf.P_OFFSET),
                    table.getLong(at + Elf.P_VADDR),
                    table.getLong(at + Elf.P_PADDR),
                    table.getLong(at + Elf.P_FILESZ),
                    table.getLong(at + Elf.P_MEMSZ));
            long address = segment.physicalAddress;
            String name = String.format("the segment at 0x%x", address);
            requireInFile(name, segment.fileOffset, segment.fileSize);
            if (Long.compareUnsigned(segment.fileSize, segment.memorySize) > 0) {
                throw invalid(String.format(
                        "%s has 0x%x bytes in the file and only 0x%x in memory",
                        name, segment.fileSize, segment.memorySize));
            }
            if (address < 0
                    || address >= PHYSICAL_LIMIT
                    || segment.memorySize < 0
                    || segment.memorySize > PHYSICAL_LIMIT - address) {
                throw invalid(String.format("%s with 0x%x bytes is out of range", name, segment.memorySize));
            }
            if (address < BootLayout.HIGH_MEMORY_ADDRESS) {
                throw invalid(name + " lies in the first megabyte, which the boot information needs");
            }
            return segment;
        }

        /** The entry is a physical address in Linux's vmlinux, a virtual one in others: translated by its segment. */
        private long physicalEntry(List<Segment> segments, long entry) throws KernelImageException {
            for (Segment segment : segments) {
                if (segment.holds(entry)) {
                    return entry;
                }
            }
            for (Segment segment : segments) {
                long offset = entry - segment.virtualAddress;
                if (offset >= 0 && offset < segment.fileSize) {
                    return segment.physicalAddress + offset;
                }
            }
            throw invalid(String.format("the entry point 0x%x lies in no segment", entry));
        }

        /**
         * Looks for XEN_ELFNOTE_PHYS32_ENTRY. A note is {@code Elf64_Nhdr { u32 n_namesz, n_descsz, n_type; }}, the name
         * and the descriptor, each padded to the table's alignment.
         */
        private OptionalLong pvhEntryIn(ByteBuffer table, int at) throws IOException {
            long offset = table.getLong(at + Elf.P_OFFSET);
            long size = table.getLong(at + Elf.P_FILESZ);
            long align = table.getLong(at + Elf.P_ALIGN) == 8 ? 8 : 4;
            requireInFile("the note table", offset, size);
            if (size > Elf.MAX_NOTE_TABLE) {
                throw invalid("the note table has " + size + " bytes; at most " + Elf.MAX_NOTE_TABLE + " are expected");
            }
            ByteBuffer notes = file.read(offset, (int) size);
            long note = 0;
            while (size - note >= Elf.SIZEOF_NHDR) {
                long nameSize = Integer.toUnsignedLong(notes.getInt((int) note));
                long descriptorSize = Integer.toUnsignedLong(notes.getInt((int) note + 4));
                int type = notes.getInt((int) note + 8);
                long descriptor = alignUp(note + Elf.SIZEOF_NHDR + nameSize, align);
                if (descriptor + descriptorSize > size) {
                    throw invalid(String.format("the note at 0x%x runs past its table", offset + note));
                }
                if (isXen(notes, (int) note + Elf.SIZEOF_NHDR, nameSize)) {
                    if (type == Elf.XEN_ELFNOTE_PHYS32_ENTRY) {
                        return OptionalLong.of(entryAddress(notes, (int) descriptor, descriptorSize));
                    }
                    xenOnly = true;
                }
                note = alignUp(descriptor + descriptorSize, align);
            }
            return OptionalLong.empty();
        }

        private long entryAddress(ByteBuffer notes, int descriptor, long size) throws KernelImageException {
            if (size != Integer.BYTES && size != Long.BYTES) {
                throw invalid("the PVH entry note has " + size + " bytes; expected 4 or 8");
            }
            long address =
                    size == Long.BYTES ? notes.getLong(descriptor) : Integer.toUnsignedLong(notes.getInt(descriptor));
            if (address >>> 32 != 0) {
                throw invalid(String.format("the PVH entry point 0x%x lies above 4 GiB", address));
            }
            return address;
        }

        private static boolean isXen(ByteBuffer notes, int name, long size) {
            return size == 4
                    && notes.get(name) == 'X'
                    && notes.get(name + 1) == 'e'
                    && notes.get(name + 2) == 'n'
                    && notes.get(name + 3) == 0;
        }

        private void requireInFile(String what, long offset, long length) throws KernelImageException {
            if (offset < 0 || length < 0 || length > file.size() || offset > file.size() - length) {
                throw invalid(String.format(
                        "%s: offset 0x%x, length 0x%x is outside the file, which has 0x%x bytes",
                        what, offset, length, file.size()));
            }
        }

        private static long alignUp(long value, long alignment) {
            return (value + alignment - 1) & -alignment;
        }

        private KernelImageException invalid(String problem) {
            return new KernelImageException(
                    file.name(),
                    "not a bootable ELF kernel: " + problem
                            + (xenOnly ? "; it is a kernel for Xen's paravirtual mode, and has no PVH entry" : ""));
        }
    }
}
