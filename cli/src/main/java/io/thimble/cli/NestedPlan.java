package io.thimble.cli;

import io.thimble.cli.RunOptions.Word;
import io.thimble.vmm.Disk;
import io.thimble.vmm.GuestKernel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * What a run inside the nested host needs of this one, and how its command line reads there.
 *
 * @param arguments what follows the word {@code run} there
 * @param files to be copied there before, each to its name below {@link #CODE}
 * @param disks become disks of the nested host, in this order
 * @param results to be copied from there afterwards, each from its name below {@link #RESULTS}
 */
record NestedPlan(List<String> arguments, List<Transfer> files, List<Disk> disks, List<Transfer> results) {
    /** Where the nested host sees what it is given. */
    static final String CODE = "/code/";
    /** Where it puts what it gives back. */
    static final String RESULTS = "/results/";
    /** What it calls its disks, with their numbers from 0. */
    private static final String DISK = "/dev/thimble-disk-";

    /**
     * A file or directory that is copied.
     *
     * @param host its path here
     * @param name relative to the directory that both hosts see
     */
    record Transfer(Path host, String name) {}

    NestedPlan {
        arguments = List.copyOf(arguments);
        files = List.copyOf(files);
        disks = List.copyOf(disks);
        results = List.copyOf(results);
    }

    /**
     * Makes the plan for {@code options}.
     *
     * @throws UsageException if they ask for something that the nested host cannot give
     */
    static NestedPlan of(RunOptions options) {
        Maker maker = new Maker(options);
        options.words.forEach(maker::add);
        maker.arguments.add("--");
        maker.arguments.addAll(options.command);
        return new NestedPlan(maker.arguments, maker.files, options.disks, maker.results);
    }

    private static final class Maker {
        final List<String> arguments = new ArrayList<>();
        final List<Transfer> files = new ArrayList<>();
        final List<Transfer> results = new ArrayList<>();
        private final Iterator<Copy> copiesIn;
        private final Iterator<Copy> copiesOut;
        private int disks;

        Maker(RunOptions options) {
            copiesIn = options.copyIn.iterator();
            copiesOut = options.copyOut.iterator();
        }

        void add(Word word) {
            String value = word.value();
            if (word.name().equals("--nested")) {
                return;
            }
            arguments.add(word.name());
            if (value != null) {
                arguments.add(translate(word.name(), value));
            }
        }

        private String translate(String name, String value) {
            return switch (name) {
                case "--kernel" -> give(kernel(value));
                case "--initrd" -> give(Path.of(value));
                case "--copy-in" -> {
                    Copy copy = copiesIn.next();
                    yield give(copy.host()) + ":" + copy.guest();
                }
                case "--copy-out" -> {
                    Copy copy = copiesOut.next();
                    Transfer result = new Transfer(copy.host(), String.valueOf(results.size()));
                    results.add(result);
                    yield copy.guest() + ":" + RESULTS + result.name();
                }
                case "--disk" -> DISK + disks++ + settings(value);
                case "--vsock", "--publish" -> throw unavailable(name);
                case "--net" -> {
                    if (!value.startsWith("switch=")) {
                        throw unavailable(name + " " + value);
                    }
                    yield value;
                }
                default -> value;
            };
        }

        private static UsageException unavailable(String option) {
            return new UsageException(
                    "--nested: no " + option + ", since nothing leads from the emulated host to this one: drop either");
        }

        private static Path kernel(String value) {
            if (!value.equals(RunOptions.KRUNFW)) {
                return Path.of(value);
            }
            return GuestKernel.findKrunfw()
                    .orElseThrow(() -> new UsageException("--kernel krunfw: libkrunfw is not installed here"));
        }

        /** The name stays the last of the path: it can tell what the file is. */
        private String give(Path file) {
            Path name = file.toAbsolutePath().normalize().getFileName();
            Transfer transfer = new Transfer(file, "files/" + files.size() + "/" + (name == null ? "root" : name));
            files.add(transfer);
            return CODE + transfer.name();
        }

        private static String settings(String disk) {
            String[] words = DiskOption.SEPARATOR.split(disk, 2);
            return words.length < 2 ? "" : "," + words[1];
        }
    }
}
