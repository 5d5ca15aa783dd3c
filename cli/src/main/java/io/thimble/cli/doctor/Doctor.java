package io.thimble.cli.doctor;

import io.thimble.cli.doctor.Check.Verdict;
import io.thimble.cli.doctor.HostFacts.Processor;
import io.thimble.kvm.Kvm;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Judges what was found on a host. Pure: {@link HostProbe} does the looking. */
public final class Doctor {
    /** What the default VM and the JVM need together. */
    private static final long COMFORTABLE_MEMORY = 384L << 20;

    private static final long LEAST_MEMORY = 160L << 20;
    private static final int MIB_SHIFT = 20;

    private Doctor() {}

    /** Looks at this host, prints the findings and returns whether VMs can run. */
    public static boolean examine(PrintStream out) {
        List<Check> checks = judge(HostProbe.look());
        out.print(render(checks));
        return canRun(checks);
    }

    /** Tells whether this host's KVM is of the kind that hardly runs a kernel without patches for it. */
    public static boolean wantsPatchedKernel() {
        return HostProbe.processor() == Processor.PVM;
    }

    static boolean canRun(List<Check> checks) {
        return checks.stream().noneMatch(check -> check.verdict() == Verdict.MISSING);
    }

    static String render(List<Check> checks) {
        StringBuilder text = new StringBuilder();
        for (Check check : checks) {
            text.append(check.verdict().label)
                    .append("  ")
                    .append(check.subject())
                    .append(": ")
                    .append(check.finding())
                    .append('\n');
            if (!check.remedy().isEmpty()) {
                text.append("         -> ").append(check.remedy()).append('\n');
            }
        }
        return text.append(
                        canRun(checks)
                                ? "VMs can run here.\n"
                                : "VMs cannot run here, but in an emulated host: ./thimble run --nested\n")
                .toString();
    }

    static List<Check> judge(HostFacts facts) {
        List<Check> checks = new ArrayList<>();
        checks.add(host(facts));
        checks.add(Check.ok("JDK", facts.jdk()));
        checks.add(kvm(facts));
        if (facts.kvmProblem().isEmpty()) {
            checks.add(processor(facts));
            checks.addAll(capabilities(facts));
            checks.add(Check.ok("vCPUs", "up to " + facts.maxVcpus() + " a VM"));
        }
        checks.add(memory(facts));
        checks.add(hugePages(facts));
        checks.add(tap(facts));
        checks.add(passt(facts));
        checks.add(krunfw(facts));
        return checks;
    }

    private static Check host(HostFacts facts) {
        String text = "Linux " + facts.kernel() + ", " + facts.architecture();
        return facts.architecture().equals("amd64")
                ? Check.ok("host", text)
                : Check.missing("host", text, "Thimble runs on x86-64 only");
    }

    private static Check kvm(HostFacts facts) {
        if (!facts.kvmProblem().isEmpty()) {
            int dash = facts.kvmProblem().indexOf(" - ");
            return dash < 0
                    ? Check.missing("KVM", facts.kvmProblem(), "")
                    : Check.missing(
                            "KVM",
                            facts.kvmProblem().substring(0, dash),
                            facts.kvmProblem().substring(dash + 3));
        }
        return Check.ok("KVM", Kvm.DEVICE + " can be used, API version " + facts.apiVersion());
    }

    private static Check processor(HostFacts facts) {
        if (!facts.vmProblem().isEmpty()) {
            return Check.missing("virtualization", facts.vmProblem(), "look into the host kernel's log (dmesg)");
        }
        return facts.processor() == Processor.PVM
                ? Check.limited(
                        "virtualization",
                        facts.processor().text,
                        "the bundled kernel runs well; other kernels run in an emulator, or not at all. On a host with"
                                + " VMX or SVM, or with nested virtualization enabled, every kernel runs; here ./thimble run"
                                + " --nested runs it in an emulated host, slowly")
                : Check.ok("virtualization", facts.processor().text);
    }

    private static List<Check> capabilities(HostFacts facts) {
        List<Check> checks = new ArrayList<>();
        List<String> present = new ArrayList<>();
        for (Capability capability : Capability.values()) {
            if (has(facts.capabilities(), capability)) {
                present.add(capability.cName());
            } else if (capability.required) {
                checks.add(Check.missing(
                        "capability", capability.cName() + " (" + capability.use + ")", "use a newer host kernel"));
            } else {
                checks.add(Check.limited(
                        "capability",
                        "no " + capability.cName() + " (" + capability.use + ")",
                        "use a newer host kernel"));
            }
        }
        checks.addFirst(Check.ok("capabilities", String.join(" ", present).replace("KVM_CAP_", "")));
        return checks;
    }

    private static boolean has(Map<Capability, Integer> capabilities, Capability capability) {
        return capabilities.getOrDefault(capability, 0) > 0;
    }

    private static Check memory(HostFacts facts) {
        long most = Math.min(facts.availableMemory(), facts.memoryLimit());
        String text = (most >> MIB_SHIFT) + " MiB to be had"
                + (facts.memoryLimit() < facts.availableMemory() ? " (the cgroup's limit)" : "");
        if (most < LEAST_MEMORY) {
            return Check.missing(
                    "memory", text, "free some: a VM and its JVM need " + (LEAST_MEMORY >> MIB_SHIFT) + " MiB");
        }
        return most < COMFORTABLE_MEMORY
                ? Check.limited("memory", text, "the default VM may use 256 MiB: run it with less (--memory 64M)")
                : Check.ok("memory", text);
    }

    private static Check hugePages(HostFacts facts) {
        return switch (facts.hugePages()) {
            case "always", "madvise" -> Check.ok("huge pages", "mode " + facts.hugePages());
            case "" -> Check.limited("huge pages", "the host's kernel has none", "guests run, a little slower");
            default ->
                Check.limited(
                        "huge pages",
                        "mode " + facts.hugePages(),
                        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, for faster guest memory");
        };
    }

    private static Check passt(HostFacts facts) {
        return facts.passt().isEmpty()
                ? Check.limited(
                        "passt",
                        "not installed: no --net passt, which gives guests the outside without root",
                        "apt-get install passt")
                : Check.ok("passt", facts.passt());
    }

    private static Check tap(HostFacts facts) {
        return facts.tunProblem().isEmpty()
                ? Check.ok("network", "/dev/net/tun can be used: TAP devices work where this user may make them")
                : Check.limited(
                        "network",
                        facts.tunProblem(),
                        "load the module (modprobe tun), or run as a user who may open it");
    }

    /** Another kernel, which nobody needs: it is no fault of a host to be without it. */
    private static Check krunfw(HostFacts facts) {
        return Check.ok(
                "libkrunfw",
                facts.krunfw().isEmpty()
                        ? "not here; for its kernel (--kernel krunfw) install it (Debian: package libkrunfw5)"
                        : facts.krunfw() + ", for --kernel krunfw");
    }
}
