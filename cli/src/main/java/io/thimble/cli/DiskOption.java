package io.thimble.cli;

import io.thimble.virtio.block.BlockEngineKind;
import io.thimble.virtio.device.RateLimits;
import io.thimble.vmm.Disk;
import io.thimble.vmm.MicroVmException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;

/** The value of {@code --disk}: {@code PATH[,ro][,direct][,sync][,engine=E][,bps=SIZE][,iops=N][,queues=N][,block=N][,serial=S]}. */
final class DiskOption {
    private static final String OPTION = "--disk";
    /** A comma in a path is written twice. */
    static final Pattern SEPARATOR = Pattern.compile("(?<!,),(?!,)");

    private static final List<String> NAMES =
            List.of("ro", "direct", "sync", "engine", "bps", "iops", "queues", "block", "serial");

    private DiskOption() {}

    /**
     * Reads the value.
     *
     * @throws UsageException if it cannot be understood
     */
    static Disk parse(String text) {
        String[] words = SEPARATOR.split(text, -1);
        try {
            Disk disk = Disk.of(Path.of(words[0].replace(",,", ",")));
            if (words[0].isEmpty()) {
                throw new UsageException(OPTION + " " + text + ": write the path of the image first");
            }
            long bytesPerSecond = 0;
            long operationsPerSecond = 0;
            for (String word : List.of(words).subList(1, words.length)) {
                int equals = word.indexOf('=');
                String name = equals < 0 ? word : word.substring(0, equals);
                String value = equals < 0 ? "" : word.substring(equals + 1);
                switch (name) {
                    case "bps" -> bytesPerSecond = Rates.bytes(OPTION + " ..." + name, value);
                    case "iops" -> operationsPerSecond = Rates.perSecond(OPTION + " ..." + name, value);
                    default -> disk = apply(disk, name, value, equals >= 0);
                }
            }
            return disk.limits(RateLimits.of(bytesPerSecond, operationsPerSecond));
        } catch (InvalidPathException e) {
            throw new UsageException(OPTION + ": " + e.getReason());
        } catch (MicroVmException e) {
            throw new UsageException(OPTION + " " + e.getMessage());
        }
    }

    private static Disk apply(Disk disk, String name, String value, boolean hasValue) {
        boolean flag = name.equals("ro") || name.equals("direct") || name.equals("sync");
        if (flag == hasValue && NAMES.contains(name)) {
            throw new UsageException(
                    OPTION + ": " + name + (flag ? " takes no value" : " needs a value: " + name + "=..."));
        }
        return switch (name) {
            case "ro" -> disk.readOnly(true);
            case "direct" -> disk.direct(true);
            case "sync" -> disk.writeThrough(true);
            case "engine" -> disk.engine(engine(value));
            case "queues" -> disk.queues((int) Math.min(Integer.MAX_VALUE, Rates.count(OPTION + " ..." + name, value)));
            case "block" ->
                disk.blockSize((int) Math.min(Integer.MAX_VALUE, Rates.count(OPTION + " ..." + name, value)));
            case "serial" -> disk.serial(value.replace(",,", ","));
            default ->
                throw new UsageException(OPTION + " knows no " + name + Suggestion.among(name, NAMES)
                        + "; a comma in the path is written twice");
        };
    }

    private static BlockEngineKind engine(String value) {
        return switch (value) {
            case "auto" -> BlockEngineKind.AUTO;
            case "io_uring" -> BlockEngineKind.IO_URING;
            case "threads" -> BlockEngineKind.THREADS;
            default -> throw new UsageException(OPTION + " ...engine=" + value + ": use auto, io_uring or threads");
        };
    }
}
