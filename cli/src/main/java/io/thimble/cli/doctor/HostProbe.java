package io.thimble.cli.doctor;

import io.thimble.cli.doctor.HostFacts.Processor;
import io.thimble.kvm.Kvm;
import io.thimble.kvm.KvmException;
import io.thimble.kvm.KvmVcpu;
import io.thimble.kvm.KvmVm;
import io.thimble.linux.Fd;
import io.thimble.linux.HostMemory;
import io.thimble.linux.LinuxException;
import io.thimble.linux.Programs;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.vmm.GuestKernel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Looks at the host this process runs on. */
final class HostProbe {
    private static final String TUN = "/dev/net/tun";
    private static final Path HUGE_PAGES = Path.of("/sys/kernel/mm/transparent_hugepage/enabled");
    private static final Path CGROUP_LIMIT = Path.of("/sys/fs/cgroup/memory.max");
    private static final Pattern SELECTED = Pattern.compile("\\[(\\w+)]");

    /** An MSR that exists on kvm-pvm only; its value is {@link #PVM_SIGNATURE}. */
    private static final int MSR_PVM_SIGNATURE = 0x4b564d11;

    /** "PVM" in ASCII, little endian. */
    private static final long PVM_SIGNATURE = 0x4d5650;

    private HostProbe() {}

    static HostFacts look() {
        String kvmProblem = "";
        String vmProblem = "";
        int apiVersion = 0;
        int maxVcpus = 0;
        Processor processor = Processor.UNKNOWN;
        Map<Capability, Integer> capabilities = new EnumMap<>(Capability.class);
        try (Kvm kvm = Kvm.open()) {
            apiVersion = kvm.apiVersion();
            maxVcpus = kvm.maxVcpus();
            for (Capability capability : Capability.values()) {
                capabilities.put(capability, kvm.checkExtension(capability.number));
            }
            try {
                processor = processor(kvm);
            } catch (KvmException e) {
                vmProblem = String.valueOf(e.getMessage());
            }
        } catch (KvmException e) {
            kvmProblem = String.valueOf(e.getMessage());
        }
        return new HostFacts(
                System.getProperty("os.version", "of unknown release"),
                System.getProperty("os.arch", "of unknown architecture"),
                Runtime.version() + " (" + System.getProperty("java.vendor") + ")",
                kvmProblem,
                vmProblem,
                apiVersion,
                processor,
                capabilities,
                maxVcpus,
                tunProblem(),
                Programs.find("passt").map(Path::toString).orElse(""),
                firstMatch(SELECTED, read(HUGE_PAGES)),
                GuestKernel.findKrunfw().map(Path::toString).orElse(""),
                availableMemory(),
                number(read(CGROUP_LIMIT).strip()));
    }

    /** Finds out what would run a VM; unknown if none can be made. */
    static Processor processor() {
        try (Kvm kvm = Kvm.open()) {
            return processor(kvm);
        } catch (KvmException _) {
            return Processor.UNKNOWN;
        }
    }

    /** Makes a VM with one vCPU, which proves that it can be done, and finds out what would run it. */
    private static Processor processor(Kvm kvm) {
        try (KvmVm vm = kvm.createVm()) {
            vm.createIrqchip();
            try (KvmVcpu vcpu = vm.createVcpu(0)) {
                if (isPvm(vcpu)) {
                    return Processor.PVM;
                }
            }
        }
        List<String> flags = List.of(read(Path.of("/proc/cpuinfo")).split("\\s+"));
        if (flags.contains("vmx")) {
            return Processor.VMX;
        }
        return flags.contains("svm") ? Processor.SVM : Processor.UNKNOWN;
    }

    private static boolean isPvm(KvmVcpu vcpu) {
        try {
            return vcpu.getMsrs(MSR_PVM_SIGNATURE).stream().anyMatch(msr -> msr.data() == PVM_SIGNATURE);
        } catch (KvmException _) {
            return false;
        }
    }

    private static String tunProblem() {
        try (Fd _ = Fd.open(TUN, FcntlConstants.O_RDWR)) {
            return "";
        } catch (LinuxException e) {
            return String.valueOf(e.getMessage());
        }
    }

    private static String firstMatch(Pattern pattern, String text) {
        Matcher matcher = pattern.matcher(text);
        return matcher.find() ? String.valueOf(matcher.group(1)) : "";
    }

    private static long number(String digits) {
        return digits.matches("\\d{1,15}") ? Long.parseLong(digits) : Long.MAX_VALUE;
    }

    private static long availableMemory() {
        try {
            return HostMemory.available();
        } catch (UncheckedIOException _) {
            return Long.MAX_VALUE;
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException _) {
            return "";
        }
    }
}
