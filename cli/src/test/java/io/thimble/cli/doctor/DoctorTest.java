package io.thimble.cli.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.cli.doctor.Check.Verdict;
import io.thimble.cli.doctor.HostFacts.Processor;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class DoctorTest {
    private static final long GIB = 1L << 30;

    /** A host that lacks nothing; each test takes something away. */
    private static final class Host {
        String architecture = "amd64";
        String kvmProblem = "";
        String vmProblem = "";
        Processor processor = Processor.VMX;
        final Map<Capability, Integer> capabilities = new EnumMap<>(Capability.class);
        String tunProblem = "";
        String passt = "/usr/bin/passt";
        String hugePages = "madvise";
        String krunfw = "/usr/lib/libkrunfw.so.5";
        long available = 8 * GIB;
        long limit = Long.MAX_VALUE;

        Host() {
            for (Capability capability : Capability.values()) {
                capabilities.put(capability, 1);
            }
        }

        List<Check> judged() {
            return Doctor.judge(new HostFacts(
                    "6.12",
                    architecture,
                    "25",
                    kvmProblem,
                    vmProblem,
                    12,
                    processor,
                    capabilities,
                    254,
                    tunProblem,
                    passt,
                    hugePages,
                    krunfw,
                    available,
                    limit));
        }
    }

    private static void assertVerdict(List<Check> checks, String subject, Verdict verdict, String remedy) {
        assertThat(checks)
                .filteredOn(check -> check.subject().equals(subject) && check.verdict() == verdict)
                .singleElement()
                .satisfies(check -> assertThat(check.remedy()).contains(remedy));
        assertThat(Doctor.canRun(checks)).isEqualTo(verdict != Verdict.MISSING);
        assertThat(Doctor.render(checks)).contains(verdict.label + "  " + subject, remedy);
    }

    @Test
    void finds_nothing_wrong_with_a_good_host() {
        List<Check> checks = new Host().judged();

        assertThat(checks).allSatisfy(check -> {
            assertThat(check.verdict()).isEqualTo(Verdict.OK);
            assertThat(check.remedy()).isEmpty();
        });
        assertThat(Doctor.render(checks)).endsWith("VMs can run here.\n").contains("up to 254");
    }

    @Test
    void splits_the_remedy_from_why_kvm_cannot_be_used() {
        Host host = new Host();
        host.kvmProblem = "/dev/kvm: EACCES - add the user to group kvm";

        assertVerdict(host.judged(), "KVM", Verdict.MISSING, "add the user to group kvm");
        assertThat(Doctor.render(host.judged()))
                .contains("KVM: /dev/kvm: EACCES\n")
                .endsWith("VMs cannot run here, but in an emulated host: ./thimble run --nested\n");
    }

    @Test
    void calls_a_kvm_useless_that_makes_no_vm() {
        Host host = new Host();
        host.vmProblem = "KVM_CREATE_VM: EBUSY";

        assertVerdict(host.judged(), "virtualization", Verdict.MISSING, "dmesg");
    }

    @Test
    void says_what_software_virtualization_means() {
        Host host = new Host();
        host.processor = Processor.PVM;

        assertVerdict(host.judged(), "virtualization", Verdict.LIMITED, "the bundled kernel runs well");
    }

    @ParameterizedTest
    @EnumSource(Capability.class)
    void tells_needed_capabilities_from_useful_ones(Capability capability) {
        Host host = new Host();
        host.capabilities.put(capability, 0);

        assertVerdict(
                host.judged(),
                "capability",
                capability.required ? Verdict.MISSING : Verdict.LIMITED,
                "use a newer host kernel");
        assertThat(Doctor.render(host.judged())).contains(capability.cName());
    }

    @Test
    void tells_where_libkrunfw_is_or_which_package_has_it() {
        Host host = new Host();
        assertThat(Doctor.render(host.judged())).contains("libkrunfw: /usr/lib/libkrunfw.so.5");

        host.krunfw = "";
        assertThat(Doctor.render(host.judged())).contains("package libkrunfw5").endsWith("VMs can run here.\n");
    }

    @Test
    void another_architecture_cannot_run_vms() {
        Host host = new Host();
        host.architecture = "aarch64";

        assertVerdict(host.judged(), "host", Verdict.MISSING, "x86-64 only");
    }

    @Test
    void judges_memory_by_the_smaller_of_host_and_cgroup() {
        Host host = new Host();
        host.limit = 200L << 20;
        assertVerdict(host.judged(), "memory", Verdict.LIMITED, "--memory 64M");
        assertThat(Doctor.render(host.judged())).contains("200 MiB to be had (the cgroup's limit)");

        host.available = 100L << 20;
        assertVerdict(host.judged(), "memory", Verdict.MISSING, "free some");
    }

    @Test
    void without_passt_says_how_to_get_it() {
        Host host = new Host();
        host.passt = "";
        assertVerdict(host.judged(), "passt", Verdict.LIMITED, "apt-get install passt");
    }

    @Test
    void network_and_huge_pages_are_no_condition() {
        Host host = new Host();
        host.tunProblem = "/dev/net/tun: ENOENT";
        assertVerdict(host.judged(), "network", Verdict.LIMITED, "modprobe tun");

        host.hugePages = "never";
        assertThat(Doctor.render(host.judged())).contains("mode never", "echo madvise");
    }
}
