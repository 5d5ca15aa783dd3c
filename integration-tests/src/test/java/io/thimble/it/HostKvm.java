package io.thimble.it;

import io.thimble.kvm.Kvm;
import io.thimble.kvm.KvmException;
import io.thimble.kvm.KvmVcpu;
import io.thimble.kvm.KvmVm;
import io.thimble.kvm.MsrEntry;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/**
 * What the KVM of the host that runs the tests can do, asked once.
 *
 * <p>A kvm-pvm host (KVM without VMX or SVM, as inside many cloud machines) runs plain integer instructions of real,
 * protected and long mode in KVM's emulator, and at full speed only kernels that know it. It lacks, among others,
 * {@code INT3}, {@code POPCNT}, {@code XRSTOR} and {@code CMPXCHG16B} there.
 */
public final class HostKvm {
    /**
     * Environment variable or system property: with the value 1 a test that needs KVM fails where there is none, instead
     * of being skipped.
     */
    public static final String REQUIRE = "THIMBLE_REQUIRE_KVM";

    /** System property: {@code true} where {@code kvm-host/run} emulates the processor. */
    public static final String EMULATED = "thimble.it.emulated";

    /** The MSR that says {@link #PVM_SIGNATURE} on a kvm-pvm host and does not exist elsewhere. */
    private static final int MSR_PVM_SIGNATURE = 0x4b564d11;

    private static final long PVM_SIGNATURE = 0x4d5650;

    private HostKvm() {}

    private static final class Probe {
        static final String MISSING;
        static final boolean PVM;

        static {
            String missing = "";
            boolean pvm = false;
            try (Kvm kvm = Kvm.open();
                    KvmVm vm = kvm.createVm();
                    KvmVcpu vcpu = vm.createVcpu(0)) {
                pvm = vcpu.getMsrs(MSR_PVM_SIGNATURE).equals(List.of(new MsrEntry(MSR_PVM_SIGNATURE, PVM_SIGNATURE)));
            } catch (KvmException e) {
                missing = "no usable KVM: " + e.getMessage();
            }
            MISSING = missing;
            PVM = pvm;
        }
    }

    /** Returns why this host has no usable KVM; empty if it has. */
    public static String missing() {
        return Probe.MISSING;
    }

    /** Tells whether the host's KVM is kvm-pvm; false if there is no KVM. */
    public static boolean isPvm() {
        return Probe.PVM;
    }

    /** Returns how long to wait for what takes less than {@code limit} on a busy machine: longer if the processor is emulated. */
    public static Duration patience(Duration limit) {
        return isEmulated() ? limit.multipliedBy(5) : limit;
    }

    /**
     * Tells whether {@code kvm-host/run} emulates the host's processor in software, as it says by the system property
     * {@code thimble.it.emulated}: a true KVM, on which everything takes 10 to 100 times longer and no duration says
     * anything.
     */
    public static boolean isEmulated() {
        return Boolean.getBoolean(EMULATED);
    }

    /** Tells whether a test that needs KVM must fail where there is none. */
    public static boolean isRequired() {
        return "1".equals(System.getProperty(REQUIRE, System.getenv(REQUIRE)));
    }

    /** Skips the running test, with the reason, if there is no KVM; fails it if KVM is required. */
    public static void requireKvm() {
        if (!missing().isEmpty() && isRequired()) {
            throw new AssertionError(REQUIRE + "=1, but " + missing());
        }
        Assumptions.assumeTrue(missing().isEmpty(), HostKvm::missing);
    }

    /**
     * Skips the running test on a kvm-pvm host.
     *
     * @param why what the test does that only KVM on VMX or SVM can
     */
    public static void requireHardwareKvm(String why) {
        requireKvm();
        Assumptions.assumeFalse(isPvm(), () -> "this host has kvm-pvm: " + why);
    }
}
