package io.thimble.it.support;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What this process holds that could belong to a VM.
 *
 * @param threads live platform threads named {@code thimble-*}
 * @param descriptors targets of open descriptors of kinds that VMs use: KVM's, eventfd, epoll, timerfd, memfd, and files of guests
 * @param mappings KVM's pages by name, and lines of {@code /proc/self/maps} of memory advised to be huge pages: guests' as a rule, the
 *     JVM's heap never (unless {@code -XX:+UseTransparentHugePages})
 * @param openDescriptors how many descriptors are open, of any kind
 */
public record HostResources(
        List<String> threads, List<String> descriptors, List<String> mappings, int openDescriptors) {
    private static final Pattern MAPPING = Pattern.compile("^[0-9a-f]+-[0-9a-f]+ ");
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

    private static List<String> descriptorTargets() {
        List<String> targets = new ArrayList<>();
        try (Stream<Path> entries = Files.list(Path.of("/proc/self/fd"))) {
            for (Path entry : entries.toList()) {
                targetOf(entry).ifPresent(targets::add);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return targets;
    }

    /** Returns what a descriptor refers to, or nothing if it was closed meanwhile, as the listing's own is. */
    private static Optional<String> targetOf(Path entry) throws IOException {
        try {
            return Optional.of(Files.readSymbolicLink(entry).toString());
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    private static List<String> mappingLines() {
        List<String> found = new ArrayList<>();
        String mapping = "";
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/smaps"))) {
            for (String line : (Iterable<String>) lines::iterator) {
                if (MAPPING.matcher(line).find()) {
                    mapping = line;
                    if (line.contains("kvm")) {
                        found.add(line.substring(line.lastIndexOf(' ') + 1));
                    }
                } else if (line.startsWith("VmFlags:") && line.contains(" hg")) {
                    found.add(mapping);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        found.sort(null);
        return found;
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
