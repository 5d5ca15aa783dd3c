package io.thimble.it.support;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * What this process holds that could belong to a VM.
 *
 * @param threads live platform threads named {@code thimble-*}
 * @param descriptors targets of open descriptors of kinds that VMs use: KVM's, eventfd, epoll, timerfd, memfd, and files of guests
 * @param mappings lines of {@code /proc/self/maps} of KVM's pages, and of anonymous memory from 16 MiB on without the JVM's own
 * @param openDescriptors how many descriptors are open, of any kind
 */
public record HostResources(
        List<String> threads, List<String> descriptors, List<String> mappings, int openDescriptors) {
    private static final long BIG = 16L << 20;
    private static final List<String> KINDS =
            List.of("kvm", "eventfd", "eventpoll", "timerfd", "memfd", "io_uring", "vmlinux", "initrd", "program");

    /** Looks at the process now. */
    public static HostResources now() {
        List<String> threads = Thread.getAllStackTraces().keySet().stream()
                .filter(Thread::isAlive)
                .map(Thread::getName)
                .filter(name -> name.startsWith("thimble-"))
                .sorted()
                .toList();
        List<String> targets = descriptorTargets();
        return new HostResources(
                threads,
                targets.stream()
                        .filter(target -> KINDS.stream().anyMatch(target::contains))
                        .sorted()
                        .toList(),
                mappingLines(),
                targets.size());
    }

    /** Returns whether nothing of a VM is there. */
    public boolean isNothing() {
        return threads.isEmpty()
                && descriptors.stream().noneMatch(d -> d.contains("kvm") || d.contains("memfd"))
                && mappings.stream().noneMatch(m -> m.contains("kvm"));
    }

    private static List<String> descriptorTargets() {
        List<String> targets = new ArrayList<>();
        try (Stream<Path> entries = Files.list(Path.of("/proc/self/fd"))) {
            for (Path entry : entries.toList()) {
                try {
                    targets.add(Files.readSymbolicLink(entry).toString());
                } catch (NoSuchFileException e) {
                    continue; // closed meanwhile: the listing's own
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return targets;
    }

    /** Guest memory is MAP_NORESERVE and private: it shows as rw-p without a name. The heap and stacks stay the same. */
    private static List<String> mappingLines() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.filter(line -> line.contains("kvm") || isBigAnonymous(line))
                    .map(line -> line.contains("kvm") ? line.substring(line.lastIndexOf(' ') + 1) : line)
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static boolean isBigAnonymous(String line) {
        String[] fields = line.split(" +");
        String[] range = fields[0].split("-");
        long size = Long.parseUnsignedLong(range[1], 16) - Long.parseUnsignedLong(range[0], 16);
        return size >= BIG && fields.length == 5 && fields[1].equals("rw-p");
    }

    /** Returns a line of {@code /proc/self/status} that is in kB, for example {@code VmRSS}, in bytes. */
    public static long status(String field) {
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
            String line =
                    lines.filter(l -> l.startsWith(field + ":")).findFirst().orElseThrow();
            return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
